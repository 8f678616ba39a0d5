"""A small HTTP/1.1 client for streams of tokens: no task and no queue per stream, bounded, and without redirects.

A connection has one exchange at a time, whose handler is called with the bytes as they come. httptools reads the
protocol, as it does for the server. Whatever a peer does, an exchange ends: with `on_end`, or with `on_lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools
import msgspec

MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 1 << 20  # of an answer that is read as a whole
_IDLE_SECONDS = 3.0  # for which a connection is kept; uvicorn keeps it for 5
_MAX_IDLE = 64


class Unreachable(Exception):
    """An error: the peer did not answer. There is no connection, it broke, or the answer is not HTTP."""


class NotServing(Unreachable):
    """An error: the peer says itself that it can't serve, or nobody is there."""


class Address(msgspec.Struct, frozen=True):
    """The address of an engine."""

    host: str
    port: int
    path: str = ""  # before each path
    tls: bool = False

    @classmethod
    def of(cls, url: str) -> Address:
        """Parse a URL. Raises ValueError; its text has nothing of the URL, which may hold a secret."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # its text has some of the URL
            raise ValueError("the URL of an engine is http(s)://HOST:PORT") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL of an engine is http(s)://HOST:PORT")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("the URL of an engine has no user, password, query or fragment: its key is a setting")
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)


class Handler(Protocol):
    """A receiver of an answer. Exactly one of `on_end` and `on_lost` is the last call."""

    def on_head(self, status: int) -> None:
        """Take the status and the headers."""

    def on_data(self, data: bytes) -> None:
        """Take a part of the body."""

    def on_end(self) -> None:
        """Note that the answer is complete."""

    def on_lost(self, why: str) -> None:
        """Note that the connection is lost: no more of the answer comes."""


class Connection(asyncio.Protocol):
    """One connection. `close` ends it without another call of its handler."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.stale = False  # it had been used, and was closed without a word: for being idle, most likely
        self._used = False
        self._transport: asyncio.Transport | None = None
        self._handler: Handler | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._num_head = 0
        self._in_head = False
        self._whole = False
        self._keeps = False  # the connection, behind this answer
        self._extra = False  # it said more than it was asked

    @property
    def is_open(self) -> bool:
        """Return whether a request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, handler: Handler) -> None:
        """Begin an exchange."""
        assert self._handler is None
        assert self._transport is not None
        self._used = self._parser is not None
        self._handler, self._parser = handler, httptools.HttpResponseParser(self)
        self._num_head, self._in_head, self._whole = 0, True, False
        self._transport.write(head + body)

    def close(self) -> None:
        """Close it."""
        self._handler = None
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._handler is None or self._parser is None:
            self.close()  # nobody has asked
            return
        if self._in_head:
            self._num_head += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._lose("it does not speak HTTP")
            return
        if self._in_head and self._num_head > MAX_HEAD_BYTES:
            self._lose("its answer has too large a head")
        elif self._whole:
            self._finish()

    def eof_received(self) -> bool:
        """See asyncio."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        self.stale = self._used and self._handler is not None and self._in_head and not self._num_head
        self._lose("the connection broke")

    # -- httptools

    def on_headers_complete(self) -> None:
        """Take the status and the headers."""
        assert self._parser is not None
        self._in_head = False
        if self._whole:
            self._extra = True
        elif self._handler is not None:
            self._handler.on_head(self._parser.get_status_code())

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self._handler is not None and not self._extra:
            self._handler.on_data(data)

    def on_message_complete(self) -> None:
        """Note that the answer is complete."""
        assert self._parser is not None
        self._whole, self._keeps = True, self._parser.should_keep_alive()

    def _finish(self) -> None:
        handler, self._handler = self._handler, None
        if not (self._keeps and not self._extra) and self._transport is not None:
            self._transport.abort()
        self.idle_since = time.monotonic()
        if handler is not None:
            handler.on_end()

    def _lose(self, why: str) -> None:
        handler = self._handler
        self.close()
        if handler is not None:
            handler.on_lost(why)


class Client:
    """A client of one address. `headers`: whole lines, sent with each request."""

    def __init__(self, address: Address, headers: bytes, connect_seconds: float) -> None:
        self._address = address
        self._headers = headers
        self._connect_seconds = connect_seconds
        self._tls = ssl.create_default_context() if address.tls else None
        self._idle: list[Connection] = []  # the one that was used last at the end
        self._closed = False

    async def open(self) -> Connection:
        """Return a connection: an idle one, or a new one. Raises Unreachable."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and time.monotonic() - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.close()
        address, loop = self._address, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, made = await loop.create_connection(Connection, address.host, address.port, ssl=self._tls)
        except TimeoutError:
            raise Unreachable("no connection within the time for it") from None
        except ConnectionRefusedError:
            raise NotServing("nobody is there: the connection was refused") from None
        except OSError as error:
            raise Unreachable(f"no connection: {type(error).__name__}") from None
        return made

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose exchange has ended."""
        if connection.is_open and not self._closed and len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def head(self, method: str, path: str, num_body: int) -> bytes:
        """Return the head of a request."""
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        return (
            (
                f"{method} {self._address.path}{path} HTTP/1.1\r\nhost: {host}:{self._address.port}\r\n"
                f"content-type: application/json\r\ncontent-length: {num_body}\r\n"
            ).encode("latin-1")
            + self._headers
            + b"\r\n"
        )

    async def ask(self, method: str, path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        """Send a request and return the whole answer, within this time. Raises Unreachable."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(method, path, body)
        except TimeoutError:
            raise Unreachable("no answer within the time for it") from None

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        while True:
            connection = await self.open()
            whole = _Whole()
            try:
                connection.send(self.head(method, path, len(body)), body, whole)
                answer = await whole.done
            except Unreachable:
                connection.close()
                if connection.stale:
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            self.keep(connection)
            return answer

    def close(self) -> None:
        """Close idle connections. None is kept from now on."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class _Whole:
    """A handler that collects an answer."""

    def __init__(self) -> None:
        self.done: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = bytearray()

    def on_head(self, status: int) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        if len(self._body) + len(data) > MAX_BODY_BYTES:
            self.on_lost("its answer is too large")
        else:
            self._body += data

    def on_end(self) -> None:
        if not self.done.done():
            self.done.set_result((self._status, bytes(self._body)))

    def on_lost(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(Unreachable(why))
            with contextlib.suppress(Unreachable):
                self.done.exception()
