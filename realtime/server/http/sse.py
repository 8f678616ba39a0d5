"""A response's events over HTTP: the counterpart of the socket's shell. It reads the log at its own cursor, and decides
nothing.

A `Wording` translates each event for the client; that of the Responses API sends the log's bytes unchanged. An event is
whole in one write, and many events that are ready share a write. While the client does not read, no work is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from realtime.connection import refusals
from realtime.service.principal import Principal
from realtime.service.service import Service
from realtime.store.cursor import overtaken, too_slow
from realtime.store.event_log import BelowFloor
from realtime.store.records import Source
from realtime.wire import codec
from realtime.wire.errors import WireError, draining
from realtime.wire.events import StreamError, error_body

from ..flusher import Flusher, Pace
from .transport import Peer

_QUANTUM = 64  # events in one write
COMMENT = b": keep-alive\n"  # no empty line: of that OpenAI's SDK makes an event without data
DONE = b"data: [DONE]\n\n"
_MAX_STALLED = 4  # keep-alives in a row that did not fit into the connection: then nobody reads there any more
_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


class Wording(Protocol):
    """The form of one stream. It is given every event once, in order."""

    keep_alive: bytes
    end: bytes  # what is sent after the last event

    def event(self, number: int, entry: bytes) -> bytes:
        """Return the bytes to send for an entry of the log; possibly none."""

    def failure(self, error: WireError, number: int) -> bytes:
        """Return the bytes to send in place of event `number` when the stream ends early."""


class ResponseEvents:
    """The events of the Responses API, as they are in the log."""

    keep_alive = COMMENT
    end = DONE

    def event(self, number: int, entry: bytes) -> bytes:
        """See Wording."""
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, codec.type_of(entry), entry)

    def failure(self, error: WireError, number: int) -> bytes:
        """Return the error event; see Wording. It is not in the log: it has no number there, and so no `id`."""
        body = error_body(error)
        event = StreamError(
            sequence_number=number, done=True, code=body.code, message=body.message, param=None, error=body
        )
        return b"event: error\ndata: %b\n\n" % codec.encode_line(event)


RESPONSE_EVENTS = ResponseEvents()


class SseResponse(Response):
    """A stream of `source` from the event number `start` to its end, for as long as the client is there."""

    media_type = "text/event-stream"

    def __init__(
        self,
        service: Service,
        source: Source,
        start: int,
        peer: Peer,
        principal: Principal,
        keep_alive_seconds: float,
        pace: Pace | None = None,
        wording: Wording = RESPONSE_EVENTS,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._service = service
        self._source = source
        self._log = source.log
        self._position = start
        self._peer = peer
        self._principal = principal
        self._keep_alive_seconds = keep_alive_seconds
        self._wording = wording
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._flusher = Flusher(self._flush, pace, self._may_wait, self._flush_growth)
        self._wake, self._wake_now = self._flusher.wake, self._flusher.wake_now
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = False  # nothing was written since the last look
        self._num_stalled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream by ASGI."""
        self.follow()
        self._peer.on_gone, self._peer.on_revoked = self._end, self._revoke
        self._peer.begin_stream()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if not self._peer.gone:
                self._peer.on_writable = self._wake_now
                self._timer = self._loop.call_later(self._keep_alive_seconds, self._look)
                self._wake_now()
                await self._over
        finally:
            self._end()
            self._peer.on_gone = self._peer.on_revoked = self._peer.on_writable = None
            self._service.leave(self._source.response_id, self._wake, detached=False)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def follow(self) -> None:
        """Begin to follow the response. Existing events are sent once the answer has begun."""
        self._service.follow(self._principal, self._source, self._wake)

    def _may_wait(self) -> bool:
        """Return whether there are only deltas to send that continue one the client already has."""
        return self._position > self._log.milestone + 1

    def _flush_growth(self) -> None:
        """Write when the log has grown: nearly every time by one delta."""
        log, position = self._log, self._position
        entry = log.newest_delta
        if entry is None or log.tip != position + 1 or not self._peer.can_write:
            self._flush()
            return
        data = self._wording.event(position, entry)
        self._position = position + 1
        if data:
            self._quiet = False
            self._peer.write(data)

    def _flush(self) -> None:
        if not self._peer.can_write:
            return
        try:
            entries = self._log.read(self._position, _QUANTUM)
        except BelowFloor as below:
            if below.error is None:
                self._service.observer.service.slow_readers.add(1, "http")
            self._fail(below.error or too_slow(self._log, below.floor))
            return
        data, log = self._worded(entries), self._log
        self._position += len(entries)
        if log.sealed or log.left:
            self._flush_end(data)
            return
        if data:
            self._quiet = False
            self._peer.write(data)
        if self._position < log.tip:
            self._wake_now()

    def _flush_end(self, data: bytes) -> None:
        """Write the rest of a log to which nothing more is added."""
        if self._log.left:
            self._fail(draining(), data)
            return
        last = self._position >= self._log.tip
        if last and self._position > self._log.tip:
            self._fail(overtaken(self._log))
            return
        if last:
            data += self._wording.end
        if data:
            self._quiet = False
            self._peer.write(data)
        if last:
            self._end()
        else:
            self._wake_now()

    def _worded(self, entries: Sequence[bytes]) -> bytes:
        word, position = self._wording.event, self._position
        if len(entries) == 1:  # as nearly always
            return word(position, entries[0])
        return b"".join([word(number, entry) for number, entry in enumerate(entries, position)])

    def _look(self) -> None:
        """Check the stream once in every interval: a proxy must not take a silent stream for a dead one, nor we a dead
        client for a slow one.
        """
        if self._over.done():
            return
        self._timer = self._loop.call_later(self._keep_alive_seconds, self._look)
        if self._peer.can_write:
            self._num_stalled = 0
            if self._quiet:
                self._peer.write(self._wording.keep_alive)
            self._quiet = True
        else:
            self._num_stalled += 1
            if self._num_stalled >= _MAX_STALLED:
                self._peer.abort()

    def _end(self) -> None:
        self._flusher.stop()
        if self._timer is not None:
            self._timer.cancel()
        if not self._over.done():
            self._over.set_result(None)

    def _revoke(self) -> None:
        if not self._over.done():
            self._fail(refusals.credential_gone(by_ticket=self._principal.grant is not None))

    def _fail(self, error: WireError, data: bytes = b"") -> None:
        """End the stream early, after this."""
        self._peer.write(data + self._wording.failure(error, self._position) + self._wording.end)
        self._end()
