"""A service on a file, without sockets, that dies at any moment and is started again: what it would have said, and what
it said.

The engine is scripted. `House.die` is what `kill -9` leaves: what was committed by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import msgspec

from realtime.engine.backoff import Backoff
from realtime.engine.scripted import Script, ScriptedEngine
from realtime.engine.supervisor import SupervisedEngine
from realtime.runs.run import Run
from realtime.server.gateway import Gateway
from realtime.service import delivery
from realtime.service.principal import LOCAL
from realtime.settings.fields import Settings
from realtime.store.packed.batches import Batch
from realtime.store.packed.journal import decode_chunks
from realtime.store.records import Source
from realtime.store.sqlite.stores import Opened, bounds_of, open_at_once
from realtime.wire.items import Message
from realtime.wire.requests import OnDisconnect, ResponseCreate

_OF_THIS_TIME = ("created_at", "completed_at", "recovery", "encrypted_content")
_NEVER = 1_000_000

T = TypeVar("T")


class _Nowhere:
    """In the place of a store's executor: nothing is committed any more."""

    trouble: str | None = None

    def submit(self, batch: Batch, done: Any) -> None:
        """See Executor."""

    def later(self, seconds: float, call: Any) -> None:
        """See Executor."""


class House:
    """One process: a service, its stores, its engines. `waits`: nothing is committed before `flush`."""

    def __init__(self, path: Path, script: Script, settings: Settings, waits: bool, options: dict[str, Any]) -> None:
        self.path = path
        self.opened: Opened = open_at_once(path, bounds_of(settings.responses), waits=waits)
        self.engines: list[ScriptedEngine] = []
        self.script = script
        self._options = options
        self.supervised = SupervisedEngine(self._make, Backoff(first_seconds=0, jitter=0))
        self.gateway = Gateway(settings, self.supervised, self.opened.stores)
        self.service = self.gateway.service

    def _make(self) -> ScriptedEngine:
        self.engines.append(ScriptedEngine(self.script, **{"name": "starter", **self._options}))
        return self.engines[-1]

    @property
    def engine(self) -> ScriptedEngine:
        """The one of now."""
        return self.engines[-1]

    @property
    def runs(self) -> list[Run]:
        """What runs."""
        return list(self.service.registry.running.values())

    async def create(self, request: ResponseCreate, *, native: bool = True) -> Run:
        """Begin a response; the engine has it when this returns."""
        request.on_disconnect = request.on_disconnect or OnDisconnect(policy="continue")
        run = await self.service.create(LOCAL, request, None, native=native)
        assert isinstance(run, Run)
        await self.settle()
        return run

    async def settle(self) -> None:
        """Let the event loop do what it can without the engine."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def say(self, ticks: int = 1) -> None:
        """Let the engine make so many steps."""
        for _ in range(ticks):
            self.engine.step()
            await asyncio.sleep(0)
        await self.settle()

    async def finish(self) -> None:
        """Let all that runs come to its end."""
        async with asyncio.timeout(120):  # guards against hanging only
            turn = 0
            while self.runs:
                turn += 1
                if self.supervised.loaded is not None:
                    self.engine.step()
                for _ in range(4):
                    await asyncio.sleep(0)
                if turn % 50 == 0:
                    await asyncio.sleep(0.002)  # somebody else may be asked, over a socket

    def flush(self) -> None:
        """Commit what there is."""
        self.opened.commits.flush()

    async def stored(self, change: Coroutine[Any, Any, T]) -> T:
        """Make a change that is acknowledged when it is stored."""
        made = asyncio.create_task(change)
        await self.settle()
        while not made.done():
            self.flush()
            await self.settle()
        return made.result()

    async def find(self, response_id: str) -> Source:
        """The response with its log."""
        source = await self.stored(self.service.registry.get(response_id, 0.0))
        assert source is not None
        return source

    async def die(self) -> None:
        """End as a process does that is killed."""
        self.opened.commits._executor = _Nowhere()
        with mock.patch.object(delivery, "_LAST_SECONDS", 0.0):
            await self.service.shutdown()
        await self.supervised.shutdown()
        self.opened.stores.close()

    async def end(self) -> None:
        """End in order."""
        await self.stored(self.service.shutdown())
        await self.supervised.shutdown()
        self.opened.stores.close()


@contextlib.asynccontextmanager
async def house(
    path: Path, script: Script, *, settings: Settings | None = None, family: str = "auto", start: bool = True,
    waits: bool = False, **options: Any,
) -> AsyncIterator[House]:  # fmt: skip
    """Start a process on a file. It ends by `die` or here. `start`: the engine, too."""
    settings = msgspec.structs.replace(settings or Settings(), engine="scripted")
    settings = msgspec.structs.replace(settings, vllm=msgspec.structs.replace(settings.vllm, family=family))
    here = House(path, script, settings, waits, options)
    recovering = asyncio.create_task(here.gateway.recover())
    while not recovering.done():
        await asyncio.sleep(0)
        here.flush()
    recovering.result()
    if start:
        await here.supervised.start()
        await until_caught_up(here)
    try:
        yield here
    finally:
        if not isinstance(here.opened.commits._executor, _Nowhere):
            await here.end()


async def until_caught_up(here: House) -> None:
    """Wait for what goes on to be where it was; a dialect is made in a thread."""
    for run in here.runs:
        async with asyncio.timeout(120):
            while run._is_behind and not run.over:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    await here.settle()


def events_of(source: Source) -> list[dict[str, Any]]:
    """All events, less what no two runs have in common."""
    return [timeless(entry) for entry in source.log.read(0, _NEVER)]


def timeless(entry: bytes) -> Any:
    """An event, less what no two runs have in common."""
    return _timeless(json.loads(entry))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(one) for name, one in value.items() if name not in _OF_THIS_TIME}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def entries_of(source: Source) -> Sequence[bytes]:
    """All entries of its log."""
    return source.log.read(0, _NEVER)


def texts_of(source: Source) -> str:
    """The joined deltas of the messages, which is what the messages hold."""
    events = events_of(source)
    said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert said == "".join(item.content[0].text for item in source.response.output if isinstance(item, Message))  # type: ignore[union-attr]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
    return said


def cut_copy(path: Path, to: Path, num_rows: int) -> int:
    """Copy a file with the first rows of its journal only; return how many there were."""
    shutil.copyfile(path, to)
    for ending in ("-wal",):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            shutil.copyfile(beside, to.with_name(to.name + ending))
    with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as db:
        (number,) = db.execute("SELECT count(*) FROM journal").fetchone()
        db.execute("DELETE FROM journal WHERE id NOT IN (SELECT id FROM journal ORDER BY id LIMIT ?)", (num_rows,))
    return int(number)


def tip_of(path: Path) -> int:
    """How many events of the one response that a file has are in its journal."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT chunks FROM journal ORDER BY id").fetchall()
    return max(chunk.tip for (blob,) in rows for chunk in decode_chunks(blob))


__all__ = ["House", "cut_copy", "entries_of", "events_of", "house", "texts_of", "timeless", "tip_of", "until_caught_up"]
