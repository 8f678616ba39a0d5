"""Whatever happens to the nodes of a cluster, and in whatever order: nothing acknowledged is lost, and nothing is told
by two. A schedule follows from its seed: `World(seed).play(NUM_STEPS)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from realtime.store.cluster.backend import Changes
from realtime.store.cluster.journal_rows import JournalRows
from realtime.store.cluster.response_rows import ResponseRows
from tests.support.long import effort
from tests.support.memory_backend import MemoryBackend

from .world import World

NUM_STEPS = 150


def failure(seed: int, *, fails_over: bool = False) -> str | None:
    """Play a schedule. Return what is wrong after it."""
    world = World(seed, fails_over=fails_over)
    try:
        world.play(NUM_STEPS)
        world.check()
    except Exception as error:
        return f"seed {seed}: {error!r}"
    return None


@pytest.mark.parametrize("part", range(4))
def test_any_schedule_keeps_what_was_acknowledged(part: int) -> None:
    number = effort(25, 2_500)
    assert [found for seed in range(part * number, (part + 1) * number) if (found := failure(seed))] == []


def test_any_schedule_with_fail_overs_keeps_what_the_replica_had() -> None:
    assert [found for seed in range(effort(60, 5_000)) if (found := failure(seed, fails_over=True))] == []


def test_it_would_be_found_if_nobody_noticed_a_fail_over(monkeypatch: pytest.MonkeyPatch) -> None:
    become = MemoryBackend.become

    def unnoticed(self: MemoryBackend, replica: MemoryBackend) -> None:
        numbers = self._numbers
        become(self, replica)
        self._numbers = numbers

    monkeypatch.setattr(MemoryBackend, "become", unnoticed)
    assert any(failure(seed, fails_over=True) for seed in range(200))


def _without_fence(patch: pytest.MonkeyPatch) -> None:
    commit = MemoryBackend._commit

    def unfenced(self: MemoryBackend, changes: Changes) -> None:
        epoch, live = self._epoch, changes.fence.epoch
        self._epoch = lambda node: live  # type: ignore[method-assign]
        try:
            commit(self, changes)
        finally:
            self._epoch = epoch  # type: ignore[method-assign]

    patch.setattr(MemoryBackend, "_commit", unfenced)


def _changed(**members: Any) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        commit = MemoryBackend._commit
        changed = lambda self, changes: commit(self, msgspec.structs.replace(changes, **members))  # noqa: E731
        patch.setattr(MemoryBackend, "_commit", changed)

    return plant


def _buried_alive(patch: pytest.MonkeyPatch) -> None:
    async def bury(self: MemoryBackend, lease: Any) -> bool:
        return True

    patch.setattr(MemoryBackend, "bury", bury)
    patch.setattr(MemoryBackend, "leases", lambda self: _none())


async def _none() -> list[Any]:
    return []


def _cleaned_too_early(patch: pytest.MonkeyPatch) -> None:
    def outdated(self: JournalRows) -> list[bytes]:
        self._running = {}
        return old(self)

    old = JournalRows.outdated
    patch.setattr(JournalRows, "outdated", outdated)


def _sealed_by_anybody(patch: pytest.MonkeyPatch) -> None:
    async def nobody(self: Any, tx: Any, response_id: str) -> bool:
        return False

    patch.setattr(ResponseRows, "_is_anothers", nobody)
    _without_fence(patch)


PLANTED = {
    "no fence": _without_fence,
    "no checks": _changed(checks={}),
    "adoption from the living": _buried_alive,
    "a journal cleaned too early": _cleaned_too_early,
    "a seal by whoever comes": _sealed_by_anybody,
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]) -> None:
    plant(monkeypatch)
    assert any(failure(seed) for seed in range(200))
