"""The cost of a store that outlives the process, compared with one in memory: the writer's and the loop's share of an
event, and the stored bytes. A cluster's store is measured on the servers that are installed here, from one node, over a
socket.

Streams append one event each, 50 times a second, as a speaking model does; nothing else runs in the process.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.dialects.base import TextDelta
from realtime.engine.base import ModelInfo, Sampling, TokenChunk
from realtime.runs.assembler import Assembler
from realtime.runs.response_object import new_response
from realtime.settings.fields import ResponseSettings, StoreSettings
from realtime.store.base import ResponseStore
from realtime.store.cluster.hosts import ThreadHost
from realtime.store.cluster.stores import make_backend, open_cluster
from realtime.store.event_log import EventLog
from realtime.store.memory.stores import memory_stores
from realtime.store.packed.bounds import bounds_of
from realtime.store.packed.commits import Commits
from realtime.store.records import Head, Record
from realtime.store.sqlite.stores import open_stores
from realtime.wire import events as e
from realtime.wire.ids import new_id
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate

from . import numbered, plan
from .databases import NotInstalled, ready, start, stop
from .measure import p50_p99

PER_SECOND = 50
WAYS = {
    "memory": None,
    "sqlite": StoreSettings(),
    "sqlite, after_commit": StoreSettings(deliver="after_commit"),
}
DATABASES = ("redis", "postgres")
NUM_TOKENS = 128  # of a finished answer
MODEL = ModelInfo(name="m", path="m", max_model_len=4096, defaults=Sampling(max_tokens=1024))


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target. seconds: of each way at each level. answers: that are kept in a file. commits: with and
    without a number.
    """

    seconds: float
    answers: int
    commits: int


