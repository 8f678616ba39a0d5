"""Flushing: a door writes at most once per tick of the event loop, however often it is woken, and under pressure less
often.

All doors that an engine step has woken write in one pass behind it. The pass also measures how long the step's work
took. While that is more than there is time for, writes that may wait are held for some steps: more of the same, never
the first of anything nor an end. Events keep their numbers and their bytes; only how many of them share a write
changes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from .pressure import MAX_HOLD_SECONDS, Pressure, may_hold


class Loop(Protocol):
    """The part of an event loop that this needs."""

    def time(self) -> float: ...
    def call_soon(self, callback: Callable[[], None], /) -> object: ...
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...
    def call_exception_handler(self, context: dict[str, object], /) -> None: ...


class Pace:
    """The pace at which the doors of one event loop write. max_hold: seconds; 0: a write for every step."""

    def __init__(self, max_hold: float = MAX_HOLD_SECONDS, loop: Loop | None = None) -> None:
        self.pressure = Pressure()
        self._max_hold = max_hold
        self._loop = loop  # None: the one that runs at the first call
        self.woken: list[Flusher] = []  # that write in the next pass
        self._began = 0.0  # when the first of these was woken
        self._held: dict[Flusher, float] = {}  # since when; the longest first
        self._waiting = False  # a timer will look at what is held

    def add(self, flusher: Flusher) -> None:
        """Let a door write in the next pass, which comes when the loop has finished its current callbacks."""
        if not self.woken:
            loop = self._loop
            if loop is None:
                loop = self._loop = asyncio.get_running_loop()
            self._began = loop.time()
            loop.call_soon(self._pass)
        self.woken.append(flusher)

    def _pass(self) -> None:
        """Let all woken doors write. Those that a write wakes have their turn in the next tick."""
        assert self._loop is not None
        woken, self.woken = self.woken, []
        holding = self.pressure.high and self._max_hold > 0
        if holding or self._held:
            due = [flusher for flusher in woken if not (holding and self._hold(flusher))]
            for flusher in due:
                self._held.pop(flusher, None)
            self._write(due)
            self._wait()
        else:
            self._write(woken)
        self.pressure.observe(self._began, self._loop.time())

    def _write(self, due: list[Flusher]) -> None:
        """Flush these. A failure of one affects that one alone."""
        for flusher in due:
            flusher.scheduled = False
            try:
                if flusher.urgent:
                    flusher.urgent = False
                    flusher.flush()
                else:
                    flusher.flush_growth()
            except Exception as error:
                assert self._loop is not None
                self._loop.call_exception_handler({"message": "a door could not write", "exception": error})

    def _hold(self, flusher: Flusher) -> bool:
        since = self._held.get(flusher)
        if not (may_hold(since, self._began, self.pressure.gap, self._max_hold) and flusher.may_wait()):
            return False
        if since is None:
            self._held[flusher] = self._began
        return True

    def _wait(self) -> None:
        """Set a timer that writes what is held when no step does."""
        if self._held and not self._waiting:
            assert self._loop is not None
            self._waiting = True
            first = next(iter(self._held.values()))
            self._loop.call_later(max(0.0, first + self._max_hold - self._loop.time()), self._on_time)

    def _on_time(self) -> None:
        assert self._loop is not None
        self._waiting = False
        now = self._loop.time()
        due = list(itertools.takewhile(lambda flusher: self._held[flusher] + self._max_hold <= now, self._held))
        for flusher in due:
            del self._held[flusher]
        self._write(due)
        self._wait()


def _nothing() -> None:
    """Write nothing, in place of the callbacks of a door that has stopped."""


class Flusher:
    """A caller of `flush`, when the loop has finished its current callbacks. Growing logs wake it, so `wake` is on the
    path of every token.

    pace: shared by the doors of a loop; None: one of its own that holds nothing. may_wait: says, under pressure,
    whether everything to write may be held for a moment. flush_growth: called in place of `flush` when no `wake_now`
    has come, so nothing has happened but that logs have grown.
    """

    __slots__ = ("_may_wait", "_pace", "flush", "flush_growth", "scheduled", "urgent")

    def __init__(
        self,
        flush: Callable[[], None],
        pace: Pace | None = None,
        may_wait: Callable[[], bool] | None = None,
        flush_growth: Callable[[], None] | None = None,
    ) -> None:
        self.flush = flush
        self.flush_growth = flush_growth or flush
        self.scheduled = False  # it has its turn in the next pass
        self.urgent = False
        self._pace = pace or Pace(max_hold=0)
        self._may_wait = may_wait

    def wake(self) -> None:
        """Note that there may be something to write."""
        if not self.scheduled:
            self.scheduled = True
            if woken := self._pace.woken:  # there will be a pass
                woken.append(self)
            else:
                self._pace.add(self)

    def wake_now(self) -> None:
        """Note that there may be something to write that must not be held."""
        self.urgent = True
        self.wake()

    def stop(self) -> None:
        """Never flush again, and drop the references to the callbacks."""
        self.flush, self.flush_growth, self._may_wait = _nothing, _nothing, None

    def may_wait(self) -> bool:
        """Return, in a pass, whether this one may be held. If so, it can be woken again."""
        may = not self.urgent and self._may_wait is not None and self._may_wait()
        if may:
            self.scheduled = False
        return may
