"""Each goal stands beside its figure, and a run fails with those that must hold."""

from __future__ import annotations

from typing import Any

import pytest

from bench import goals
from bench.__main__ import TARGETS
from bench.goals import Goal, Judged
from bench.plan import FAST

COST = Goal("cost", ("stack", "ratio"), most=0.5)
RATE = Goal("rate", ("stack", "rate"), least=100, fast=True)
WHOLE = Goal("whole", ("scenarios", "burst", "missing"), most=0, among=("scenarios", "burst", "creates"), must=True)
NOISY = Goal("noisy", ("stack", "ratio"), most=0.5, among=("stack", "repeats"), enough=3)


def judge(goal: Goal, figures: dict[str, Any], broken: dict[str, str] | None = None, pace: float = 1.0) -> Judged:
    (found,) = goals.judge([goal], figures, broken or {}, pace)
    return found


@pytest.mark.parametrize(("ratio", "verdict"), [(0.4, "met"), (0.5, "met"), (0.51, "missed"), (-2, "met")])
def test_a_bound_is_met_or_missed(ratio: float, verdict: str) -> None:
    assert judge(COST, {"stack": {"ratio": ratio}}).verdict == verdict


def test_a_goal_for_a_fast_core_is_not_missed_by_a_slow_one() -> None:
    figures = {"stack": {"rate": 50}}
    slow = judge(RATE, figures, pace=4 * FAST)
    assert (slow.verdict, slow.figure) == ("not measurable here", 50)
    assert "4.0 times as fast" in slow.why
    assert judge(RATE, figures, pace=FAST).verdict == "missed"
    assert judge(RATE, {"stack": {"rate": 100}}, pace=4 * FAST).verdict == "met"


def test_what_was_not_measured_says_why() -> None:
    assert judge(COST, {}).why == "stack: it did not run"
    assert judge(COST, {"stack": {}}).why == "stack: not in this size"
    assert judge(COST, {"stack": {}}, {"stack": "interrupted"}).why == "stack: interrupted"
    assert judge(COST, {"stack": {}}, {"stack": "a long error"}).why == "stack: it broke, see below"
    assert judge(NOISY, {"stack": {"ratio": 0.6, "repeats": 1}}).verdict == "not measured"
    assert judge(NOISY, {"stack": {"ratio": 0.6, "repeats": 3}}).verdict == "missed"


def test_a_run_fails_with_what_must_hold_and_with_nothing_else() -> None:
    missing = judge(WHOLE, {"scenarios": {"burst": {"missing": 1, "creates": 8}}})
    assert (missing.failed, missing.among) == (True, 8)
    assert not judge(WHOLE, {"scenarios": {"burst": {"missing": 0, "creates": 8}}}).failed
    assert not judge(COST, {"stack": {"ratio": 9}}).failed
    assert not judge(WHOLE, {}).failed


def test_every_goal_is_of_a_target_and_has_words_of_its_own() -> None:
    found = goals.goals()
    assert {goal.path[0] for goal in found} <= set(TARGETS)
    assert len({goal.text for goal in found}) == len(found)
    assert all(goal.most == 0 for goal in found if goal.must)


def test_the_table_and_the_json_have_every_goal(capsys: pytest.CaptureFixture[str]) -> None:
    judged = goals.judge([COST, RATE, WHOLE], {"stack": {"ratio": 0.4, "rate": 1}}, {}, 4 * FAST)
    goals.show(judged)
    out = capsys.readouterr().out
    assert all(text in out for text in ("cost", "<= 0.5", "met", ">= 100", "not measurable here: ", "did not run"))
    assert [one["verdict"] for one in goals.as_json(judged)] == ["met", "not measurable here", "not measured"]
