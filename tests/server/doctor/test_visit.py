"""A visit by a public URL: through a proxy that does what it should, and through those that do not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from realtime.engine.scripted import say
from realtime.server.doctor import proxy
from realtime.server.doctor.finding import Finding
from realtime.server.doctor.proxy import visit
from realtime.settings.fields import ConnectionSettings
from tests.support.server import changed, running
from tests.support.steps import make_keys

Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def visited(url: str, key: str | None = None, idle_seconds: float = 0.2) -> dict[str, Finding]:
    return {one.name: one async for one in visit(url, key, ConnectionSettings(), idle_seconds)}


@contextlib.asynccontextmanager
async def listening(reply: Reply) -> AsyncIterator[str]:
    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def answer(head: str, body: str = "") -> Reply:
    """A server that answers every request so."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        writer.close()

    return reply


def before(port: int, *, drops_upgrade: bool = False, idle_seconds: float | None = None) -> Reply:
    """A proxy before a server on this port."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to = await asyncio.open_connection("127.0.0.1", port)
        head = await reader.readuntil(b"\r\n\r\n")
        if drops_upgrade:
            head = b"\r\n".join(
                line for line in head.split(b"\r\n") if not line.lower().startswith((b"upgrade", b"conn"))
            )
        to.write(head)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                while data := await asyncio.wait_for(source.read(65536), idle_seconds):
                    target.write(data)
            target.close()

        await asyncio.gather(pass_on(reader, to), pass_on(upstream, writer))

    return reply


async def test_through_a_proxy_that_does_what_it_should(tmp_path: Path) -> None:
    key = make_keys(tmp_path / "keys.json", "anna")["anna"]
    async with (
        running(say("a"), changed(api_keys_file=str(tmp_path / "keys.json"))) as server,
        listening(before(server.port)) as url,
    ):
        found = await visited(url, key)
        assert {name: one.level for name, one in found.items()} == {
            "public url": "ok", "sockets": "ok", "idle sockets": "ok",
        }  # fmt: skip
        assert (await visited(url.replace("http", "ws", 1) + "/v1/responses", key))["sockets"].level == "ok"
        assert (await visited(url))["sockets"].level == "note", "without a key it can't look further"
        assert all(key not in f"{one.text}{one.advice}" for one in found.values())


async def test_through_proxies_that_do_not() -> None:
    async with running(say("a")) as server:
        async with listening(before(server.port, drops_upgrade=True)) as url:
            found = await visited(url)
            assert found["sockets"].level == "error"
            assert "426" in found["sockets"].text
            assert "`Upgrade`" in found["sockets"].advice
        async with listening(before(server.port, idle_seconds=0.1)) as url:
            found = await visited(url, idle_seconds=60)
            assert found["idle sockets"].level == "error"
            assert "is closed after 0 s" in found["idle sockets"].text


@pytest.mark.parametrize(
    ("head", "body", "word"),
    [
        ("301 Moved\r\nLocation: https://elsewhere.example/", "", "redirects to https://elsewhere.example/"),
        ("200 OK\r\nContent-Type: text/html", "welcome to nginx", "not as this server does"),
        ("502 Bad Gateway", "", "answers 502"),
        ("nonsense", "", "does not answer"),
        ("302 Found\r\nLocation: https://x/\x1b]0;mine\x07", "", "redirects to https://x/?]0;mine?"),
    ],
)
async def test_where_there_is_something_else(head: str, body: str, word: str) -> None:
    async with listening(answer(head, body)) as url:
        found = await visited(url)
    assert list(found) == ["public url"]
    assert found["public url"].level == "error"
    assert word in found["public url"].text


async def test_where_there_is_nothing() -> None:
    async with listening(answer("200 OK")) as url:
        pass
    assert "can't be reached" in (await visited(url))["public url"].text
    for wrong in ("chat.example.com", "ftp://me:hush@chat.example.com", "", "http://[", "http://x:hush", "http://x:0"):
        found = (await visited(wrong))["public url"]
        assert "is none" in found.text
        assert "hush" not in found.text
    assert (await visited("http://a b"))["public url"].level == "error"


async def test_an_answer_without_end_is_not_read() -> None:
    over = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            while not writer.is_closing():
                writer.write(b"1\r\n \r\n")
                await asyncio.sleep(0.01)
        writer.close()
        over.set()

    async with asyncio.timeout(120), listening(drip) as url:
        assert "leads to a server" in (await proxy._ready(url)).text
        await over.wait()
