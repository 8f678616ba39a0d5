"""The transport of HTTP: a stream of events is written without a task, and a lost client is noticed at once.

ASGI sends one message per awaited call, and reports a lost client only to a task that waits for it. This uvicorn
protocol gives the application a synchronous way out next to ASGI's, as `websocket_transport` does for sockets. The head
of an answer and its end still go through ASGI. Everything else is uvicorn's.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .waiting import Waiting

EXTENSION = "realtime.peer"  # the key in the ASGI scope's `extensions`
HEAD_SECONDS = 30.0  # for a request line with its headers to arrive
MAX_HEAD_BYTES = 256 * 1024  # of it, about: the parser would take any number, and before it is whole nobody is known
_MAX_PIPELINED = 4  # requests that may wait behind one that is answered before the connection is read no more


class Peer:
    """The client behind one request, until the request is answered.

    `on_gone`, `on_revoked` and `on_writable` are called at most once at a time, from the event loop; they must not
    block.
    """

    def __init__(self, protocol: StreamProtocol, cycle: RequestResponseCycle) -> None:
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_revoked: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None
        self._protocol = protocol
        self._cycle = cycle

    @property
    def can_write(self) -> bool:
        """Return whether the connection is open and its buffer is below the high-water mark."""
        return not (self.gone or self._protocol.flow.write_paused or self._protocol.transport.is_closing())

    def begin_stream(self) -> None:
        """Begin a body of unknown length, which comes by `write`: in chunks, or for HTTP/1.0 up to the end of the
        connection.
        """
        if self._cycle.scope["http_version"] == "1.0":
            self._cycle.chunked_encoding = False

    def write(self, data: bytes) -> None:
        """Write more of the body of an answer whose head has been sent."""
        if self._cycle.chunked_encoding:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._protocol.transport.write(data)

    def abort(self) -> None:
        """End the connection without waiting until the client has read everything."""
        self._protocol.transport.abort()

    def revoke(self) -> None:
        """End because the client's key is gone: as `on_revoked` does, else at once."""
        if self.on_revoked is not None and self.can_write:
            self.on_revoked()
        else:
            self.abort()

    def lost(self) -> None:
        """Note that the client is gone. Called by the protocol."""
        if not self.gone:
            self.gone = self._cycle.disconnected = True
            self._cycle.message_event.set()
            if self.on_gone is not None:
                self.on_gone()


class StreamProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a Peer in the scope. It also closes what uvicorn leaves open to a hostile client.
    `waiting`: the connections of the same server on which nobody is answered.
    """

    _peer: Peer | None = None
    _late: TimerHandle | None = None
    _num_head_bytes = 0  # of a request line and its headers that are not whole yet

    def __init__(self, *arguments: Any, waiting: Waiting, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting = waiting

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()
        self._waiting.enter(self)
        self._waiting.make_room(len(self.connections))

    def abort(self) -> None:
        """Close the connection now, whatever has not been sent."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._late is not None:
            self._num_head_bytes += len(data)
            if self._num_head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._in_time()
        super().on_headers_complete()
        # uvicorn stops reading when requests are pipelined, and then it would not see the client go.
        if len(self.pipeline) <= _MAX_PIPELINED:
            self.flow.resume_reading()

    def handle_websocket_upgrade(self) -> None:
        self._in_time()
        self._waiting.leave(self)
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._waiting.leave(self)
        self._peer = Peer(self, cycle)
        if cycle.scope["http_version"] == "1.0":
            cycle.waiting_for_100_continue = False  # not of that version: RFC 9110 section 10.1.1
        cycle.scope["extensions"] = {EXTENSION: {"peer": self._peer}}
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._waiting.enter(self)
        super().on_response_complete()  # which may begin with the next request

    def eof_received(self) -> None:
        """End: the client has closed its side. The transport closes ours, so nothing sent later would arrive."""
        self._client_is_gone()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._waiting.leave(self)
        super().connection_lost(exc)
        self._client_is_gone()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._peer is not None and self._peer.on_writable is not None:
            self._peer.on_writable()

    def _client_is_gone(self) -> None:
        """Tell the request that is being answered, which need not be the last one that came."""
        if self._peer is not None:
            self._peer.lost()

    def _wait_for_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
            self._num_head_bytes = 0
