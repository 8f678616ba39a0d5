"""Whatever befalls the nodes of a cluster, their network and their store, and whenever: what clients are told is kept,
and told by one. Whole nodes, in the manner of Jepsen: schedules that follow from a seed, and scenes. They take no time.

`TESTS_SEED=<n>` plays one schedule again and shows what happens in it, `TESTS_SCHEDULES=<n>` that many.
"""

from __future__ import annotations

import itertools
import os

import pytest

from tests.support.cluster_history import judge
from tests.support.cluster_schedule import failures, failures_of, played
from tests.support.long import effort
from tests.support.simulation.__main__ import ALONE, play
from tests.support.simulation.planted import PLANTED, Planted
from tests.support.simulation.scenes import SCENES, Scene

NUM_SCHEDULES = int(os.environ.get("TESTS_SCHEDULES", effort(24, 4_000)))
SEED = os.environ.get("TESTS_SEED")
PARTS = 2


@pytest.mark.parametrize("part", range(PARTS))
def test_any_schedule_keeps_what_was_promised(part: int) -> None:
    if SEED:
        schedule = played(int(SEED))
        print("\n".join(schedule.log))
        assert judge(schedule.history) == []
        return
    found = [what for seed in range(part, NUM_SCHEDULES, PARTS) for what in failures(seed)]
    assert found == [], f"{len(found)} failures; TESTS_SEED=<seed> plays one of them again"


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_scene_keeps_what_was_promised(scene: Scene) -> None:
    assert failures_of(scene) == []


@pytest.mark.parametrize("bug", PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: Planted) -> None:
    bug.plant(monkeypatch)
    assert failures_of(SCENES[bug.scene])


def test_what_is_played_for_a_time_ends_with_what_failed() -> None:
    said: list[str] = []
    clock = itertools.count()
    failed = play(5, 6, lambda seed: ["seed 6: lost"] if seed == 6 else [], said.append, lambda: float(next(clock)))
    assert failed == [6]
    assert said[0] == f"seed 6: lost\n{ALONE.format(seed=6)}"
    assert said[-1].endswith("schedules played, 1 failed: 6")
