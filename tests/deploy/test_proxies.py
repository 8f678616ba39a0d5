"""What the documented proxies must do for the server: upgrade, stream, stay silent for long, drain, fail over."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets.exceptions

from realtime.engine.scripted import say
from tests.deploy.proxies import HOST, NAMES, Proxy, proxy
from tests.support.server import Client, Running, changed, dial, running
from tests.support.steps import begin, engine_holds, finish, resume, take_all, until

each_proxy = pytest.mark.parametrize("name", NAMES)


def through(found: Proxy, **options: Any) -> Any:
    """A socket to a server through the proxy."""
    return dial(found.url, ssl=found.tls, **options)


def web(found: Proxy) -> httpx2.AsyncClient:
    """An HTTP client that goes through the proxy."""
    return httpx2.AsyncClient(base_url=found.http, verify=found.tls, trust_env=False, timeout=60)


@each_proxy
async def test_a_socket_is_opened_and_an_answer_that_was_cut_goes_on(name: str, tmp_path: Path) -> None:
    async with (
        running(say(*"abcdefgh"), tick_seconds=None) as server,
        proxy(name, tmp_path, [server.port]) as found,
    ):
        async with through(found, native=True, headers={"Origin": found.http}) as first:
            response_id = await begin(first, on_disconnect={"policy": "continue"})
            first.connection.transport.abort()
        await until(lambda: not server.gateway.sockets.shells, "the proxy to let go of its side")
        await finish(server)
        async with through(found, native=True) as second:
            assert (await resume(second, response_id))["type"] == "response.resumed"
            last = json.loads((await take_all(second))[-1])
        assert last["response"]["output"][0]["content"][0]["text"] == "abcdefgh"
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with through(found, headers={"Origin": "https://elsewhere.example"}):
                pass
        assert refused.value.response.status_code == 403, (
            "the server compares the origin with the name that was asked for"
        )


@each_proxy
async def test_a_stream_over_http_comes_event_by_event_and_metrics_do_not_come(name: str, tmp_path: Path) -> None:
    async with (
        running(say(*"abc"), tick_seconds=None) as server,
        proxy(name, tmp_path, [server.port]) as found,
        web(found) as client,
    ):
        for path in ("/metrics", "/cluster/node"):
            answer = await client.get(path)
            assert (answer.status_code, "json" in answer.headers.get("content-type", "")) == (404, False), "the proxy's"
        async with client.stream("POST", "/v1/responses", json={"input": "hi", "stream": True}) as stream:
            lines = stream.aiter_lines()
            await until(lambda: engine_holds(server) == 1)
            for letter in "abc":
                server.engine.step()
                async with asyncio.timeout(120):  # the next letter is not made before this one is here
                    while True:
                        line = await anext(lines)
                        if line.startswith("data: ") and json.loads(line[6:]).get("delta") == letter:
                            break
            await finish(server)
            assert [line async for line in lines if line][-1] == "data: [DONE]"


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        (
            "nginx",
            {"proxy_read_timeout 75s": "proxy_read_timeout 4s", "proxy_send_timeout 75s": "proxy_send_timeout 4s"},
        ),
        ("haproxy", {"timeout tunnel 75s": "timeout tunnel 4s"}),
    ],
)
async def test_a_silent_socket_lives_by_pings(name: str, limits: dict[str, str], tmp_path: Path) -> None:
    async def outlives(ping_seconds: float, folder: Path) -> bool:
        settings = changed(ping_interval_seconds=ping_seconds, heartbeat_seconds=0)
        async with (
            running(say("a"), settings) as server,
            proxy(name, folder, [server.port], limits) as found,
            through(found, native=True, ping_interval=None) as client,
        ):
            try:
                await asyncio.wait_for(client.connection.wait_closed(), 6 if ping_seconds < 1 else 60)
            except TimeoutError:
                events = await client.create()
                return bool(events[-1]["type"] == "response.completed")
            return False

    pings, silence = tmp_path / "pings", tmp_path / "silence"
    pings.mkdir()
    silence.mkdir()
    kept, lost = await asyncio.gather(outlives(0.2, pings), outlives(50, silence))
    assert kept, "the proxy's limit is longer than the interval of pings"
    assert not lost, "the limit is not the proxy's: this test shows nothing"


@each_proxy
async def test_a_node_that_drains_gets_nothing_new_and_one_that_is_dead_is_passed_by(name: str, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listener:
        dead = listener.getsockname()[1]
    async with (
        running(say("a"), tick_seconds=None) as one,
        running(say("b"), tick_seconds=None) as two,
        proxy(name, tmp_path, [dead, one.port, two.port]) as found,
        through(found, native=True) as client,
    ):
        holder, other = (one, two) if one.gateway.sockets.shells else (two, one)
        response_id = await begin(client)
        draining = asyncio.create_task(holder.gateway.drain())
        assert (await client.receive())["type"] == "session.draining"
        await opened_at(other, found)
        await finish(holder)
        assert (await client.until_done(response_id))[-1]["type"] == "response.completed"
        await asyncio.wait_for(client.connection.wait_closed(), 120)
        assert client.connection.close_code == 1012
        await draining


async def opened_at(server: Running, found: Proxy) -> None:
    """Connect again, as clients do, until it is at this server; three times, which no dead one may spoil."""
    before, clients = server.gateway.service.num_running, 0
    async with asyncio.timeout(120):
        while clients < 3:
            try:
                async with through(found, native=True) as client:
                    clients += await is_at(server, client, before)
            except websockets.exceptions.InvalidStatus as refused:
                if refused.response.status_code not in (502, 503):  # the proxy has not heard of the drain yet
                    raise
                await asyncio.sleep(0.05)


async def is_at(server: Running, client: Client, before: int) -> bool:
    await begin(client)
    assert server.gateway.service.num_running == before + 1
    await finish(server)
    await client.until_done()
    return True
