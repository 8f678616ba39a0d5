"""Signals, as a process gets them: the first drains, the second ends with terminals, the third ends the process."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.support.patience import SECONDS
from tests.support.process import ServerProcess, serve
from tests.support.server import Client, dial
from tests.support.steps import begin

ENDLESS: dict[str, Any] = {"ignore_eos": True, "max_output_tokens": 1_000_000}


async def close_code(client: Client) -> int | None:
    await asyncio.wait_for(client.connection.wait_closed(), 120)
    return client.connection.close_code


async def stream(address: str, begun: asyncio.Event) -> list[str]:
    """The data of a stream's events, to its end."""
    body = {"input": "hi", "stream": True, **ENDLESS}
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as http,
        http.stream("POST", f"http://{address}/v1/responses", json=body) as answer,
    ):
        data = []
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                data.append(line.removeprefix("data: "))
                begun.set()
        return data


@pytest.fixture
async def server() -> AsyncIterator[ServerProcess]:
    async with serve("--engine", "scripted", "--drain-seconds", "600") as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_second_signal_ends_every_response_with_its_terminal(
    server: ServerProcess, number: signal.Signals
) -> None:
    address = await server.ready()
    begun = asyncio.Event()
    streaming = asyncio.create_task(stream(address, begun))
    async with (
        dial(f"ws://{address}/v1/responses") as plain,
        dial(f"ws://{address}/v1/responses", native=True) as native,
    ):
        await begin(plain, **ENDLESS)
        await begin(native, **ENDLESS)
        await begun.wait()
        server.send(number)
        await server.says("draining responses=3")
        server.send(number)
        for client in (plain, native):
            end = (await client.until_done())[-1]
            assert (end["type"], end["response"]["error"]["code"]) == ("response.failed", "server_error")
            assert await close_code(client) == 1012
    *_, terminal, last = await streaming
    assert (json.loads(terminal)["type"], last) == ("response.failed", "[DONE]")
    assert await server.end() == 0
    assert "Traceback" not in server.said


async def test_the_second_signal_does_not_wait_for_a_client_that_does_not_read(server: ServerProcess) -> None:
    address = await server.ready()
    async with dial(f"ws://{address}/v1/responses", max_queue=1) as client:
        await begin(client, **ENDLESS)
        client.connection.transport.pause_reading()
        server.send(signal.SIGTERM)
        await server.says("draining")
        server.send(signal.SIGTERM)
        assert await server.end() == 0  # the client holds its socket open, and never closes it in turn
        client.connection.transport.abort()
    assert "connections were cut off: 1" in server.said


async def test_the_third_signal_ends_the_process_whatever_it_does(server: ServerProcess) -> None:
    address = await server.ready()
    async with dial(f"ws://{address}/v1/responses") as client:
        await begin(client, **ENDLESS)
        server.send(signal.SIGTERM)
        await server.says("draining")
        for _ in range(2):  # they may come as one
            server.send(signal.SIGTERM)
        assert await server.end() in (0, 128 + signal.SIGTERM)


async def test_a_connection_that_is_kept_alive_is_closed_and_not_cut_off(server: ServerProcess) -> None:
    address = await server.ready()
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as http,
        dial(f"ws://{address}/v1/responses") as client,
    ):
        await http.get(f"http://{address}/health")
        await begin(client, **ENDLESS)
        for _ in range(2):
            server.send(signal.SIGTERM)
            await server.says("draining")
        assert (await client.until_done())[-1]["type"] == "response.failed"
        assert await server.end() == 0
    assert "cut off" not in server.said


async def test_ctrl_c_on_an_idle_server_is_no_error(server: ServerProcess) -> None:
    await server.ready()
    server.interrupt()
    assert await server.end() == 0
    assert "Traceback" not in server.said
