"""When the store is swept: when the next record expires, and not while none will."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from realtime.service.sweeper import MIN_SECONDS, RETRY_SECONDS, Sweeper


class Time:
    """A clock with one event loop's timers, and a store that is swept; `expiries` are its records."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.expiries: list[float] = []
        self.broken = False
        self.sweeps: list[float] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.sweeper = Sweeper(self.sweep, lambda: self.now, self.call_later)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Time.Handle:
        handle = Time.Handle(self, (self.now + seconds, call))
        self.timers.append(handle.timer)
        return handle

    class Handle:
        def __init__(self, time: Time, timer: tuple[float, Callable[[], None]]) -> None:
            self.time, self.timer = time, timer

        def cancel(self) -> None:
            self.time.timers.remove(self.timer)

    def sweep(self, now: float) -> float | None:
        self.sweeps.append(now)
        if self.broken:
            raise OSError("the disk is gone")
        self.expiries = [one for one in self.expiries if one > now]
        return min(self.expiries, default=None)

    def keep(self, expires_at: float) -> None:
        self.expiries.append(expires_at)
        self.sweeper.expect(expires_at)

    def fire(self) -> None:
        """Let it be as late as the only timer wants."""
        ((self.now, call),) = self.timers
        self.timers.clear()
        call()


def test_a_record_is_swept_when_it_expires_and_then_nobody_waits() -> None:
    time = Time()
    assert not time.timers
    time.keep(1600.0)
    time.fire()
    assert (time.sweeps, time.expiries, time.timers) == ([1600.0], [], [])


def test_there_is_one_timer_and_it_is_for_the_earliest() -> None:
    time = Time()
    for expires_at in (1600.0, 1030.0, 1700.0, 1030.0):
        time.keep(expires_at)
        assert len(time.timers) == 1
    time.fire()
    assert (time.now, time.expiries) == (1030.0, [1600.0, 1700.0])
    time.fire()
    time.fire()
    assert (time.sweeps, time.expiries, time.timers) == ([1030.0, 1600.0, 1700.0], [], [])


def test_records_that_expire_one_after_another_are_swept_together() -> None:
    time = Time()
    for n in range(100):
        time.keep(1000.0 + n / 1000)
    time.fire()
    assert (time.sweeps, time.expiries) == ([1000.0 + MIN_SECONDS], [])


def test_a_clock_that_goes_back_costs_another_look() -> None:
    time = Time()
    time.keep(1600.0)
    ((_, call),) = time.timers
    time.timers.clear()
    time.now = 900.0
    call()
    assert time.expiries == [1600.0]
    time.fire()
    assert (time.now, time.expiries) == (1600.0, [])


def test_a_store_that_fails_is_swept_again_later(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    time.keep(1600.0)
    time.broken = True
    time.fire()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    time.broken = False
    time.fire()
    assert (time.now, time.expiries, time.timers) == (1600.0 + RETRY_SECONDS, [], [])


def test_after_the_end_nothing_is_swept() -> None:
    time = Time()
    time.keep(1600.0)
    time.sweeper.stop()
    assert not time.timers
    time.keep(1700.0)
    assert not time.timers
