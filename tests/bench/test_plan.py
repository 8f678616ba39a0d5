"""A plan ends in time, says what it leaves out, and has a size of every target for every length."""

from __future__ import annotations

import importlib
import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import engine, pace, plan, scenarios
from bench.__main__ import TARGETS

LADDERS = {name: importlib.import_module(f"bench.{name}").SIZES for name in TARGETS}


def ladder(*work: float, waits: float = 0.0) -> plan.Ladder:
    """Return sizes that take so long, from `full` to `quick`; the long one takes ten times as long."""
    sizes = (work[0] * 10, *work, 0.0)
    return {name: plan.Size(text=name, work=one, waits=waits) for name, one in zip(plan.NAMES, sizes, strict=True)}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_every_size_and_none_is_longer_than_the_one_before(target: str) -> None:
    sizes = LADDERS[target]
    assert tuple(sizes) == plan.NAMES
    for at_pace in (1.0, 4.0):
        reckoned = [size.reckoned(at_pace) for size in sizes.values()]
        assert reckoned == sorted(reckoned, reverse=True)
    assert all(size.text for size in sizes.values())


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_run_in_the_same_way(target: str) -> None:
    module = importlib.import_module(f"bench.{target}")
    assert list(inspect.signature(module.run).parameters) == ["share", "figures"]


@pytest.mark.parametrize("at_pace", [1.0, 3.0])
def test_the_full_form_ends_in_time_on_a_fast_machine_and_on_a_slow_one(at_pace: float) -> None:
    minutes = plan.minutes_for(at_pace)
    assert minutes == (5.0 if at_pace <= plan.FAST else 20.0)
    found = plan.within(LADDERS, minutes, at_pace)
    assert found.seconds <= minutes * 60
    streams, storms = found.parts["engine"].size, found.parts["scenarios"].size
    assert isinstance(streams, engine.Size)
    assert streams.repeats == 3, "medians of three"
    assert isinstance(storms, scenarios.Size)
    assert storms.extent == "full", "storms of 1,000, and 10,000 cancels"


def test_what_does_not_fit_is_shortened_and_said() -> None:
    ladders = {"one": ladder(60, 30, 10), "two": ladder(60, 30, 10)}
    assert plan.within(ladders, 2, 1.0).shortened == []
    found = plan.within(ladders, 1.75, 1.0)
    assert {name: part.name for name, part in found.parts.items()} == {"one": "full", "two": "short"}
    assert found.shortened == ["two"]
    assert "   shortened: two (--minutes N for a longer run)" in list(plan.lines(found))


def test_more_minutes_than_the_full_form_needs_are_used_only_when_asked_for() -> None:
    ladders = {"one": ladder(60, 30, 10)}
    assert plan.within(ladders, 60, 1.0).parts["one"].name == "full"
    assert plan.within(ladders, 60, 1.0, longest="long").parts["one"].name == "long"


def test_waits_take_as_long_on_a_fast_machine() -> None:
    assert plan.Size(text="", work=8, waits=2).reckoned(0.25) == 4


def test_targets_for_which_there_is_no_time_are_left_out_and_said_but_not_the_first() -> None:
    ladders = {"one": ladder(60, 30, 10), "two": ladder(60, 30, 10), "three": ladder(60, 30, 10)}
    found = plan.within(ladders, 0.4, 1.0)
    assert {name: part.name for name, part in found.parts.items()} == {"one": "quick", "two": "quick"}
    assert found.left_out == ["three"]
    assert "   left out: three (--minutes N for a longer run)" in list(plan.lines(found))
    found = plan.within(ladders, 0.4, 100.0)
    assert (list(found.parts), found.left_out) == (["one"], ["two", "three"])
    assert any("even that takes longer" in line for line in plan.lines(found))


def test_the_quick_form_is_a_minute_on_a_fast_machine_and_has_what_matters_most() -> None:
    found = plan.within(LADDERS, plan.minutes_for(1.0) * plan.QUICK, 1.0, longest="quick")
    assert found.most_seconds == 60
    assert found.seconds <= 60
    assert list(found.parts)[:2] == ["engine", "scenarios"]


@given(
    work=st.lists(st.lists(st.floats(0, 1000), min_size=3, max_size=3), min_size=1, max_size=5),
    minutes=st.floats(0.1, 60), at_pace=st.floats(0.1, 10),
)  # fmt: skip
def test_a_plan_is_within_its_time_or_is_the_quick_form_of_one_target(
    work: list[list[float]], minutes: float, at_pace: float
) -> None:
    ladders = {str(number): ladder(*sorted(one, reverse=True)) for number, one in enumerate(work)}
    found = plan.within(ladders, minutes, at_pace)
    assert found.seconds <= minutes * 60 or [part.name for part in found.parts.values()] == ["quick"]
    assert [*found.parts, *found.left_out] == list(ladders)


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def repeats(seconds: float, of_one: float, number: int = 3) -> tuple[int, list[str]]:
    """Return how many repeats there were of those that take so long, and what was left out."""
    clock = Clock()
    share, done = plan.Share(plan.Size(text=""), seconds, clock), 0
    for _ in share.repeats(number, "streams"):
        clock.now += of_one
        done += 1
    return done, share.left_out


def test_nothing_is_repeated_that_would_not_end_in_time() -> None:
    assert repeats(31, of_one=10) == (3, [])
    assert repeats(29, of_one=10) == (2, ["streams: 2 of 3 repeats, for want of time"])
    assert repeats(1, of_one=10) == (1, ["streams: 1 of 3 repeats, for want of time"])
    assert repeats(math.inf, of_one=10) == (3, [])


def test_a_share_has_the_time_that_is_left_over_in_proportion() -> None:
    found = plan.within({"one": ladder(60, 30, 10)}, 2, 1.0)
    clock = Clock()
    assert isinstance(found.share("one"), plan.Share)
    assert found.parts["one"].seconds == 60
    share = plan.Share(found.parts["one"].size, found.seconds_of("one"), clock)
    clock.now = 119
    assert list(share.repeats(1, "")) == [0]
    assert found.seconds_of("one") == 120


def test_the_pace_of_a_machine_is_measured() -> None:
    found = pace.measure(seconds=0.01)
    assert 0 < found.cpu <= found.wall * 1.5
