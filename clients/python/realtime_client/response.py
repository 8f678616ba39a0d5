"""The caller's view of one response. Everything that it knows is in its `Track`; it only waits."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from .errors import ProtocolError
from .session import Session
from .track import Cursor, Event, FinalResponse, Phase, Track


class Response:
    """One response: iterate it for its events, `text()` for the words, `result()` for the end of it.

    Leaving an iteration (`break`, an exception, a cancelled task) loses nothing and stops nothing: iterate again to
    go on behind the last event that you got. As a context manager it cancels the response when the block is left
    before its end. A handle that is simply dropped detaches.
    """

    def __init__(self, track: Track, session: Session, woken: asyncio.Event, poke: Callable[[], None]) -> None:
        self._track = track
        self._session = session
        self._woken = woken
        self._poke = poke  # tells the shell that the session has something to send
        weakref.finalize(self, session.dropped.append, track).atexit = False

    @property
    def id(self) -> str:
        """The response's id at the server."""
        return self.cursor.response_id

    @property
    def request_id(self) -> str | None:
        """The idempotency key that it was created with; None when it was resumed."""
        return self._track.request_id

    @property
    def cursor(self) -> Cursor:
        """Where the reader is: keep it to resume from another process, with `client.resume(*cursor)`."""
        return self._track.cursor

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """The next event: each exactly once, in order. Raises what keeps the rest from coming."""
        while True:
            event = self._session.take(self._track)
            if event is not None:
                if self._track.phase is Phase.LOST:  # there is room again
                    self._poke()
                return event
            if self._track.terminal is not None:
                raise StopAsyncIteration
            if self._track.error is not None:
                raise self._track.error
            await self._wait()

    def text(self) -> AsyncIterator[str]:
        """The pieces of output text. Raises ResponseFailed at the end of a response that failed."""
        return _Text(self)

    async def result(self) -> FinalResponse:
        """Read to the end and return the final response object. Raises ResponseFailed when it failed."""
        async for _ in self:
            pass
        return self._final()

    async def cancel(self) -> FinalResponse:
        """Stop the response and wait for its terminal event; events before it can still be read.

        Returns the final response object: its `receipt` says what the cancel did, and is None when the response
        finished before the cancel reached it.
        """
        self._session.cancel(self._track)
        self._poke()
        while not self._track.over and self._track.cancel_refusal is None:
            await self._wait()
        if self._track.cancel_refusal is not None and not self._track.over:
            raise self._track.cancel_refusal
        return self._final()

    async def detach(self) -> Cursor:
        """Stop following; the response goes on at the server. Returns the cursor for resuming later."""
        self._session.detach(self._track)
        self._poke()
        self._woken.set()
        return self.cursor

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the response if it is not over; the stop is on its way, not awaited."""
        self._session.cancel(self._track)
        self._poke()

    def _final(self) -> FinalResponse:
        if self._track.error is not None:
            raise self._track.error
        if self._track.final is None:
            raise ProtocolError("the response is not over")
        return self._track.final

    async def _wait(self) -> None:
        self._woken.clear()
        await self._woken.wait()


class _Text:
    """Not a generator: one that is left in the middle would have to be closed by somebody."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        async for event in self._response:
            if event["type"] == "response.output_text.delta":
                delta: str = event["delta"]
                return delta
        self._response._final()
        raise StopAsyncIteration
