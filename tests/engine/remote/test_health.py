"""When an engine is put out, and when it may come back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.backoff import Backoff
from realtime.engine.remote.health import FAILURES_TO_EJECT, Health, State

BACKOFF = Backoff(first_seconds=1, max_seconds=8)


def test_it_begins_outside_and_is_asked_at_once() -> None:
    health = Health(BACKOFF, 5.0)
    assert (health.state, health.due(5.0), health.serves) == (State.OUT, True, False)
    assert not health.failed("nothing to put out", 5.0, surely=True)


def test_waits_grow_until_it_comes_in() -> None:
    health = Health(BACKOFF, 0.0)
    for seconds in (1, 2, 4, 8, 8):
        now = health.since
        health.refused("no", now, unfit=True)
        assert not health.due(now + seconds - 0.1)
        assert health.due(now + seconds)
    health.admitted(100.0)
    assert (health.serves, health.why, health.since) == (True, "no", 100.0)


def test_what_is_sure_puts_out_at_once() -> None:
    health = Health(BACKOFF, 0.0)
    health.admitted(0.0)
    assert health.failed("refused", 3.0, surely=True)
    assert (health.state, health.due(3.5), health.due(4.0)) == (State.OUT, False, True)


@given(st.lists(st.booleans()))
def test_failures_in_a_row_put_out_and_no_others(good: list[bool]) -> None:
    health, row = Health(BACKOFF, 0.0), 0
    health.admitted(0.0)
    for one in good:
        if one:
            health.succeeded()
            row = 0
        else:
            row += 1
            assert health.failed("slow", 1.0) is (row == FAILURES_TO_EJECT)
        if not health.serves:
            return
    assert row < FAILURES_TO_EJECT
