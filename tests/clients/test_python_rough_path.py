"""The Python client over a path with random cuts, black holes and delays, beside an oracle: what a good path brings."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import Any

import realtime_client
from realtime.engine.base import EngineRequest
from realtime_client import ConnectionLost, Policy
from tests.support.long import effort
from tests.support.merged import merge
from tests.support.rough_path import KINDS, rough_path
from tests.support.server import Running, running

from .test_python_client import stands_for

NUM_RUNS = effort(8, 50)
POLICY = Policy(
    initial_delay_seconds=0.01, max_delay_seconds=0.2, connect_timeout_seconds=0.5,
    heartbeat_seconds=1, max_missed_heartbeats=1,
)  # fmt: skip


def story(request: EngineRequest) -> list[str]:
    return [f"word{number} " for number in range(80)]


async def follow(server: Running, seed: int, turns: asyncio.Semaphore) -> tuple[list[str], float]:
    async with turns:  # all at once they would only measure this machine
        return await follow_one(server, seed)


async def follow_one(server: Running, seed: int) -> tuple[list[str], float]:
    """One run: its faults, and how long it took; raises if anything was lost, doubled or different."""
    rng = random.Random(seed)
    async with rough_path(server.port, seed, num_faults=rng.randint(1, 3), hole_seconds=0.7) as path:
        url = f"ws://127.0.0.1:{path.port}/v1/responses"
        started = asyncio.get_running_loop().time()
        while True:
            with contextlib.suppress(ConnectionLost):  # the first connection is the caller's to try again
                rt = await realtime_client.connect(url, proxy=None, policy=POLICY).__aenter__()
                break
        try:
            response = await rt.create(input="hi", catch_up=rng.choice(["events", "merged"]))
            events: list[Any] = []
            async for event in response:
                events.append(event)
                if rng.random() < 0.05:
                    await asyncio.sleep(0.02)  # a reader that is slow at times
            took = asyncio.get_running_loop().time() - started
            oracle: list[Any] = await whole(server, response.id)
            assert stands_for(events) == stands_for(oracle) == list(range(events[-1]["sequence_number"] + 1))
            assert merge(unlaned(events)) == merge(unlaned(oracle))
            assert (await response.result()) == oracle[-1]["response"]
        finally:
            await rt.close()
    return path.faults, took


async def whole(server: Running, response_id: str) -> list[Any]:
    """The same response over a good path."""
    async with realtime_client.connect(server.url, proxy=None) as rt:
        return [event async for event in await rt.resume(response_id)]


def unlaned(events: list[Any]) -> list[Any]:
    """Without the lane, which is of the socket that it came on."""
    return [{name: value for name, value in event.items() if name != "stream_id"} for event in events]


async def test_nothing_is_lost_doubled_or_changed() -> None:
    seen: Counter[str] = Counter()
    async with running(story, tick_seconds=0.005) as server:
        async with asyncio.TaskGroup() as group:
            turns = asyncio.Semaphore(8)
            runs = [group.create_task(follow(server, seed, turns)) for seed in range(NUM_RUNS)]
        for run in runs:
            seen.update(run.result()[0])
        assert server.engine.stats().num_running == 0
    assert set(seen) == set(KINDS), "every kind was tried"
    print(f"{NUM_RUNS} runs, faults {dict(seen)}, longest {max(run.result()[1] for run in runs):.1f} s")
