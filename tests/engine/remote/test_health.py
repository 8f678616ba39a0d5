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


@given(st.lists(st.sampled_from(["passed", "delivered", "check", "request"])))
def test_three_failures_in_a_row_put_out_and_a_passed_check_forgives_checks_alone(events: list[str]) -> None:
    health, row = Health(BACKOFF, 0.0), list[str]()
    health.admitted(0.0)
    for event in events:
        if event == "passed":
            health.passed()
            row = [one for one in row if one != "check"]
        elif event == "delivered":
            health.delivered(1.0)
            row = []
        else:
            row.append(event)
            assert health.failed("slow", 1.0, check=event == "check") is (len(row) == FAILURES_TO_EJECT)
        if not health.serves:
            return
    assert len(row) < FAILURES_TO_EJECT


def test_one_that_comes_and_goes_waits_longer_each_time() -> None:
    health, now = Health(BACKOFF, 0.0), 0.0
    for seconds in (1, 2, 4, 8, 8):
        health.admitted(now)
        health.passed()
        health.delivered(now)
        now += 1
        assert health.failed("flaps", now, surely=True)
        assert (health.due(now + seconds - 0.1), health.due(now + seconds)) == (False, True)
        now += seconds
    health.admitted(now)
    now += BACKOFF.healthy_seconds
    assert health.failed("after long", now, surely=True)
    assert health.due(now + 1)


def test_one_that_breaks_answers_is_asked_last_for_a_while_until_it_completes_one() -> None:
    health, now = Health(BACKOFF, 0.0), 0.0
    health.admitted(now)
    assert not health.is_doubtful(now)
    for seconds in (1, 2, 4, 8, 8):
        for _ in range(3):  # at once
            health.doubt(now)
        health.delivered(now)  # the beginning of an answer is no answer
        health.passed()
        assert (health.is_doubtful(now + seconds - 0.1), health.is_doubtful(now + seconds)) == (True, False)
        now += seconds
    health.doubt(now)
    health.completed()
    assert not health.is_doubtful(now)
    health.doubt(now)
    assert (health.is_doubtful(now + 0.9), health.is_doubtful(now + 1)) == (True, False)
