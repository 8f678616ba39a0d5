"""Every target runs in its smallest size, and none of the goals that must hold is missed."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from bench import goals, plan
from bench.__main__ import TARGETS

ELSEWHERE = {"scenarios", "cluster"}  # in tests of their own, which share their servers
WITH_VLLM = {"engine", "cancel", "parsers"}  # servers that start for ten seconds, or an import that takes as long


def _param(target: str) -> Any:
    marks = [pytest.mark.vllm, pytest.mark.long] if target in WITH_VLLM else []
    return pytest.param(target, marks=marks)


@pytest.mark.parametrize("target", [_param(name) for name in TARGETS if name not in ELSEWHERE])
def test_a_target_runs_in_its_smallest_size(target: str) -> None:
    module = importlib.import_module(f"bench.{target}")
    figures: dict[str, Any] = {}
    share = plan.Share(module.SIZES["tiny"])
    module.run(share, figures)
    assert figures
    assert share.left_out == []
    judged = goals.judge([goal for goal in goals.goals() if goal.path[0] == target], {target: figures}, {}, 1.0)
    assert not [one.goal.text for one in judged if one.failed]
