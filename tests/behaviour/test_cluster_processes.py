"""Three servers on one store, killed and stopped as processes are: what their clients have of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.support.long import LONG
from tests.support.process import ServerProcess, serve
from tests.support.server import Client, dial
from tests.support.steps import begin, resume
from tests.support.store_servers import StoreServer, StoreServers
from tests.support.transcript import text_of

KINDS = ("redis", pytest.param("postgres", marks=pytest.mark.skipif(not LONG, reason="Redis shows the same")))
ASKED: dict[str, Any] = {"seed": 1, "ignore_eos": True, "max_output_tokens": 1500}


class Node:
    """A node that is a process of its own."""

    def __init__(self, process: ServerProcess, address: str) -> None:
        self.process = process
        self.url = f"ws://{address}/v1/responses"
        self.http = f"http://{address}"

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with dial(self.url, native=True) as client:
            yield client

    async def get(self, path: str) -> Any:
        async with httpx2.AsyncClient(base_url=self.http, timeout=30, trust_env=False) as http:
            return (await http.get(path)).json()

    async def until(self, lease: bool, others: int) -> dict[str, Any]:
        """Wait until it says of itself that it has a lease, and knows so many others."""
        async with asyncio.timeout(120):
            while True:
                node: dict[str, Any] = (await self.get("/ready"))["node"]
                if (node["lease"], node["others"]) == (lease, others):
                    return node
                await asyncio.sleep(0.05)


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, store_servers: StoreServers) -> StoreServer:
    return store_servers[request.param]


@contextlib.asynccontextmanager
async def processes(server: StoreServer, *names: str) -> AsyncIterator[list[Node]]:
    """Start nodes and wait until they know each other."""
    url = server.url()
    async with contextlib.AsyncExitStack() as stack:
        starting = [serve("--engine", "scripted", "--cluster", url, "--node", name) for name in names]
        running = [await stack.enter_async_context(one) for one in starting]
        found = [Node(process, await process.ready()) for process in running]
        for node in found:
            await node.until(True, len(names) - 1)
        yield found


async def test_answers_outlive_the_processes_that_make_them(server: StoreServer) -> None:
    """kill -9 of the first in mid-answer, and SIGSTOP of the next beyond its lease: it wakes up, and writes nothing."""
    async with processes(server, "a", "b", "c") as (a, b, c), b.client() as reader:
        async with c.client() as client:
            whole = text_of(await client.create("go on", **ASKED))
        async with a.client() as client:
            first = await begin(client, "go on", **ASKED)
            assert (await resume(reader, first))["type"] == "response.resumed"
            seen = [await reader.receive() for _ in range(60)]
            a.process.send(signal.SIGKILL)
            await a.process.end()
        events = [*seen, *await reader.until_done(first)]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert text_of(events) == whole
        before = await c.until(True, 1)
        async with c.client() as client:
            second = await begin(client, "go on", **ASKED)
            assert (await resume(reader, second))["type"] == "response.resumed"
            seen = [await reader.receive() for _ in range(60)]
            c.process.send(signal.SIGSTOP)
            await b.until(True, 0)
            events = [*seen, *await reader.until_done(second)]
            c.process.send(signal.SIGCONT)
            await c.process.says("the lease of node=c is lost")
            await client.connection.wait_closed()
            assert client.connection.close_code == 1012
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert text_of(events) == whole
        assert (await c.until(True, 1))["epoch"] > before["epoch"]
        kept = [await node.get(f"/v1/responses/{second}") for node in (b, c)]
        assert kept[0] == kept[1] == events[-1]["response"]


async def test_a_server_that_goes_down_hands_on_what_it_has(server: StoreServer) -> None:
    async with processes(server, "a", "b") as (a, b), b.client() as reader:
        assert a.process.said.count("CLUSTER WITHOUT A SECRET") == 1
        async with a.client() as client:
            response_id = await begin(client, "go on", **ASKED)
            assert (await resume(reader, response_id))["type"] == "response.resumed"
            a.process.send(signal.SIGTERM)
            await client.connection.wait_closed()
            assert client.connection.close_code == 1012
        assert await a.process.end() == 0
        events = await reader.until_done(response_id)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[-1]["type"] in ("response.completed", "response.incomplete")
