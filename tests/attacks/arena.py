"""Where an attack takes place: a server that listens somewhere, the oracle, and the tally of what happened.

Attacks know the server by its port only, so the same ones run against one in the test's event loop, a process with real
vLLM, and by hand. Randomness comes from the arena's seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2

from tests.support.server import Client, dial

from .oracle import Oracle, Reader

ANSWER_SECONDS = 240  # for any answer at all; on a busy machine the only wrong one is none
Enough = Callable[[], bool]


class Tally:
    """What the attacks did and what they were told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.resumes: list[float] = []  # seconds from the dial to the first event after the cut
        self.refusals: Counter[tuple[str, str]] = Counter()  # (what was asked, what it was told)
        self.wrong: list[str] = []  # beside the oracle's faults
        self.measured: dict[str, float] = {}  # further figures: name, and seconds

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def add(self, name: str, count: int = 1) -> None:
        """So many more of something."""
        self.counts[name] += count

    def refused(self, what: str, code: str) -> None:
        """Something was answered by this code."""
        self.refusals[what, code] += 1


class Arena:
    """See the module. `key` is the credential of the attackers, `others_key` that of another tenant."""

    def __init__(self, port: int, seed: int = 0, key: str | None = None, others_key: str | None = None) -> None:
        self.port, self.key, self.others_key = port, key, others_key
        self.seed = seed
        self.bystanders = 0  # responses of others that always run
        self.round = 0  # attacks before this one
        self.oracle, self.tally = Oracle(), Tally()

    @property
    def url(self) -> str:
        """Where the socket is."""
        return f"ws://127.0.0.1:{self.port}/v1/responses"

    @property
    def http_url(self) -> str:
        """Where the HTTP endpoints are."""
        return f"http://127.0.0.1:{self.port}"

    def rng(self, *names: object) -> random.Random:
        """Random numbers of one client in one attack, whatever the others do."""
        return random.Random(f"{self.seed} {self.round} {names}")

    def dial(self, *, native: bool = True, **options: Any) -> contextlib.AbstractAsyncContextManager[Client]:
        """A socket."""
        return dial(self.url, native=native, key=self.key, **options)

    @contextlib.asynccontextmanager
    async def http(self, key: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        """A client for HTTP."""
        key = key or self.key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=self.http_url, headers=headers, timeout=ANSWER_SECONDS, limits=limits, verify=False
        ) as client:
            yield client

    async def audit(self, response_id: str, *, door: str) -> None:
        """Read a finished response from its first event through one of the doors; the oracle compares."""
        reader = self.oracle.reader(response_id, who=f"an auditor over {door}")
        if door == "sse":
            await self._audit_over_http(reader)
        else:
            async with self.dial() as client:
                await client.send("response.resume", response_id=response_id)
                while not reader.over:
                    await hear(client, reader)
        self.tally.add("audits")

    async def _audit_over_http(self, reader: Reader) -> None:
        async with self.http() as client:
            answer = await client.get(f"/v1/responses/{reader.response_id}?stream=true")
        if answer.status_code != 200:
            self.tally.wrong.append(f"the audit of {reader.response_id} over SSE was answered {answer.text[:300]}")
            return
        *blocks, end, rest = answer.content.split(b"\n\n")
        if (end, rest) != (b"data: [DONE]", b""):
            self.tally.wrong.append(f"the stream of {reader.response_id} ends with {end!r} {rest!r}")
        for block in blocks:
            reader.hear_sse(block)

    async def quiet(self) -> dict[str, Any]:
        """Wait until nothing runs; gives what `/ready` says then. The only clock is the one against hanging."""
        deadline = time.monotonic() + ANSWER_SECONDS
        async with self.http() as client:
            while True:
                state: dict[str, Any] = (await client.get("/ready")).json()
                if max(state["engine_running"] + state["engine_waiting"], state["responses"]) <= self.bystanders:
                    return state
                if time.monotonic() > deadline:
                    self.tally.wrong.append(f"the server does not come to rest: {state}")
                    return state
                await asyncio.sleep(0.02)  # between two polls of another process


async def hear(client: Client, reader: Reader) -> dict[str, Any]:
    """The next event on a socket; the reader hears it if it is of its response."""
    raw = await client.receive_raw(ANSWER_SECONDS)
    event: dict[str, Any] = json.loads(raw)
    return reader.hear(raw.encode()) if event.get("response_id") == reader.response_id else event


async def cut(client: Client) -> None:
    """Lose the connection as when a cable is pulled: a reset, and no word."""
    client.connection.transport.abort()
    await client.connection.wait_closed()
