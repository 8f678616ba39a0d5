"""The Go client over a path with random cuts, black holes and delays, beside an oracle: what a good path brings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.go import build
from tests.support.long import effort
from tests.support.merged import merge
from tests.support.rough_path import KINDS, rough_path
from tests.support.server import Running, running

from .test_python_client import stands_for
from .test_python_rough_path import story, unlaned, whole

NUM_RUNS = effort(30, 50)


async def test_nothing_is_lost_doubled_or_changed(tmp_path: Path) -> None:
    program = build("./internal/follow", tmp_path)
    async with running(story, tick_seconds=0.005) as server, contextlib.AsyncExitStack() as stack:
        paths = []
        for seed in range(NUM_RUNS):
            num_faults = random.Random(seed).randint(1, 3)
            path = rough_path(server.port, seed, num_faults=num_faults, hole_seconds=0.7)
            paths.append(await stack.enter_async_context(path))
        urls = [f"ws://127.0.0.1:{path.port}/v1/responses" for path in paths]
        reports = await _reports(program, urls)
        assert {report["url"] for report in reports} == set(urls)
        for report in reports:
            await _compare(server, report)
        assert server.engine.stats().num_running == 0
    seen = Counter(fault for path in paths for fault in path.faults)
    assert set(seen) == set(KINDS), "every kind was tried"
    print(f"{NUM_RUNS} runs, faults {dict(seen)}")


async def _compare(server: Running, report: dict[str, Any]) -> None:
    events: list[Any] = report["events"]
    oracle = await whole(server, events[0]["response_id"])
    assert stands_for(events) == stands_for(oracle) == list(range(events[-1]["sequence_number"] + 1))
    assert merge(unlaned(events)) == merge(unlaned(oracle))
    assert report["final"] == oracle[-1]["response"]


async def _reports(program: Path, urls: list[str]) -> list[dict[str, Any]]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, *urls, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(240):  # a lost event would wait for ever
            out, problem = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, problem.decode()
    return [json.loads(line) for line in out.splitlines()]
