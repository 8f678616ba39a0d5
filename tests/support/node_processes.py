"""Nodes of a cluster that are processes of their own, and what is read of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
from websockets.exceptions import InvalidStatus

from realtime.store.cluster import keys
from realtime.store.cluster.stores import make_backend
from tests.support.patience import SECONDS

from .cut_answers import Events, check_order
from .process import ServerProcess, serve
from .server import Client, dial
from .steps import resume
from .transcript import text_of

SCRIPTED = ("--engine", "scripted")
_SECRET = "the secret of the nodes in a test"


class Node:
    """One that serves."""

    def __init__(self, process: ServerProcess, address: str) -> None:
        self.process = process
        self.url = f"ws://{address}/v1/responses"
        self.http = f"http://{address}"

    @contextlib.asynccontextmanager
    async def client(self, key: str | None = None) -> AsyncIterator[Client]:
        """Connect to it, as soon as it lets anybody in: one that has just woken up is behind, and refuses sockets."""
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(SECONDS):
                while (client := await self._dialled(stack, key)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            yield client

    async def _dialled(self, stack: contextlib.AsyncExitStack, key: str | None) -> Client | None:
        try:
            return await stack.enter_async_context(dial(self.url, native=True, key=key))
        except InvalidStatus as refusal:
            if refusal.response.status_code != 503:
                raise
            return None

    async def get(self, path: str) -> Any:
        """Return what it has there."""
        async with httpx2.AsyncClient(base_url=self.http, timeout=30, trust_env=False) as http:
            return (await http.get(path)).json()

    async def post(self, path: str, body: Any) -> Any:
        """Return what it answers."""
        async with httpx2.AsyncClient(base_url=self.http, timeout=30, trust_env=False) as http:
            return (await http.post(path, json=body)).json()

    async def until(self, lease: bool, others: int) -> dict[str, Any]:
        """Wait until it says of itself that it has a lease and serves, or has none, and knows so many others."""
        async with (
            asyncio.timeout(SECONDS),
            httpx2.AsyncClient(base_url=self.http, timeout=30, trust_env=False) as http,
        ):
            while True:
                answer = await http.get("/ready")
                node: dict[str, Any] = answer.json()["node"]
                if (answer.is_success, node["lease"], node["others"]) == (lease, lease, others):
                    return node
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def processes(
    url: str, engines: Mapping[str, Sequence[str]], *, secret: str | None = _SECRET
) -> AsyncIterator[list[Node]]:
    """Start nodes on one store and wait until they know each other. engines: the flags of each node, by its name."""
    shared = {} if secret is None else {"REALTIME_CLUSTER_SECRET": secret}
    async with contextlib.AsyncExitStack() as stack:
        starting = [serve(*flags, "--cluster", url, "--node", name, **shared) for name, flags in engines.items()]
        running = [await stack.enter_async_context(one) for one in starting]
        found = [Node(process, await process.ready()) for process in running]
        for node in found:
            await node.until(True, len(engines) - 1)
        yield found


async def stored(url: str, response_id: str) -> None:
    """Wait until the store has a response."""
    backend = make_backend(url)
    await backend.open()
    try:
        async with asyncio.timeout(SECONDS):
            while list(await backend.get([keys.owner(response_id)])) == [None]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await backend.close()


async def receive(client: Client, response_id: str) -> dict[str, Any]:
    """Return the next event of a response, or the error that a reader of it gets."""
    while True:
        event = await client.receive()
        if event.get("response_id") == response_id or event["type"] == "error":
            return event


async def watch(client: Client, response_id: str) -> Events:
    """Follow a response from its first event on; return some of what it says."""
    resumed = await resume(client, response_id)
    assert resumed["type"] == "response.resumed", resumed
    events: Events = []
    while text_of(events) == "":
        events.append(await receive(client, response_id))
    return events


async def rest_of(client: Client, response_id: str, events: Events) -> Events:
    """All events of a response, of which these have come."""
    whole = list(events)
    while not whole[-1]["done"]:
        whole.append(await receive(client, response_id))
    check_order(whole)
    return whole
