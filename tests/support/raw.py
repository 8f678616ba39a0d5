"""A WebSocket client without manners: bytes as the test wants them, read only when it says so."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, rsv: int = 0) -> bytes:
    """One frame, right or wrong."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload  # a mask of zeros changes nothing


def text(**event: Any) -> bytes:
    """An event as a text frame."""
    return frame(TEXT, json.dumps(event).encode())


def handshake(path: str = "/v1/responses", *lines: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """An upgrade request; `lines` are further headers, or replace those of the same name."""
    headers = {
        "host": "Host: 127.0.0.1",
        "upgrade": "Upgrade: websocket",
        "connection": "Connection: Upgrade",
        "sec-websocket-key": f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "sec-websocket-version": "Sec-WebSocket-Version: 13",
    }
    headers |= {line.partition(":")[0].lower(): line for line in lines}
    head = [f"{method} {path} {version}", *(line for line in headers.values() if not line.endswith(":"))]
    return ("\r\n".join(head) + "\r\n\r\n").encode("utf-8", "surrogateescape")


class RawSocket:
    """A TCP connection to the server."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> RawSocket:
        """Connect; nothing is sent yet."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    @classmethod
    async def upgraded(cls, port: int, *lines: str, receive_buffer: int | None = None) -> RawSocket:
        """Connect and shake hands."""
        self = await cls.open(port, receive_buffer=receive_buffer)
        await self.send(handshake("/v1/responses", *lines))
        status, _, _ = await self.response()
        assert status == 101
        return self

    async def send(self, data: bytes) -> None:
        """Send all of it; a connection that the server has closed takes nothing more, which is fine."""
        try:
            async with asyncio.timeout(120):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except (ConnectionError, BrokenPipeError):
            pass

    async def _more(self) -> bool:
        try:
            async with asyncio.timeout(120):
                data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not await self._more():
                raise EOFError
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """An HTTP response: status, headers, body. Status 0: the server closed without a word."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return 0, {}, self._buffer
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = await self._exactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty: the last."""
        while b"\r\n" not in self._buffer:
            if not await self._more():
                raise EOFError
        size, _, self._buffer = self._buffer.partition(b"\r\n")
        return (await self._exactly(int(size, 16) + 2))[:-2]

    async def some(self) -> bytes:
        """Whatever has come. EOFError at the end."""
        if not self._buffer and not await self._more():
            raise EOFError
        data, self._buffer = self._buffer, b""
        return data

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. EOFError at the end."""
        first, second = await self._exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._exactly(8))
        return first & 0x0F, await self._exactly(length)

    async def event(self) -> dict[str, Any]:
        """The next text frame, decoded; pings are passed over."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT:
                event: dict[str, Any] = json.loads(payload)
                return event
            assert opcode == PING, (opcode, payload)

    async def close_code(self) -> int:
        """Read to the end; the code of the close frame, 1006 where none came."""
        code = 1006
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    (code,) = struct.unpack("!H", payload[:2])
        except EOFError:
            return code

    def end_of_sending(self) -> None:
        """Say that nothing more will be sent, and stay."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    def reset(self) -> None:
        """Close with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
