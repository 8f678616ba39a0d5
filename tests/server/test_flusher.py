"""A door writes at most once per tick of the event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest

from realtime.context.tools import ToolSet
from realtime.dialects.base import BlockEnd, MessageBegin, TextDelta
from realtime.engine.scripted import RandomScript, ScriptedEngine
from realtime.runs.assembler import Assembler
from realtime.runs.response_object import new_response
from realtime.server.flusher import Flusher, Pace
from realtime.store.event_log import EventLog
from realtime.wire import events
from realtime.wire.codec import type_of
from realtime.wire.requests import ResponseCreate


async def test_a_flusher_flushes_once_a_tick_however_often_it_is_woken() -> None:
    flushed: list[int] = []
    flusher = Flusher(lambda: flushed.append(1))
    for _ in range(3):
        flusher.wake()
    assert flushed == [], "what the loop is doing is done first"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert flushed == [1]


async def test_a_flush_may_ask_for_the_next_one() -> None:
    flushed: list[int] = []

    def flush() -> None:
        flushed.append(1)
        if len(flushed) < 3:
            flusher.wake()

    flusher = Flusher(flush)
    flusher.wake()
    for number in range(1, 4):
        await asyncio.sleep(0)
        assert len(flushed) == number, "one in each tick"
    await asyncio.sleep(0)
    assert len(flushed) == 3


async def test_a_stopped_flusher_does_nothing_more_even_when_it_was_woken_before() -> None:
    flushed: list[int] = []
    flusher = Flusher(lambda: flushed.append(1))
    flusher.wake()
    flusher.stop()
    await asyncio.sleep(0)
    flusher.wake()
    await asyncio.sleep(0)
    assert flushed == []


async def test_a_door_is_told_when_nothing_has_happened_but_growth() -> None:
    called: list[str] = []
    flusher = Flusher(lambda: called.append("all"), flush_growth=lambda: called.append("growth"))
    for wakes in ([flusher.wake], [flusher.wake, flusher.wake_now], [flusher.wake_now, flusher.wake], [flusher.wake]):
        for wake in wakes:
            wake()
        await asyncio.sleep(0)
    assert called == ["growth", "all", "all", "growth"]
    flusher.wake()
    flusher.stop()
    await asyncio.sleep(0)
    assert len(called) == 4


# -- under pressure, on a clock of its own

MODEL = ScriptedEngine(RandomScript(seed=0), name="starter").loaded.model


class FakeLoop:
    """A loop whose time passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.failures: list[dict[str, object]] = []
        self._soon: list[Callable[[], None]] = []
        self._later: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None], /) -> None:
        self._soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None], /) -> None:
        self._later.append((self.now + delay, callback))

    def call_exception_handler(self, context: dict[str, object], /) -> None:
        self.failures.append(context)

    def turn(self) -> None:
        """What was to come soon, and what is due."""
        due = [callback for at, callback in self._later if at <= self.now]
        self._later = [(at, callback) for at, callback in self._later if at > self.now]
        soon, self._soon = self._soon, []
        for callback in (*due, *soon):
            callback()


class Door:
    """A door that reads a log as the socket's does, and writes to a list: when, and which numbers."""

    def __init__(self, loop: FakeLoop, pace: Pace, write_seconds: float) -> None:
        self.log = EventLog("resp_1", "epoch", stream_id=None, max_bytes=1 << 20, max_entries=1 << 20)
        self.position = 0
        self.writes: list[tuple[float, list[bytes]]] = []
        self.came: list[float] = []
        self._loop = loop
        self._write_seconds = write_seconds
        self.flusher = Flusher(self._flush, pace, lambda: self.position > self.log.milestone + 1)

    def append(self, event: events.Event) -> None:
        self.log.append(event)
        self.came.append(self._loop.now)
        self.flusher.wake()

    def _flush(self) -> None:
        entries = self.log.read(self.position, 1 << 20)
        self.position += len(entries)
        if entries:
            self._loop.now += self._write_seconds
            self.writes.append((self._loop.now, entries))


def story(num_deltas: int) -> Iterator[events.Event]:
    """A response of two messages."""
    response = new_response(ResponseCreate(), MODEL, ToolSet(), "resp_1", 0)
    yield events.ResponseCreated(response=response, epoch="epoch")
    yield events.ResponseInProgress(response=response)
    assembler = Assembler(lambda prefix: f"{prefix}_1")
    for _ in range(2):
        yield from assembler.feed([MessageBegin()])
        for number in range(num_deltas):
            yield from assembler.feed([TextDelta(f" {number}")])
        yield from assembler.feed([BlockEnd()])
    yield from assembler.close("completed")
    yield events.ResponseCompleted(response=response)


