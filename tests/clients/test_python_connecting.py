"""A first connection that fails says why: each cause in its own words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import realtime_client
from realtime.engine.scripted import say
from realtime_client import ConnectionLost
from tests.support.server import changed, running
from tests.support.steps import make_keys


async def failure(url: str, api_key: str | None = None) -> ConnectionLost:
    with pytest.raises(ConnectionLost) as caught:
        async with realtime_client.connect(url, api_key=api_key, proxy=None):
            pass
    return caught.value


async def test_a_refused_handshake_has_the_servers_words(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys.json", "anna")
    async with running(say("x"), changed(api_keys_file=str(tmp_path / "keys.json"))) as server:
        for key, code in ((None, "missing_api_key"), ("rt_wrong", "invalid_api_key")):
            error = await failure(server.url, key)
            assert (error.status, error.retry) == (401, False)
            assert f"HTTP 401: {code}: " in str(error)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/chat/completions"])
async def test_a_wrong_path_is_told_the_right_one(path: str) -> None:
    async with running(say("x")) as server:
        error = await failure(server.url.removesuffix("/v1/responses") + path)
    assert (error.status, error.retry) == (404, False)
    assert "/v1/responses" in str(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1/responses", "localhost:8000", "127.0.0.1", ""])
async def test_what_is_no_url_of_a_socket_is_an_error_of_ours(url: str) -> None:
    error = await failure(url)
    assert not error.retry
    assert "looks like ws://" in str(error)


async def test_nobody_listening_is_told_apart() -> None:
    async with running(say("x")) as server:
        url = server.url
    error = await failure(url)
    assert (error.status, error.retry) == (None, True)
    assert "Connect call failed" in str(error)


async def test_a_redirect_does_not_take_the_key_elsewhere() -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        port = elsewhere.sockets[0].getsockname()[1]
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: ws://127.0.0.1:{port}/v1/responses\r\n"
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        writer.close()

    elsewhere, server = [await asyncio.start_server(answer, "127.0.0.1", 0) for _ in range(2)]
    async with elsewhere, server:
        error = await failure(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/responses", "rt_secret")
    assert (error.status, error.retry) == (307, False)
    assert len(asked) == 1
