"""What the file costs: the writer's and the loop's share of an event, beside a store in memory; and what is kept.

Streams append one event each, 50 times a second, as a model that speaks; nothing else runs in the process.
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
from realtime.store.event_log import EventLog
from realtime.store.memory import memory_stores
from realtime.store.records import Head, Record
from realtime.store.sqlite.stores import Opened, bounds_of, open_stores
from realtime.wire import events as e
from realtime.wire.ids import new_id
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate

from .measure import p50_p99

PER_SECOND = 50
WAYS = {
    "memory": None,
    "sqlite": StoreSettings(),
    "sqlite, after_commit": StoreSettings(deliver="after_commit"),
}
NUM_TOKENS = 128  # of a finished answer
MODEL = ModelInfo(name="m", path="m", max_model_len=4096, defaults=Sampling(max_tokens=1024))


def run(quick: bool, figures: dict[str, Any]) -> None:
    """Measure, print, fill in the figures."""
    seconds, number = (0.6, 2_000) if quick else (10.0, 100_000)
    print(
        f"{'store':28} {'streams':>8} {'writer us/event':>16} {'loop us/event':>14} {'kept p50 ms':>12} {'p99 ms':>8}"
    )
    for streams in (32, 128):
        for name, settings in WAYS.items():
            found = uvloop.run(_stream(streams, seconds, settings))
            figures[f"{name}, {streams}"] = found
            writer, loop, p50, p99 = (found[key] for key in ("writer_us", "loop_us", "p50_ms", "p99_ms"))
            print(f"{name:28} {streams:8} {writer:16.2f} {loop:14.2f} {p50:12.2f} {p99:8.2f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        figures["kept"] = kept = uvloop.run(_fill(path, number)) | _reopened(path, number)
    for key, value in kept.items():
        print(f"{key:40} {value:12.3f}")


def _answer(number: int, num_tokens: int) -> tuple[ResponseCreate, EventLog, Any]:
    """A finished answer of random words."""
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


async def _stream(streams: int, seconds: float, settings: StoreSettings | None) -> dict[str, float]:
    """Append for so long; with no settings in memory."""
    with tempfile.TemporaryDirectory() as folder:
        opened: Opened | None = None
        if settings is None:
            store: ResponseStore = memory_stores(ResponseSettings()).responses
        else:
            opened = open_stores(Path(folder) / "store.db", bounds_of(ResponseSettings()), settings)
            store = opened.stores.responses
        try:
            return await _append(store, opened, streams, int(seconds * PER_SECOND))
        finally:
            if opened is not None:
                opened.stores.close()


async def _append(store: ResponseStore, opened: Opened | None, streams: int, ticks: int) -> dict[str, float]:
    logs = []
    for number in range(streams):
        request, log, _ = _answer(number, ticks)
        store.open(Head(response_id=log.response_id, owner="t", epoch=log.epoch, stream_id=None, request=request))
        logs.append((log.response_id, log.read(0, 1 << 30)))
    texts = [msgspec.json.decode(entry).get("delta", "") for entry in logs[0][1]]
    await asyncio.sleep(0.1)
    before = opened.writer.cpu_seconds if opened is not None else 0.0  # type: ignore[union-attr]
    waits: list[tuple[float, int]] = []
    kept: list[float] = []  # seconds until it is committed, which is when `after_commit` sends it
    first = logs[0][0]
    if opened is not None:

        def note() -> None:
            there, now = store.durable(first), time.perf_counter()
            while waits and waits[0][1] < there:
                kept.append(now - waits.pop(0)[0])

        opened.commits.on_commit.append(note)
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
    writer = (opened.writer.cpu_seconds - before) if opened is not None else 0.0  # type: ignore[union-attr]
    return {"writer_us": writer / number * 1e6, "loop_us": loop / number * 1e6, **p50_p99(kept)}


async def _fill(path: Path, number: int) -> dict[str, float]:
    """Keep finished answers; every other one continues the one before."""
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
    """Resident memory of this process, in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
