"""When the work of steps counts as pressure, and how long something may be held. On a clock that is only numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.server.pressure import BUSY, EASED, MAX_HOLD_SECONDS, MEMORY_SECONDS, Pressure, may_hold


def after(num_steps: int, gap: float, work: float, pressure: Pressure | None = None, at: float = 0.0) -> Pressure:
    """So many steps, one every `gap` seconds, whose work takes `work` of them."""
    pressure = pressure or Pressure()
    for number in range(num_steps):
        pressure.observe(at + number * gap, at + number * gap + work)
    return pressure


def test_steps_that_leave_time_are_no_pressure() -> None:
    pressure = after(1000, gap=0.005, work=0.004)
    assert pressure.share == pytest.approx(0.8, abs=0.01)
    assert not pressure.high


def test_steps_that_leave_none_are() -> None:
    assert after(1000, gap=0.005, work=0.005).high


def test_a_single_slow_step_is_not() -> None:
    pressure = after(100, gap=0.005, work=0.001)
    pressure.observe(0.5, 0.55)
    pressure.observe(0.55, 0.551)
    assert not pressure.high


def test_a_pause_ends_it() -> None:
    pressure = after(1000, gap=0.005, work=0.005)
    pressure.observe(15.0, 15.001)
    assert pressure.share < 0.02
    assert not pressure.high


def test_how_far_steps_are_apart_is_known() -> None:
    pressure = after(100, gap=0.005, work=0.001)
    assert pressure.gap == pytest.approx(0.005)
    after(100, 0.01, 0.001, pressure, at=1.0)
    assert pressure.gap == pytest.approx(0.01, rel=0.01)


def test_it_lasts_although_holding_makes_the_work_less() -> None:
    """A step without most of its writes costs about half; with them there would be pressure again at once."""
    pressure = after(1000, gap=0.005, work=0.005)
    after(1000, 0.005, 0.0025, pressure, at=5.0)
    assert EASED < pressure.share < BUSY
    assert pressure.high
    after(1000, 0.005, 0.0015, pressure, at=10.0)
    assert not pressure.high


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=50))
def test_the_share_is_one(steps: list[tuple[float, float]]) -> None:
    pressure, now = Pressure(), 0.0
    for work, rest in steps:
        pressure.observe(now, now + work)
        now += work + rest
        assert 0.0 <= pressure.share <= 1.0


def test_what_is_held_is_not_held_for_long() -> None:
    assert may_hold(None, 7.0, 0.001)
    assert may_hold(7.0, 7.0 + MAX_HOLD_SECONDS / 2, 0.001)
    assert not may_hold(7.0, 7.0 + MAX_HOLD_SECONDS, 0.001)
    assert not may_hold(7.0, 7.0 + MAX_HOLD_SECONDS - 0.002, 0.003), "the next step would come too late"
    assert not may_hold(None, 7.0, 2 * MAX_HOLD_SECONDS), "nothing would come to be written together"
    assert MAX_HOLD_SECONDS <= 0.02 < MEMORY_SECONDS
