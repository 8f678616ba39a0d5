"""The socket's transport: many events in one write, and a callback when the transport takes more.

ASGI sends one message per awaited call, each with its own system call, and gives no sign of a full buffer except by
blocking. On the per-token path both cost more than the work itself, so this uvicorn protocol gives the application a
direct, synchronous way out next to ASGI's. Everything else is uvicorn's.
"""

from __future__ import annotations

import struct
from asyncio import TimerHandle
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from realtime.wire.errors import CloseCode

from .message_queue import MessageQueue

EXTENSION = "realtime.frames"  # the key in the ASGI scope's `extensions`
MAX_IDLE_FRAMES = 1000  # in so many seconds; each costs as much as one that says something
IDLE_SECONDS = 10.0
_TINY = 64  # bytes: a smaller fragment of a message counts as an idle frame
_SLICE = 4096  # bytes that are parsed in one go: some 700 of the smallest frames
_header_of_most = struct.Struct("!BBH").pack  # 126 bytes to 64 KiB
_NUM_HEADERS = 1024  # that are at hand: of payloads of fewer bytes
_OPEN = State.OPEN
CLOSE_SECONDS = 10.0  # for the peer to take what was sent before a close; then the connection is aborted


class FrameSink(Protocol):
    """The application's interface to the socket: see FrameProtocol."""

    on_writable: Callable[[], None] | None
    on_too_big: Callable[[], bytes] | None  # gives the text message that answers one that is too big, before the close

    @property
    def can_write(self) -> bool:
        """Return whether the socket is open and the transport's buffer is below its high-water mark."""

    def write_one(self, payload: bytes) -> None:
        """Send a payload as one text message."""

    def write_text(self, payloads: Sequence[bytes]) -> None:
        """Send each payload as one text message, all in one write."""

    def close_after_write(self, code: int, reason: str) -> None:
        """Start the closing handshake after what has been written."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with a FrameSink in the scope. `on_writable` is called when a full buffer drains.

    It also closes what uvicorn leaves open to a hostile or half-dead peer: see the methods.
    """

    on_writable: Callable[[], None] | None = None
    on_too_big: Callable[[], bytes] | None = None
    is_full = False  # the transport's buffer is above its high-water mark
    can_write = False  # see FrameSink; a member, since it is asked for every token: `_note_state` keeps it
    _headers: tuple[bytes, ...] = ()  # of payloads of 0, 1, 2, ... bytes; none when messages are compressed
    num_bytes_left: int | None = None  # that may come before the connection is cut; None: as many as there are
    _last_pong = b""  # owed to a peer that does not read
    _abort_timer: TimerHandle | None = None
    _unparsed = b""  # came in one read, and waits until the application has taken the message before it
    _num_idle = 0  # frames since `_idle_since`
    _idle_since = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.queue = MessageQueue()  # type: ignore[assignment] # it is used for no more than that has

    def _note_state(self) -> None:
        """Note whether the socket takes anything. Called after all that may change it."""
        self.can_write = not self.is_full and self.conn.state is _OPEN and not self.transport.is_closing()

    async def run_asgi(self) -> None:
        self.scope["extensions"][EXTENSION] = {"sink": self}
        await super().run_asgi()
        self._abort_later()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        self._note_state()
        if message["type"] == "websocket.accept":
            self._headers = () if self.conn.extensions else HEADERS
            self._forget_handshake()
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # refused, and answered: uvicorn would log that as an error of ours

    def _forget_handshake(self) -> None:
        """Free the parsed headers, 4 KiB that the library would hold as long as the socket is open. The scope has the
        request's headers as bytes.
        """
        self.request.headers.clear()
        self.response.headers.clear()

    def _abort_later(self) -> None:
        """Abort a closing transport after a while: it waits until its buffer is sent, which takes for ever if the peer
        does not read.
        """
        if self._abort_timer is None and not self.disconnected:
            self._abort_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)
        self.can_write = False

    def shutdown(self) -> None:
        super().shutdown()
        self._note_state()

    def _peer_is_gone(self) -> None:
        """Tell the application now; `connection_lost` may come much later."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def eof_received(self) -> None:
        self.can_write = False  # the transport closes itself
        self._peer_is_gone()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._note_state()
        self._peer_is_gone()

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated:
            self._parse(data)
            self._note_state()
            return
        try:
            super().data_received(data)
            bad = self.conn.handshake_exc is not None and not self.handshake_initiated  # uvicorn would wait for ever
        except UnicodeError:  # bytes that are not ASCII in the request line or in a header that must be
            bad = True
        if bad:
            self.handshake_initiated = self.handshake_complete = self.close_sent = True
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def _parse(self, data: bytes) -> None:
        """Parse what has come, in slices, because a read may hold 40,000 frames. Stops where reading does: at a message
        that the application has not taken yet, and when the connection is over.
        """
        if self.num_bytes_left is not None:
            self.num_bytes_left -= len(data)
            if self.num_bytes_left < 0:
                self.transport.abort()
                return
        if self._unparsed:
            self._unparsed += data
            return
        if len(data) <= _SLICE:
            super().data_received(data)
            return
        for start in range(0, len(data), _SLICE):
            if self.read_paused:
                self._unparsed = data[start:]
                return
            super().data_received(data[start : start + _SLICE])
            if self.close_sent:
                return

    async def receive(self) -> ASGIReceiveEvent:
        """Give the application its next message; then parse what came after it."""
        message = await super().receive()
        if self._unparsed and not self.read_paused:
            data, self._unparsed = self._unparsed, b""
            self._parse(data)
            self._note_state()
        return message

    def _count_idle(self) -> None:
        """Close the connection of a peer that endlessly sends frames without content. Nothing is counted on the way of
        a message.
        """
        if not self._num_idle:
            self._idle_since = self.loop.time()
        self._num_idle += 1
        if self._num_idle <= MAX_IDLE_FRAMES or self.close_sent:
            return
        if self.loop.time() - self._idle_since < IDLE_SECONDS:
            reason = f"more than {MAX_IDLE_FRAMES} pings, pongs and tiny fragments in {IDLE_SECONDS:g} seconds"
            self.conn.fail(CloseCode.POLICY, reason)
            self.handle_parser_exception()
        self._num_idle = 0

    def handle_text(self, event: Frame) -> None:
        if len(event.data) < _TINY and not (event.fin and event.data):
            self._count_idle()
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        if len(event.data) < _TINY and not (event.fin and event.data):
            self._count_idle()
        super().handle_bytes(event)

    def handle_pong(self, event: Frame) -> None:
        self._count_idle()
        super().handle_pong(event)

    def handle_parser_exception(self) -> None:
        """Say what is wrong, where that helps, before the close that the library has ready."""
        close = self.conn.close_sent
        if close is not None and close.code == CloseCode.TOO_BIG and self.on_too_big is not None:
            answer = self.on_too_big()
            self.transport.write(_header(len(answer)) + answer)
        super().handle_parser_exception()

    def handle_ping(self) -> None:
        """Answer a ping. A peer that pings and does not read gets the last pong only, as RFC 6455 section
        5.5.3 allows.
        """
        self._count_idle()
        pongs = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(pongs))
        elif pongs:
            self._last_pong = pongs[-1]

    def handle_cont(self, event: Frame) -> None:
        """Append a fragment to the one buffer for all: very many must not cost an object each."""
        if len(event.data) < _TINY:
            self._count_idle()
        if not isinstance(self.frames[0], bytearray):
            self.frames[0] = bytearray(self.frames[0])  # type: ignore[call-overload]
        self.frames[0] += event.data
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Pass a text message on as its bytes, checked: `utf8` in the ASGI message, instead of `text`."""
        if self.curr_msg_data_type != "text" or self.close_sent:
            super().send_receive_event_to_app()
            return
        (data,), self.frames = self.frames, []
        try:
            if not data.isascii():
                data.decode()
        except UnicodeDecodeError:  # the client's fault: a close code, and no traceback in the log as uvicorn has
            self.conn.fail(CloseCode.INVALID_UTF8, "invalid UTF-8")
            self.handle_parser_exception()
            return
        message: Any = {"type": "websocket.receive", "utf8": bytes(data)}
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def write_one(self, payload: bytes) -> None:
        """See FrameSink."""
        try:
            header = self._headers[len(payload)]
        except IndexError:
            self.write_text((payload,))
            return
        self.transport.write(header + payload)

    def write_text(self, payloads: Sequence[bytes]) -> None:
        """See FrameSink."""
        if self.conn.extensions:  # compression was negotiated: its state machine must see each message
            for payload in payloads:
                self.conn.send_text(payload)
            self.transport.write(b"".join(self.conn.data_to_send()))
            return
        out: list[bytes] = []
        for payload in payloads:
            length = len(payload)
            out += HEADERS[length] if length < _NUM_HEADERS else _header(length), payload
        self.transport.write(b"".join(out))

    def close_after_write(self, code: int, reason: str) -> None:
        """See FrameSink."""
        if self.close_sent or self.transport.is_closing() or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._note_state()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_full = True
        self.can_write = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.is_full = False
        self._note_state()
        if self._last_pong and not self.transport.is_closing():
            self.transport.write(self._last_pong)
        self._last_pong = b""
        if self.on_writable is not None:
            self.on_writable()


def _header(length: int) -> bytes:
    """Return the header of an unfragmented, unmasked text frame (RFC 6455 section 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return _header_of_most(0x81, 126, length)
    return struct.pack("!BBQ", 0x81, 127, length)


HEADERS = tuple(map(_header, range(_NUM_HEADERS)))
