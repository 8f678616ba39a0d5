"""The socket's last metre: many events in one write, told when the transport takes more.

ASGI sends one message per awaited call, each with its own system call, and gives no sign of a full buffer except by
blocking. On the per-token path both cost more than the work itself, so this uvicorn protocol gives the application
a direct, synchronous way out next to ASGI's. Everything else is uvicorn's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

EXTENSION = "realtime.frames"  # the key in the ASGI scope's `extensions`


class FrameSink(Protocol):
    """What the application gets: see FrameProtocol."""

    on_writable: Callable[[], None] | None

    @property
    def can_write(self) -> bool:
        """The socket is open and the transport's buffer is below its high-water mark."""

    def write_text(self, payloads: Iterable[bytes]) -> None:
        """Send each payload as one text message, all in one write."""

    def close_after_write(self, code: int, reason: str) -> None:
        """Start the closing handshake after what has been written."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with a FrameSink in the scope. `on_writable` is called when a full buffer drains."""

    on_writable: Callable[[], None] | None = None

    async def run_asgi(self) -> None:
        self.scope["extensions"][EXTENSION] = {"sink": self}  # type: ignore[index]
        await super().run_asgi()

    @property
    def can_write(self) -> bool:
        """See FrameSink."""
        return self.writable.is_set() and self.conn.state is State.OPEN and not self.transport.is_closing()

    def write_text(self, payloads: Iterable[bytes]) -> None:
        """See FrameSink."""
        if self.conn.extensions:  # compression was negotiated: its state machine must see each message
            for payload in payloads:
                self.conn.send_text(payload)
            self.transport.write(b"".join(self.conn.data_to_send()))
            return
        out: list[bytes] = []
        for payload in payloads:
            out.append(_header(len(payload)))
            out.append(payload)
        self.transport.write(b"".join(out))

    def close_after_write(self, code: int, reason: str) -> None:
        """See FrameSink."""
        if self.close_sent or self.transport.is_closing() or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()


def _header(length: int) -> bytes:
    """The header of an unfragmented, unmasked text frame (RFC 6455 section 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return struct.pack("!BBH", 0x81, 126, length)
    return struct.pack("!BBQ", 0x81, 127, length)
