"""The caller's handle of one response. All its data is in its `Track`; the handle only waits."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, cast

from .errors import CursorTooOld, ProtocolError, ResponseFailed
from .inputs import Kind, Steer
from .session import Session
from .track import Cursor, FinalResponse, Phase, Track
from .wire import ResponseEvent as Event

Fetch = Callable[[str], Awaitable[FinalResponse]]
Until = Callable[[Any, Callable[[], bool]], Awaitable[None]]


class Response:
    """One response: iterate it for its events, `text()` for its text, `result()` for its final form.

    Leaving an iteration (`break`, an exception, a cancelled task) loses nothing and stops nothing: iterate again to
    continue after the last event that you got. As a context manager it cancels the response when the block is left
    before its end. A handle that is simply dropped detaches.
    """

    def __init__(self, track: Track, session: Session, poke: Callable[[], None], until: Until, fetch: Fetch) -> None:
        self._track = track
        self._session = session
        self._poke = poke  # tells the shell that the session has something to send
        self._until = until  # waits for news
        self._fetch = fetch  # the finished response, over HTTP
        self._successor: Response | None = None
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
        """Return the reader's position. Keep it to resume from another process, with `client.resume(*cursor)`."""
        return self._track.cursor

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Return the next event: each exactly once, in order. Raises the error that prevents the rest from coming."""
        track = self._track
        while True:
            event = self._session.take(track)
            if event is not None:
                if track.phase is Phase.LOST:  # there is room again
                    self._poke()
                return cast(Event, event)  # what the server's document says of it
            if track.terminal is not None:
                raise StopAsyncIteration
            if track.error is not None:
                raise track.error
            await self._until(track, lambda: track.has_news)

    def text(self) -> AsyncIterator[str]:
        """Iterate over the pieces of output text. Raises ResponseFailed at the end of a response that failed."""
        return _Text(self)

    async def result(self) -> FinalResponse:
        """Read to the end and return the final response object. Raises ResponseFailed when it failed.

        If the server no longer has events that are needed (CursorTooOld), the final object is fetched over HTTP.
        """
        try:
            async for _ in self:
                pass
        except CursorTooOld:
            final = await self._fetch(self.id)
            if final.get("status") == "failed":
                raise ResponseFailed(final, final.get("error") or {}) from None
            return final
        return self._final()

    async def cancel(self, through: int | None = None) -> FinalResponse:
        """Stop the response and wait for its terminal event; events before it can still be read.

        `through`: the number of the last event that the user saw or heard (-1: none). The kept answer, and the next
        turn's history, end there. Without it the last `ack` counts, and without that nothing is cut.

        An answer that is finished, as most are long before they have been spoken, is cut all the same.

        Returns the final response object. Its `receipt` says what the cancel did, and is None when the response
        finished before the cancel reached it. Raises ValueError if `through` has not come yet, and ServerError when a
        finished answer can't be cut there any more.
        """
        self._session.cancel(self._track, through)
        final = await self._stopped()
        heard = self._track.heard(through)
        return final if heard is None or final.is_cut_at(heard) else await self.truncate(heard)

    async def truncate(
        self,
        through: int | None = None,
        *,
        num_characters: int | None = None,
        item_id: str | None = None,
        content_index: int = 0,
    ) -> FinalResponse:
        """Cut the answer for good where the user stopped listening, finished or not. A running one is cancelled first.

        `through`: the number of the last event that the user saw or heard (-1: none). Or `num_characters`: so many of a
        message, `item_id`, by default the one whose text was read last; 0 before any text was read: after the event
        that you read last. Returns the response as it is kept from now on. Raises ValueError if `through` has not come
        yet, and ServerError when it is refused.
        """
        named = self._track.text_item if item_id is None else item_id
        if through is None and named is None and num_characters == 0:  # no text was read
            through = self.cursor.starting_after
        members: dict[str, Any] = {"through": through}
        if through is None:
            members = {"item_id": named, "content_index": content_index, "num_characters": num_characters}
        cut = self._session.truncate(self._track, members)
        self._poke()
        await self._until(cut, lambda: cut.is_answered)
        if cut.error is not None:
            raise cut.error
        assert cut.final is not None
        return cut.final

    def through_at(self, num_characters: int) -> int:
        """Map characters of output text, as they were read here, to the number of the last event that they include
        completely: for `ack`, `cancel` and `truncate`, from a speaker that counts characters.
        """
        return self._track.through_at(num_characters)

    async def interrupt(self) -> FinalResponse:
        """Stop the response, drop the item that is being written, and wait for the terminal event."""
        self._session.cancel(self._track, stop="interrupt")
        return await self._stopped()

    def ack(self, through: int | None = None) -> None:
        """Acknowledge that the user has seen or heard everything up to this event (None: up to the one that you read
        last). A later `cancel` cuts the answer there. Holds across reconnects. Raises ValueError if `through` has not
        come yet.
        """
        self._session.ack(self._track, self.cursor.starting_after if through is None else through)
        self._poke()

    async def steer(self, input: str | list[dict[str, Any]]) -> Steer:
        """Give user messages, or outputs of its calls, to the running response. Returns when the server has accepted
        them.

        The response is cut at the next safe point and a `successor` continues with the input. If the response ends with
        calls, the input waits for their outputs: see `Steer.fate`. Raises SteerFailed when it is refused.
        """
        return await self._give("steer", input)

    async def inject(self, input: list[dict[str, Any]]) -> Steer:
        """Give outputs of calls that the response has made, without cutting it. When all are there at its end, a
        `successor` continues with them. Raises SteerFailed, or ServerError when the input is malformed.
        """
        return await self._give("inject", input)

    async def successor(self) -> Response | None:
        """Wait for the response that the server starts after this one by itself, because of `steer` or `inject`.

        None: it ended, and nothing follows unless you create it. Raises SteerFailed when an accepted input was given
        back, and the error that prevents this response from being followed.
        """
        track = self._track
        await self._until(track, lambda: track.successor is not None or (track.over and not track.awaits_successor))
        if (successor := self._session.take_successor(track)) is None:
            if track.returned is not None:
                raise track.returned
            if track.error is not None and not isinstance(track.error, ResponseFailed):
                raise track.error
            return None
        if self._successor is None:
            self._successor = Response(successor, self._session, self._poke, self._until, self._fetch)
        return self._successor

    def chain(self) -> AsyncIterator[Event]:
        """Iterate over the events of this response, then those of its successor, and so on; `response_id` says whose
        they are.
        """
        return _Chain(self)

    async def detach(self) -> Cursor:
        """Stop following; the response continues at the server. Returns the cursor for resuming later."""
        self._session.detach(self._track)
        self._poke()
        return self.cursor

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the response, or its successor, if it is not over; the stop is on its way, not awaited."""
        self._session.leave(self._track)
        self._poke()

    async def _stopped(self) -> FinalResponse:
        self._poke()
        track = self._track
        await self._until(track, lambda: track.over or track.cancel_refusal is not None)
        if track.cancel_refusal is not None and not track.over:
            raise track.cancel_refusal
        return self._final()

    async def _give(self, kind: Kind, input: Any) -> Steer:
        steer = self._session.give(kind, self._track, input)
        self._poke()
        await self._until(steer, lambda: steer.is_answered)
        if steer.error is not None:
            raise steer.error
        return steer

    def _final(self) -> FinalResponse:
        if self._track.error is not None:
            raise self._track.error
        if self._track.final is None:
            raise ProtocolError("the response is not over")
        return self._track.final


class _Chain:
    """An iterator over a chain's events. Not a generator, for the same reason as `_Text`."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            async for event in self._response:
                return event
            successor = await self._response.successor()
            if successor is None:
                raise StopAsyncIteration
            self._response = successor


class _Text:
    """An iterator over text. Not a generator: somebody would have to close one that is left in the middle."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        async for event in self._response:
            if event["type"] == "response.output_text.delta":
                return event["delta"]
        self._response._final()
        raise StopAsyncIteration
