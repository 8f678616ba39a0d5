"""A process that watches a server while others attack it: a bystander's streams, `/health`, and memory.

It is a process of its own because what an attacker does to its own event loop must not show as the server's fault. Run
by `Watch`; each line on its stdin ends a phase, and is answered by the figures of that phase as one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil

from bench.measure import percentile
from tests.support.patience import SECONDS
from tests.support.server import dial

SAMPLE_SECONDS = 0.1  # between two looks at memory, and two questions to `/health`
STORY: dict[str, Any] = {"max_output_tokens": 1500, "ignore_eos": True, "temperature": 0, "store": False,
                         "include": ["reasoning.content"]}  # fmt: skip


class Phase(msgspec.Struct):
    """What was seen in one phase. Gaps: seconds between two events of one answer, from its first delta on."""

    gaps: list[float] = []
    health: list[float] = []
    health_failed: int = 0
    broken: list[str] = []  # how the bystander's streams were interrupted
    events: int = 0
    server_peak: int = 0
    core_peak: int = 0
    server_now: int = 0
    core_now: int = 0

    def figures(self) -> dict[str, Any]:
        """As the report wants them: milliseconds, MiB."""
        mib = {name: getattr(self, name) >> 20 for name in ("server_peak", "core_peak", "server_now", "core_now")}
        return mib | {
            "gap_max_ms": max(self.gaps, default=0) * 1e3,
            "gap_p99_ms": percentile(self.gaps, 0.99) * 1e3,
            "over_100_ms": sum(gap > 0.1 for gap in self.gaps),
            "health_p99_ms": percentile(self.health, 0.99) * 1e3,
            "health_max_ms": max(self.health, default=0) * 1e3,
            "health_failed": self.health_failed,
            "broken": self.broken[:5],
            "events": self.events,
        }


class Witness:
    """Watches one server. `phase` is the one of now."""

    def __init__(self, port: int, pid: int, key: str | None) -> None:
        self._port, self._server, self._key = port, psutil.Process(pid), key
        self.phase = Phase()

    async def stream(self) -> None:
        """One long answer after another."""
        number = 0
        while True:
            try:
                async with dial(f"ws://127.0.0.1:{self._port}/v1/responses", key=self._key) as client:
                    while True:
                        number += 1
                        await client.send("response.create", input=f"tell me a story, number {number % 7}", **STORY)
                        await self._read(client)
            except Exception as error:
                self.phase.broken.append(f"{type(error).__name__}: {error}"[:200])
                await asyncio.sleep(0.2)  # the server may be gone on purpose

    async def _read(self, client: Any) -> None:
        last: float | None = None
        while True:
            event = await client.receive(60)
            now = time.perf_counter()
            if last is not None:
                self.phase.gaps.append(now - last)
            if last is not None or event["type"].endswith(".delta"):  # before, it waits for its turn
                last = now
            self.phase.events += 1
            if event["type"] == "error" or event["type"] == "response.failed":
                self.phase.broken.append(json.dumps(event)[:200])
                await asyncio.sleep(0.2)
                return
            if event["done"]:
                return

    async def health(self) -> None:
        """Ask for `/health` again and again, on one connection."""
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            while True:
                asked = time.perf_counter()
                try:
                    ok = (await client.get(f"http://127.0.0.1:{self._port}/health")).status_code == 200
                except httpx2.HTTPError:
                    ok = False
                self.phase.health.append(time.perf_counter() - asked)
                self.phase.health_failed += not ok
                await asyncio.sleep(SAMPLE_SECONDS)  # a sample, not a flood

    async def memory(self) -> None:
        """Look at the memory of the server and of all that it has started."""
        while True:
            with contextlib.suppress(psutil.Error):
                children = [child.memory_info().rss for child in self._server.children(recursive=True)]
                phase = self.phase
                phase.server_now, phase.core_now = self._server.memory_info().rss, sum(children)
                phase.server_peak = max(phase.server_peak, phase.server_now)
                phase.core_peak = max(phase.core_peak, phase.core_now)
            await asyncio.sleep(SAMPLE_SECONDS)  # a sample

    async def run(self) -> None:
        """Watch until stdin ends."""
        watching = [asyncio.create_task(watch) for watch in (self.stream(), self.health(), self.memory())]
        while await asyncio.to_thread(sys.stdin.readline):
            ended, self.phase = self.phase, Phase()
            print(json.dumps(ended.figures()), flush=True)
        for task in watching:
            task.cancel()


class Watch:
    """The caller's side, a context manager: `await watch.phase()` gives the figures since the last one."""

    def __init__(self, port: int, pid: int, key: str | None = None) -> None:
        self._arguments = [str(port), str(pid), *([key] if key else [])]

    async def __aenter__(self) -> Watch:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __spec__.name, *self._arguments, cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await self.phase()  # it is there
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def phase(self) -> dict[str, Any]:
        """End the phase of now: its figures."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        figures: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return figures


if __name__ == "__main__":
    asyncio.run(Witness(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None).run())
