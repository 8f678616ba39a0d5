"""Whatever befalls the nodes of a cluster, their network and their store, and whenever: what clients are told is kept,
and told by one. Whole nodes, in the manner of Jepsen; a schedule follows from its seed, and takes no time.

`TESTS_SEED=<n>` plays one schedule again and shows what happens in it, `TESTS_SCHEDULES=<n>` that many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from realtime.service.delivery import Delivery
from realtime.service.directory import Directory
from realtime.service.lookups import Lookups
from realtime.service.registry import Registry
from realtime.store.cluster.adoption import Adoption
from realtime.store.cluster.memory_backend import MemoryBackend
from realtime.store.packed.commits import Commits
from tests.support.cluster_history import judge
from tests.support.cluster_schedule import failures, played
from tests.support.long import effort
from tests.support.simulation.faults import KINDS

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


# -- bugs that must be found


def _adopted_alive(patch: pytest.MonkeyPatch) -> None:
    begin = Adoption.__init__
    patch.setattr(MemoryBackend, "bury", lambda self, lease: _true())
    patch.setattr(Adoption, "__init__", lambda self, backend, *rest: begin(self, _NobodyLives(backend), *rest))


class _NobodyLives:
    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def leases(self) -> list[Any]:
        return []


async def _true() -> bool:
    return True


def _claim_looked_up_twice(patch: pytest.MonkeyPatch) -> None:
    earlier_attempt, check = Lookups.earlier_attempt, Directory.check_not_tried

    async def twice(self: Any, tenant: str, request: Any, now: float, asker: str | None) -> Any:
        if request.request_id is not None:
            await check(self._elsewhere, await self._requests.find(tenant, request.request_id))
        return await earlier_attempt(self, tenant, request, now, asker)

    patch.setattr(Lookups, "earlier_attempt", twice)
    patch.setattr(Directory, "check_not_tried", lambda self, claim, asker: _nothing())


def _adopted_and_not_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Directory, "_has_come", lambda self, response_id: _true())


def _given_up_and_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "lose", lambda self: None)


def _never_flushed_again(patch: pytest.MonkeyPatch) -> None:
    abandon = Commits.abandon

    def forgetful(self: Commits) -> None:
        due = self._due
        abandon(self)
        self._due = due

    patch.setattr(Commits, "abandon", forgetful)


def _cut_elsewhere_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Registry, "remember_cut", lambda self, response_id, cutoff: None)


async def _nothing() -> None:
    pass


PLANTED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...], int]] = {
    "adoption from the living": (_adopted_alive, KINDS, 0),
    "a claim that is looked up twice": (_claim_looked_up_twice, KINDS, 34),
    "what was adopted and has not come yet": (_adopted_and_not_there, ("kill", "stop"), 28),
    "what is not committed is shown": (_given_up_and_shown, ("from the store", "store away"), 17),
    "a batch that waits for ever": (_never_flushed_again, KINDS, 52),
    "a cut that its home does not know of": (_cut_elsewhere_only, KINDS, 162),
}  # with what goes wrong where it matters, and a seed that finds it


@pytest.mark.parametrize(("plant", "kinds", "seed"), PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], kinds: tuple[str, ...], seed: int
) -> None:
    plant(monkeypatch)
    assert any(failures(one, kinds) for one in (seed, *range(300)))