SIZES: dict[plan.Name, Size] = {
    "long": Size(
        text="10 s of each store at 32 and 128 streams; 100,000 answers", seconds=10.0, answers=100_000, commits=5_000,
        work=60, waits=115,
    ),
    "full": Size(
        text="2 s of each store at 32 and 128 streams; 10,000 answers", seconds=2.0, answers=10_000, commits=1_000,
        work=12, waits=30,
    ),
    "short": Size(
        text="1 s of each store at 32 and 128 streams; 4,000 answers", seconds=1.0, answers=4_000, commits=500,
        work=8, waits=16,
    ),
    "quick": Size(
        text="0.6 s of each store at 32 and 128 streams; 2,000 answers", seconds=0.6, answers=2_000, commits=200,
        work=6, waits=10,
    ),
    "tiny": Size(text="0.1 s of each store, 100 answers", seconds=0.1, answers=100, commits=10),
}  # fmt: skip


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Measure, print, fill in the figures."""
    seconds, number = share.size.seconds, share.size.answers
    print(
        f"{'store':28} {'streams':>8} {'writer us/event':>16} {'loop us/event':>14} {'kept p50 ms':>12} {'p99 ms':>8}"
    )
    with ExitStack() as leaving:
        databases = dict(_databases(leaving))
        ways: dict[str, StoreSettings | str | None] = {**WAYS, **{name: url for name, (url, _) in databases.items()}}
        for streams in (32, 128):
            for name, way in ways.items():
                found = uvloop.run(_stream(streams, seconds, way))
                figures[f"{name}, {streams}"] = found
                writer, loop, p50, p99 = (found[key] for key in ("writer_us", "loop_us", "p50_ms", "p99_ms"))
                print(f"{name:28} {streams:8} {writer:16.2f} {loop:14.2f} {p50:12.2f} {p99:8.2f}", flush=True)
        commits = {name: uvloop.run(numbered.measure(*at, share.size.commits)) for name, at in databases.items()}
    numbered.show(commits)
    figures["numbered"] = commits
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        figures["kept"] = kept = uvloop.run(_fill(path, number)) | _reopened(path, number)
    for key, value in kept.items():
        print(f"{key:40} {value:12.3f}")


def _databases(leaving: ExitStack) -> Iterator[tuple[str, tuple[str, int]]]:
    """Start the servers that are installed; yield their names, with URLs and process ids."""
    for kind in DATABASES:
        folder = Path(leaving.enter_context(tempfile.TemporaryDirectory()))
        try:
            process, url = start(kind, folder, durable=True)
        except NotInstalled as error:
            print(f"{kind:28} {error}")
            continue
        leaving.callback(stop, process)
        asyncio.run(ready(make_backend(url)))
        yield kind, (url, process.pid)


class _Kept(msgspec.Struct, frozen=True):
    """A store that outlives the process. cpu_seconds: the CPU time of its thread."""

    responses: ResponseStore
    commits: Commits
    cpu_seconds: Callable[[], Awaitable[float]]


def _answer(number: int, num_tokens: int) -> tuple[ResponseCreate, EventLog, Any]:
    """Return a finished answer of random words."""
    rng = random.Random(number)
    response_id = new_id("resp")
    request = ResponseCreate(items=[Message(role="user", content=f"question {number}")])
    response = new_response(request, MODEL, ToolSet(), response_id, 0)
    log = EventLog(response_id, new_id("epoch"), stream_id=None, max_bytes=1 << 30, max_entries=1 << 30)
    assembler = Assembler(new_id)
    log.append(e.ResponseCreated(response=response, epoch=log.epoch))
    log.append(e.ResponseInProgress(response=response))
    for _ in range(num_tokens):
        for event in assembler.feed([TextDelta(f" {rng.choice(WORDS)}")]):
            log.append(event)
    for event in assembler.close("completed"):
        log.append(event)
    response.status, response.output = "completed", assembler.output
    log.append(e.ResponseCompleted(response=response))
    return request, log, response


WORDS = [
    "".join(random.Random(n).choices("etaoinshrdlucmfwypvbgk", k=random.Random(n).randint(2, 9))) for n in range(3000)
]


async def _stream(streams: int, seconds: float, way: StoreSettings | str | None) -> dict[str, float]:
    """Append for so long: in a file, at a URL, or in memory."""
    ticks = int(seconds * PER_SECOND)
    if way is None:
        return await _append(memory_stores(ResponseSettings()).responses, None, streams, ticks)
    if isinstance(way, str):
        return await _stream_to_cluster(way, streams, ticks)
    with tempfile.TemporaryDirectory() as folder:
        opened = open_stores(Path(folder) / "store.db", bounds_of(ResponseSettings()), way)

        async def cpu_seconds() -> float:
            return opened.writer.cpu_seconds  # type: ignore[union-attr]

        try:
            responses = opened.stores.responses
            return await _append(responses, _Kept(responses, opened.commits, cpu_seconds), streams, ticks)
        finally:
            opened.stores.close()


async def _stream_to_cluster(url: str, streams: int, ticks: int) -> dict[str, float]:
    opened = open_cluster(make_backend(url), "a", "ws://a", bounds_of(ResponseSettings()), StoreSettings())
    host = opened.host
    assert isinstance(host, ThreadHost)
    await opened.node.join()
    try:
        responses = opened.stores.responses
        return await _append(responses, _Kept(responses, opened.commits, host.measure), streams, ticks)
    finally:
        await opened.node.leave()
        opened.stores.close()


async def _append(store: ResponseStore, kept_at: _Kept | None, streams: int, ticks: int) -> dict[str, float]:
    logs = []
    for number in range(streams):
        request, log, _ = _answer(number, ticks)
        store.open(Head(response_id=log.response_id, owner="t", epoch=log.epoch, stream_id=None, request=request))
        logs.append((log.response_id, log.read(0, 1 << 30)))
    texts = [msgspec.json.decode(entry).get("delta", "") for entry in logs[0][1]]
    await asyncio.sleep(0.1)
    before = await kept_at.cpu_seconds() if kept_at is not None else 0.0
    waits: list[tuple[float, int]] = []
    kept: list[float] = []  # seconds until it is committed, which is when `after_commit` sends it
    first = logs[0][0]
    if kept_at is not None:

        def note() -> None:
            there, now = store.durable(first), time.perf_counter()
            while waits and waits[0][1] < there:
                kept.append(now - waits.pop(0)[0])

        kept_at.commits.on_commit.append(note)
    began = time.thread_time()
    for tick in range(ticks):
        next_at = time.perf_counter() + 1 / PER_SECOND
        # a model's step: all streams of a few groups, as their engine steps fall
        for group in range(4):
            for response_id, entries in logs[group::4]:
                store.append(response_id, tick, (entries[tick],), TokenChunk(texts[tick], (tick,)))
            if not group:
                waits.append((time.perf_counter(), tick))
            await asyncio.sleep(1 / PER_SECOND / 5)
        await asyncio.sleep(max(next_at - time.perf_counter(), 0))
    loop = time.thread_time() - began
    await asyncio.sleep(0.1)
    number = streams * ticks
    writer = await kept_at.cpu_seconds() - before if kept_at is not None else 0.0
    return {"writer_us": writer / number * 1e6, "loop_us": loop / number * 1e6, **p50_p99(kept)}


async def _fill(path: Path, number: int) -> dict[str, float]:
    """Store finished answers; every other one continues the one before."""
    opened = open_stores(path, bounds_of(ResponseSettings()), StoreSettings())
    answers = [_answer(n, NUM_TOKENS) for n in range(200)]
    before, began = _resident(), time.perf_counter()
    turn: Turn | None = None
    for n in range(number):
        request, log, response = answers[n % len(answers)]
        response_id = f"resp_{n:032x}"
        response.id = response_id
        tokens = array("I", range(NUM_TOKENS))
        prompt = Prompt("x" * 60, array("I", range(20)))
        turn = Turn(response_id, turn if n % 2 else None, tuple(request.items), tuple(response.output), prompt, tokens)
        record = Record(
            owner="t", response=response, epoch=log.epoch, turn=turn, continuable=True, expires_at=1e12, begun_at=n,
            input=tuple(request.items),
        )  # fmt: skip
        opened.stores.responses.seal(record, log.stored(), 0.0)
        if n % 20 == 19:
            await asyncio.sleep(0)
            while not opened.commits.settled:  # noqa: ASYNC110 - as fast as the writer is
                await asyncio.sleep(0.001)
    seconds = time.perf_counter() - began
    grown = _resident() - before
    opened.stores.close()
    size = await asyncio.to_thread(os.path.getsize, path)
    return {
        "answers": number,
        "answers a second": number / seconds,
        "memory grown by MiB": grown,
        "bytes a token in the file": size / number / NUM_TOKENS,
    }


_REOPEN = """
import asyncio, sys, time
from pathlib import Path
from bench.store import _resident
from realtime.settings.fields import ResponseSettings, StoreSettings
from realtime.store.sqlite.stores import bounds_of, open_stores
async def main():
    before, began = _resident(), time.perf_counter()
    opened = open_stores(Path(sys.argv[1]), bounds_of(ResponseSettings()), StoreSettings())
    assert not [one async for one in opened.stores.responses.recover()]
    started = time.perf_counter() - began
    began = time.perf_counter()
    found = await opened.stores.responses.get(f"resp_{int(sys.argv[2]) // 2:032x}", 0.0)
    assert found is not None
    first = time.perf_counter() - began
    print(started, first * 1e3, _resident() - before)
    opened.stores.close()
asyncio.run(main())
"""


def _reopened(path: Path, number: int) -> dict[str, float]:
    """Start another process with the file."""
    command = [sys.executable, "-c", _REOPEN, str(path), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    started, first, grown = map(float, done.stdout.split())
    return {"start seconds": started, "first look-up ms": first, "memory after the start MiB": grown}


def _resident() -> float:
    """Return the resident memory of this process, in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
