"""Three nodes as processes behind HAProxy, which can be upgraded one after the other, and clients that go on meanwhile.

What a client says is known: `ORACLE` has the tokens of every answer, each with its number, so that whatever is lost,
doubled or out of order can be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import openai
import websockets.exceptions

import realtime_client
from realtime_client import Policy
from tests.clients.test_python_client import stands_for
from tests.deploy.proxies import HOST, Proxy, proxy
from tests.support.long import effort
from tests.support.node import JS, find_node
from tests.support.patience import SECONDS
from tests.support.ports import free_port
from tests.support.process import ServerProcess, serve

NAMES = ("a", "b", "c")
ORACLE = [f"{number} " for number in range(effort(120, 300))]
TURN = 40  # tokens of an answer to a plain client
TICK = effort(50, 150) / 1000
POLICY = Policy(  # all streams are one process, which may be slow
    initial_delay_seconds=0.05, max_delay_seconds=1, max_retry_seconds=SECONDS, connect_timeout_seconds=60
)
TERMINALS = ("response.completed", "response.incomplete", "response.failed")


class House:
    """The nodes, each at an address of its own, however often it is started. `restart` upgrades one."""

    def __init__(self, store: str, script: Path, drain_seconds: float) -> None:
        self._arguments = ["--engine", "scripted", "--script", str(script), "--cluster", store]
        self._arguments += ["--drain-seconds", str(drain_seconds), "--log-level", "warning"]
        self._arguments += ["--ping-timeout-seconds", str(SECONDS)]  # of plain clients on a slow machine
        self._stack = contextlib.AsyncExitStack()
        self._processes: dict[str, ServerProcess] = {}
        self.ports = [free_port() for _ in NAMES]

    async def start(self, *names: str) -> None:
        """Start nodes, and wait until they and all others know each other."""
        starting = [
            serve(*self._arguments, "--node", name, "--port", str(self.ports[NAMES.index(name)])) for name in names
        ]
        for name, one in zip(names, starting, strict=True):
            self._processes[name] = await self._stack.enter_async_context(one)
        await asyncio.gather(*(self._knows_all(port) for port in self.ports))

    async def restart(self, name: str) -> None:
        """Have one go down in order, and start the next one in its place."""
        process = self._processes[name]
        process.send(signal.SIGTERM)
        assert await process.end() == 0, process.said
        await self.start(name)

    async def close(self) -> None:
        """End all."""
        await self._stack.aclose()

    async def _knows_all(self, port: int) -> None:
        async with asyncio.timeout(SECONDS), plain_http(port) as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    answer = await http.get("/ready")
                    if answer.status_code == 200 and answer.json()["node"]["others"] == len(NAMES) - 1:
                        return
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def house(store: str, folder: Path, drain_seconds: float = 60) -> AsyncIterator[tuple[House, Proxy]]:
    """Start the nodes, and HAProxy before them."""
    script = folder / "script.toml"
    script.write_text(f"tick_seconds = {TICK}\n[[responses]]\nsay = {json.dumps(ORACLE)}\n")
    here = House(store, script, drain_seconds)
    try:
        await here.start(*NAMES)
        async with proxy("haproxy", folder, here.ports) as found:
            yield here, found
    finally:
        await here.close()


class Answer(msgspec.Struct):
    """One answer as its client had it. `went_on`: its `recovery`."""

    id: str
    text: str
    tokens: int
    recovery: dict[str, Any] | None = None


class Stream:
    """One user, who asks again and again until `over`. `pause`: the longest wait for an event of an answer."""

    def __init__(self, over: asyncio.Event) -> None:
        self.over = over
        self.answers: list[Answer] = []
        self.pause = 0.0


class OurStream(Stream):
    """With our Python client."""

    async def go(self, rt: realtime_client.Client, number: int) -> None:
        while not self.over.is_set() or not self.answers:
            response = await rt.create(input=f"story {number}, {len(self.answers)}")
            events: list[Any] = []
            at = time.monotonic()
            async for event in response:
                events.append(event)
                now = time.monotonic()
                self.pause, at = max(self.pause, now - at), now
            assert stands_for(events) == list(range(events[-1]["sequence_number"] + 1))
            result: Any = await response.result()
            why = {name: result.get(name) for name in ("status", "cancel", "error")}
            assert result["status"] == "completed", (why, self.pause)
            said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
            assert said == result.output_text
            usage = result["usage"]["output_tokens"]
            self.answers.append(Answer(result["id"], said, usage, result.get("recovery")))


class PlainStream(Stream):
    """With OpenAI's SDK. `refused`: how often it had to ask again by itself, because a socket was closed or its node
    takes nothing new; nothing of an answer had come by then.
    """

    refused = 0

    async def over_http(self, client: openai.AsyncOpenAI) -> None:
        while not self.over.is_set() or not self.answers:
            stream: Any = await client.responses.create(**self._asked(), stream=True)
            self._take([event async for event in stream])

    async def over_websocket(self, client: openai.AsyncOpenAI) -> None:
        while not self.over.is_set() or not self.answers:
            events: list[Any] = []
            try:
                async with client.responses.connect() as connection:
                    while not self.over.is_set() or not self.answers:
                        events = []
                        await connection.send({"type": "response.create", **self._asked()})  # type: ignore[arg-type]
                        async for event in connection:
                            if event.type == "error":
                                break
                            events.append(event)
                            if event.type in TERMINALS:
                                break
                        if not events:
                            break
                        self._take(events)
            except (websockets.exceptions.ConnectionClosed, websockets.exceptions.InvalidStatus, TimeoutError):
                assert not events or events[-1].type in TERMINALS, "it was cut in the middle of an answer"
            self.refused += 1

    def _asked(self) -> dict[str, Any]:
        """Each turn but the first continues the one before, wherever that was made."""
        before = {"previous_response_id": self.answers[-1].id} if self.answers else {}
        return {"model": "starter", "input": "and then?", "max_output_tokens": TURN, **before}

    def _take(self, events: Sequence[Any]) -> None:
        assert [event.sequence_number for event in events] == list(range(len(events)))
        last = events[-1]
        assert last.type == "response.incomplete", last
        said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert said == last.response.output_text
        self.answers.append(Answer(last.response.id, said, last.response.usage.output_tokens))


class JavaScript:
    """All streams of our JavaScript client, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def begun(self) -> None:
        """Wait until each has its first answer."""
        assert self._process.stdout is not None
        if await asyncio.wait_for(self._process.stdout.readline(), SECONDS) != b"begun\n":
            raise AssertionError((await self._process.communicate())[1].decode())

    async def answers(self) -> list[Answer]:
        """Have them come to their end."""
        said, trouble = await asyncio.wait_for(self._process.communicate(b"over\n"), SECONDS)
        assert self._process.returncode == 0, trouble.decode()
        return [msgspec.json.decode(line, type=Answer) for line in said.splitlines()]


@contextlib.asynccontextmanager
async def javascript(found: Proxy, number: int, per_socket: int, certificate: Path) -> AsyncIterator[JavaScript]:
    """Start them."""
    process = await asyncio.create_subprocess_exec(
        find_node(), "test/upgrade.mjs", found.url, str(number), str(per_socket), "{}", cwd=JS,
        env={"NODE_EXTRA_CA_CERTS": str(certificate)}, limit=1 << 24,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield JavaScript(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def kept(port: int) -> dict[str, dict[str, Any]]:
    """Return all that is kept in the cluster, by its id, page by page."""
    found: dict[str, dict[str, Any]] = {}
    query: dict[str, Any] = {"limit": 100, "order": "asc"}
    async with plain_http(port) as http:
        while True:
            page = (await http.get("/v1/responses", params=query)).json()
            assert not found.keys() & {one["id"] for one in page["data"]}
            found |= {one["id"]: one for one in page["data"]}
            if not page["has_more"]:
                return found
            query["after"] = page["last_id"]


def plain_http(port: int) -> httpx2.AsyncClient:
    """Return a client that reads no certificates, for which the streams would stand still."""
    return httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False, verify=False, timeout=SECONDS)
