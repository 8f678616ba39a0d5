"""A small HTTP client on asyncio's streams: one request to a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec

_SECONDS = 40.0  # that an answer may take


class Gone(Exception):
    """The connection ended before the answer did."""


class Reply(msgspec.Struct, frozen=True):
    """An answer."""

    status: int
    data: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.data)

    @property
    def code(self) -> str:
        """Return the code of its error."""
        return str((self.json.get("error") or {}).get("code"))


async def request(port: int, method: str, path: str, body: Any = None, seconds: float = _SECONDS) -> Reply:
    """Ask, and return the whole answer. Raises Gone, and OSError."""
    try:
        async with asyncio.timeout(seconds):
            status, parts = await _open(port, method, path, body)
            return Reply(status, b"".join([part async for part in parts]))
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise Gone from error


async def stream(port: int, path: str, method: str = "GET", body: Any = None) -> tuple[int, AsyncIterator[bytes]]:
    """Return the status, and the events of a stream as they come, or the body. Raises Gone, and OSError."""
    try:
        status, parts = await _open(port, method, path, body)
    except asyncio.IncompleteReadError as error:
        raise Gone from error
    return status, _events(parts) if status == 200 else parts


async def _open(port: int, method: str, path: str, body: Any) -> tuple[int, AsyncIterator[bytes]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(data)}"]
    lines += ["Content-Type: application/json"] if data else []
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    except BaseException:  # nobody else has it
        writer.close()
        raise
    status = int(head.split()[1])
    return status, _body(reader, writer, head)


async def _body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> AsyncIterator[bytes]:
    try:
        if "transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield (await reader.readexactly(size + 2))[:-2]
        else:
            length = head.partition("content-length:")[2].split()
            yield await reader.readexactly(int(length[0])) if length else b""
    except asyncio.IncompleteReadError as error:
        raise Gone from error
    finally:
        writer.close()


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for part in parts:
        rest += part
        while b"\n\n" in rest:
            event, _, rest = rest.partition(b"\n\n")
            for line in event.splitlines():
                if line.startswith(b"data: {"):
                    yield line.removeprefix(b"data: ")
