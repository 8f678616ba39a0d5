"""The client of engines against peers that do anything: every exchange ends, and nothing grows without bound."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from realtime.engine.remote.http import MAX_BODY_BYTES, Address, Client, NotServing, Unreachable

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def peer(*says: bytes | None, closes: bool = True) -> AsyncIterator[tuple[Client, list[bytes]]]:
    """Say these things, one for each request; None: end the connection in place of an answer."""
    heard: list[bytes] = []
    left = list(says)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while left:
                heard.append(await reader.readuntil(b"\r\n\r\n"))
                said = left.pop(0)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
            if not closes:
                await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(Address("127.0.0.1", server.sockets[0].getsockname()[1]), b"authorization: Bearer k\r\n", 5)
    try:
        yield client, heard
    finally:
        client.close()
        server.close()


async def test_an_answer_and_a_connection_that_is_kept() -> None:
    async with peer(OK, OK) as (client, heard):
        assert await client.ask("GET", "/a", b"", 5) == (200, b"ok")
        first = client._idle[0]
        assert await client.ask("GET", "/b", b"", 5) == (200, b"ok")
        assert client._idle == [first]
        assert [line.split()[1] for line in heard] == [b"/a", b"/b"]
        assert b"Bearer k" in heard[0]


async def test_a_connection_that_was_closed_while_idle_is_no_failure() -> None:
    async with peer(OK, None, OK) as (client, heard):
        await client.ask("GET", "/a", b"", 5)
        assert await client.ask("GET", "/b", b"", 5) == (200, b"ok")
        assert len(heard) == 3


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    told = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with peer(told) as (client, heard):
        assert await client.ask("GET", "/a", b"", 5) == (307, b"")
        assert len(heard) == 1


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + b"x" * (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ],
    ids=("gone", "nonsense", "head", "short", "chunk", "body", "upgrade"),
)
async def test_what_is_no_answer(said: bytes | None) -> None:
    async with peer(said) as (client, _):
        with pytest.raises(Unreachable):
            await client.ask("GET", "/a", b"", 5)
        assert client._idle == []


async def test_more_than_was_asked_is_not_heard() -> None:
    async with peer(OK + OK) as (client, _):
        assert await client.ask("GET", "/a", b"", 5) == (200, b"ok")
        assert client._idle == []


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"], ids=("silent", "half"))
async def test_silence_ends_by_the_clock(said: bytes) -> None:
    async with peer(said, closes=False) as (client, _):
        with pytest.raises(Unreachable, match="within the time"):
            await client.ask("GET", "/a", b"", 0.05)


async def test_nobody_there() -> None:
    async with peer() as (client, _):
        pass
    with pytest.raises(NotServing):
        await client.ask("GET", "/a", b"", 5)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://engine:8000", Address("engine", 8000)),
        ("https://engine/one/", Address("engine", 443, "/one", True)),
        ("http://[::1]:9", Address("::1", 9)),
    ],
)
def test_addresses(url: str, address: Address) -> None:
    assert Address.of(url) == address


@pytest.mark.parametrize(
    "url", ["engine:8000", "ftp://a", "http://", "http://me:secret@a", "http://a?key=secret", "http://a:x"]
)
def test_what_is_no_address(url: str) -> None:
    parse: Callable[[str], Address] = Address.of
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - whatever it says, it must not tell the secret
        parse(url)
    assert "secret" not in str(refused.value)
