"""One engine's HTTP endpoints: check its health, begin a generation, abort some. See `wire` for the messages."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol, cast

from realtime.engine.options import RemoteOptions

from .http import Address, Client, Connection, NotServing, Unreachable
from .wire import ABORT, DONE, GENERATE, Event, Events, Untrue, abort_body, failure_of

_MAX_REFUSAL_BYTES = 64 << 10
_OK = 200
_END_SECONDS = 5.0  # from the last event of an answer to the end of its HTTP message; else its connection is closed
_MAX_ABORTING = 4  # requests to abort that an engine has not answered; what is to be aborted meanwhile shares the next
_NOT_HERE = (401, 403, 404, 405)  # of no request's fault


class GivenUp(Unreachable):
    """An error: nobody wants an answer from this engine any more. The engine has not failed."""


class Taker(Protocol):
    """A receiver of an engine's answer to one generation. The last call is `on_done` or `on_broken`."""

    def on_begun(self, stream: Stream) -> None:
        """Note that it is being sent on this stream. The engine has not taken it yet. Raises GivenUp."""

    def on_event(self, event: Event) -> None:
        """Take an event. If this raises one of `wire`'s errors, the stream breaks."""

    def on_done(self) -> None:
        """Note that the answer is complete, by the engine's word."""

    def on_broken(self, kind: str, why: str) -> None:
        """Note that the stream ended before the answer was complete. `kind`: see FleetMetrics."""


class Endpoint:
    """The endpoints of one engine, by its address."""

    def __init__(self, address: Address, key: str | None, options: RemoteOptions) -> None:
        headers = f"authorization: Bearer {key}\r\n".encode("latin-1") if key else b""
        self._client = Client(address, headers, options.engine_connect_seconds)
        self._check_seconds = options.engine_check_seconds
        self._head_seconds = options.engine_first_token_seconds
        self._to_abort: dict[str, None] = {}  # a set in order: an abort is repeated until it is proved
        self._aborting: set[asyncio.Task[None]] = set()

    async def ask(self, method: str, path: str, body: bytes = b"", seconds: float | None = None) -> tuple[int, bytes]:
        """Make a small request. Raises Unreachable."""
        return await self._client.ask(method, path, body, seconds or max(self._check_seconds, 1.0))

    async def check(self) -> None:
        """Check that the engine is healthy. Raises NotServing, or Unreachable if that is uncertain."""
        status, _ = await self.ask("GET", "/health")
        if status != _OK:
            raise NotServing(f"its health check says {status}")

    async def begin(self, body: bytes, taker: Taker) -> Stream:
        """Begin a generation. Returns when the engine has taken it. Raises Unreachable, or the engine's refusal. When
        this raises or is cancelled, the taker is not called.
        """
        while True:
            connection = await self._client.open()
            stream = Stream(self._client, connection, taker)
            try:
                taker.on_begun(stream)
                connection.send(self._client.head("POST", GENERATE, len(body)), body, stream)
                async with asyncio.timeout(self._head_seconds):
                    await stream.taken
                return stream
            except Unreachable:
                stream.close()
                if not connection.stale:
                    raise
            except TimeoutError:
                if stream.is_taken:  # in the same moment
                    return stream
                stream.close()
                raise Unreachable("no answer within the time for it") from None
            except BaseException:
                stream.close()
                raise

    def abort(self, request_id: str) -> None:
        """Ask the engine to end a generation. Aborts of one loop iteration share a request. The proof comes in each
        stream.
        """
        if not self._to_abort and len(self._aborting) < _MAX_ABORTING:
            self._aborting.add(asyncio.create_task(self._abort(), name="remote-abort"))
        self._to_abort[request_id] = None

    async def _abort(self) -> None:
        try:
            while self._to_abort:
                request_ids = list(self._to_abort)
                self._to_abort.clear()
                with contextlib.suppress(Unreachable):  # no stream ends by it, and they are closed, which ends them too
                    await self.ask("POST", ABORT, abort_body(request_ids))
        finally:
            self._aborting.remove(cast("asyncio.Task[None]", asyncio.current_task()))  # at once: `abort` counts them

    async def close(self) -> None:
        """Close idle connections. Streams are their owners' to close."""
        for task in list(self._aborting):
            task.cancel()
        await asyncio.gather(*self._aborting, return_exceptions=True)
        self._client.close()


class Stream:
    """The answer to one generation as it comes: an `http.Handler`. `taken`: done when the engine has taken or refused
    the request.
    """

    def __init__(self, client: Client, connection: Connection, taker: Taker) -> None:
        self.taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_taken = False
        self._client = client
        self._connection = connection
        self._taker: Taker | None = taker
        self._events = Events()
        self._status = 0
        self._refusal = bytearray()
        self._done = False
        self._end_due: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Close the connection. The engine ends a generation whose connection is closed."""
        self._taker = None
        self._expect_end(False)
        self._connection.close()
        self._refuse(GivenUp("it was given up"))

    def on_head(self, status: int) -> None:
        """See Handler."""
        self._status = status
        if status == _OK and not self.taken.done():
            self.is_taken = True
            self.taken.set_result(None)

    def on_data(self, data: bytes) -> None:
        """See Handler."""
        if self._status != _OK:
            if len(self._refusal) + len(data) > _MAX_REFUSAL_BYTES:
                self._refuse(Unreachable("its refusal is too large"))
            else:
                self._refusal += data
            return
        try:
            for event in self._events.feed(data):
                self._take(event)
        except Untrue as error:
            self._break("untrue", str(error))

    def on_end(self) -> None:
        """See Handler."""
        self._expect_end(False)
        if self._status in _NOT_HERE or 300 <= self._status < 400:
            self._refuse(NotServing(f"{GENERATE} says {self._status}"))
        elif self._status != _OK:
            self._refuse(failure_of(self._status, bytes(self._refusal)))
        elif not self._done:
            self._break("broken", "the stream ended before its end was said")
        else:
            self._client.keep(self._connection)

    def on_lost(self, why: str) -> None:
        """See Handler."""
        self._expect_end(False)
        if not self.taken.done():
            self._refuse(Unreachable(why))
        else:
            self._break("broken", why)

    def _take(self, event: Event | str) -> None:
        taker = self._taker
        if taker is None:
            return
        if event == DONE:
            self._done, self._taker = True, None
            self._expect_end(True)
            taker.on_done()
        elif self._done:
            raise Untrue("something behind the end")
        else:
            assert isinstance(event, Event)
            taker.on_event(event)

    def _expect_end(self, expected: bool) -> None:
        """Close the connection if the message does not end soon: nobody else will, as its generation is over."""
        if self._end_due is not None:
            self._end_due.cancel()
        later = asyncio.get_running_loop().call_later
        self._end_due = later(_END_SECONDS, self._connection.close) if expected else None

    def _refuse(self, error: Exception) -> None:
        if not self.taken.done():
            self.taken.set_exception(error)
            self.taken.exception()  # nobody may wait for it any more

    def _break(self, kind: str, why: str) -> None:
        taker, self._taker = self._taker, None
        self._connection.close()
        if taker is not None:
            taker.on_broken(kind, why)