def play(loop: FakeLoop, pace: Pace, doors: Sequence[Door], *, num_deltas: int, gap: float) -> None:
    """An engine with a step every `gap` seconds, or as soon as the work of the one before is done."""
    stories = [list(story(num_deltas)) for _ in doors]
    for step in itertools.zip_longest(*stories):
        due = loop.now + gap
        for door, event in zip(doors, step, strict=True):
            loop.now += 0.0001
            door.append(event)
        loop.turn()
        loop.now = max(loop.now, due)
    for _ in range(4):
        loop.now += 0.01
        loop.turn()


def in_one_write_each(num_doors: int, num_deltas: int, gap: float, max_hold: float) -> tuple[list[Door], Pace]:
    loop = FakeLoop()
    pace = Pace(max_hold, loop)
    doors = [Door(loop, pace, 0.0002) for _ in range(num_doors)]
    play(loop, pace, doors, num_deltas=num_deltas, gap=gap)
    assert not loop.failures
    return doors, pace


def test_without_pressure_every_step_is_written_at_once() -> None:
    doors, pace = in_one_write_each(8, 500, gap=0.005, max_hold=0.02)
    assert pace.pressure.share < 0.6
    for door in doors:
        assert [len(entries) for _, entries in door.writes] == [1] * door.log.tip


def test_under_pressure_what_goes_on_is_written_together_and_nothing_else_waits() -> None:
    doors, pace = in_one_write_each(8, 500, gap=0.0, max_hold=0.02)
    assert pace.pressure.share > 0.6
    for door in doors:
        numbered = itertools.chain.from_iterable(entries for _, entries in door.writes)
        assert list(numbered) == door.log.read(0, 1 << 20), "each event once, in order, with its own bytes"
        assert len(door.writes) < door.log.tip / 3
        number = 0
        for written_at, entries in door.writes:
            late = written_at - door.came[number]
            assert late < 0.02 + 2 * 8 * 0.0003, "held for longer than is allowed, and a step's work"
            number += len(entries)
    alone, _ = in_one_write_each(8, 500, gap=0.0, max_hold=0.0)
    for door, other in zip(doors, alone, strict=True):
        assert [len(entries) for _, entries in other.writes] == [1] * other.log.tip
        kinds = [type_of(entry) for entry in door.log.read(0, 1 << 20)]
        for position, kind in enumerate(kinds):
            if not kind.endswith(b".delta") or not kinds[position - 1].endswith(b".delta"):
                assert position in last_of_writes(door), f"{kind!r} waited, and it is no more of the same"


def last_of_writes(door: Door) -> set[int]:
    """The numbers of the events that were the newest when a write took them."""
    ends = itertools.accumulate(len(entries) for _, entries in door.writes)
    return {end - 1 for end in ends}


def pressed(loop: FakeLoop) -> Pace:
    """A pace that is under pressure."""
    pace = Pace(0.02, loop)
    pace.pressure.high, pace.pressure.share, pace.pressure.gap = True, 1.0, 0.001
    return pace


def test_steps_that_are_far_apart_are_not_held() -> None:
    """To hold them would save no write."""
    doors, pace = in_one_write_each(200, 100, gap=0.0, max_hold=0.02)
    assert pace.pressure.share > 0.6
    assert pace.pressure.gap > 0.02
    for door in doors:
        assert [len(entries) for _, entries in door.writes] == [1] * door.log.tip


def test_what_must_not_wait_is_written_under_pressure_too() -> None:
    loop = FakeLoop()
    pace = pressed(loop)
    written: list[int] = []
    flusher = Flusher(lambda: written.append(1), pace, lambda: True)
    flusher.wake()
    loop.turn()
    assert written == [], "held"
    flusher.wake_now()
    loop.turn()
    assert written == [1]
    flusher.wake()
    flusher.wake_now()
    pace.pressure.high = True
    loop.turn()
    assert written == [1, 1]


def test_what_is_held_is_written_when_no_step_comes_any_more() -> None:
    loop = FakeLoop()
    pace = pressed(loop)
    written: list[float] = []
    flushers = [Flusher(lambda: written.append(loop.now), pace, lambda: True) for _ in range(2)]
    for flusher in flushers:
        pace.pressure.high = True
        flusher.wake()
        loop.turn()
        loop.now += 0.004
    for _ in range(30):
        loop.now += 0.001
        loop.turn()
    assert written == [pytest.approx(0.02, abs=0.0011), pytest.approx(0.024, abs=0.0011)]


def test_a_door_that_fails_fails_alone() -> None:
    loop = FakeLoop()
    pace = Pace(0.02, loop)
    written: list[int] = []

    def broken() -> None:
        raise ZeroDivisionError

    for flush in (broken, lambda: written.append(1)):
        Flusher(flush, pace).wake()
    loop.turn()
    assert written == [1]
    assert isinstance(loop.failures[0]["exception"], ZeroDivisionError)
