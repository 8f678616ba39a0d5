"""Whatever befalls the nodes of a cluster, their network and their store, and whenever: what clients are told is kept,
and told by one. Whole nodes, in the manner of Jepsen; a schedule follows from its seed, and takes no time.

`TESTS_SEED=<n>` plays one schedule again and shows what happens in it, `TESTS_SCHEDULES=<n>` that many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from realtime.runs.past import Past
from realtime.server.cluster import Cluster
from realtime.service.delivery import Delivery
from realtime.service.directory import Directory
from realtime.service.lookups import Lookups
from realtime.service.registry import Registry
from realtime.store.cluster.adoption import Adoption
from realtime.store.cluster.backend import Changes
from realtime.store.cluster.memory_backend import MemoryBackend
from realtime.store.cluster.response_rows import ResponseRows
from realtime.store.packed.commits import Commits
from tests.support.cluster_history import judge
from tests.support.cluster_schedule import failures, played
from tests.support.long import effort

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


def _without_fence(patch: pytest.MonkeyPatch) -> None:
    commit = MemoryBackend._commit

    def unfenced(self: MemoryBackend, changes: Changes) -> None:
        epoch, live = self._epoch, changes.fence.epoch
        self._epoch = lambda node: live  # type: ignore[method-assign]
        try:
            commit(self, changes)
        finally:
            self._epoch = epoch  # type: ignore[method-assign]

    async def nobody(self: Any, tx: Any, response_id: str) -> bool:
        return False

    patch.setattr(MemoryBackend, "_commit", unfenced)
    patch.setattr(ResponseRows, "_is_anothers", nobody)


def _without_comparing(patch: pytest.MonkeyPatch) -> None:
    commit = Adoption.commit
    patch.setattr(Adoption, "commit", lambda self, checks, *rest: commit(self, {}, *rest))


def _claim_looked_up_twice(patch: pytest.MonkeyPatch) -> None:
    earlier_attempt, check = Lookups.earlier_attempt, Directory.check_not_tried

    async def twice(self: Any, tenant: str, request: Any, now: float) -> Any:
        if request.request_id is not None:
            await check(self._elsewhere, await self._requests.find(tenant, request.request_id))
        return await earlier_attempt(self, tenant, request, now)

    patch.setattr(Lookups, "earlier_attempt", twice)
    patch.setattr(Directory, "check_not_tried", lambda self, claim: _nothing())


def _same_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Past, "is_exact", lambda self, temperature: True)


def _last_one_dropped(patch: pytest.MonkeyPatch) -> None:
    take = Adoption._take
    patch.setattr(Adoption, "_take", lambda self, orphan, chunks: take(self, orphan, chunks[:-1]))


def _given_up_and_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "lose", lambda self: None)


def _never_flushed_again(patch: pytest.MonkeyPatch) -> None:
    abandon = Commits.abandon

    def forgetful(self: Commits) -> None:
        due = self._due
        abandon(self)
        self._due = due

    patch.setattr(Commits, "abandon", forgetful)


def _goes_on_without_lease(patch: pytest.MonkeyPatch) -> None:
    async def join(self: Any) -> None:
        await self.membership.join()

    patch.setattr(Cluster, "_begin_again", join)


def _cut_elsewhere_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Registry, "remember_cut", lambda self, response_id, cutoff: None)


async def _nothing() -> None:
    pass


PLANTED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], int]] = {
    "no fence, and no look at the owner": (_without_fence, 0),
    "adoption without a comparison": (_without_comparing, 0),
    "a claim that is looked up twice": (_claim_looked_up_twice, 0),
    "another sample in the same epoch": (_same_epoch, 0),
    "a hand-over without the last events": (_last_one_dropped, 0),
    "what is not committed is shown": (_given_up_and_shown, 0),
    "a batch that waits for ever": (_never_flushed_again, 0),
    "a node that goes on without its lease": (_goes_on_without_lease, 0),
    "a cut that its home does not know of": (_cut_elsewhere_only, 0),
}  # with a seed that finds it


@pytest.mark.parametrize(("plant", "seed"), PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], seed: int
) -> None:
    plant(monkeypatch)
    assert any(failures(one) for one in (seed, *range(300)))
