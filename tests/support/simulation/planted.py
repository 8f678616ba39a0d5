"""Bugs that schedules of whole nodes must find: each is planted where it would be made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import pytest

from realtime.runs.job import Job
from realtime.runs.past import Past
from realtime.runs.run import Run
from realtime.runs.serving import Serving
from realtime.service.delivery import Delivery
from realtime.service.directory import Directory, node_unavailable
from realtime.service.lookups import Lookups
from realtime.service.registry import Registry
from realtime.service.run_tasks import RunTasks
from realtime.store.base import Claim
from realtime.store.cluster.adoption import Adoption
from realtime.store.cluster.backend import Away, Changes
from realtime.store.cluster.node import ClusterNode
from realtime.store.cluster.stores import _HostReader
from realtime.store.packed.commits import Commits
from realtime.store.records import Unfinished
from realtime.store.restored_log import RestoredLog
from tests.support.memory_backend import MemoryBackend

from .replicated import ReplicatedBackend


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
        due, hurries = self._due, self._hurries
        abandon(self)
        self._due, self._hurries = due, hurries

    patch.setattr(Commits, "abandon", forgetful)


def _cut_elsewhere_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Registry, "remember_cut", lambda self, response_id, cutoff: None)


async def _nothing() -> None:
    pass


def _unfenced(patch: pytest.MonkeyPatch) -> None:
    commit, epoch = MemoryBackend._commit, MemoryBackend._epoch

    def unfenced(self: MemoryBackend, changes: Changes) -> None:
        lease = changes.fence
        with mock.patch.object(self, "_epoch", lambda node: lease.epoch if node == lease.node else epoch(self, node)):
            commit(self, changes)

    patch.setattr(MemoryBackend, "_commit", unfenced)


def _follows_on_nothing(patch: pytest.MonkeyPatch) -> None:
    commit = MemoryBackend._commit

    def any_number(self: MemoryBackend, changes: Changes) -> None:
        newest = self._numbers.get(changes.fence.node, 0)
        if changes.number and changes.number > newest:
            self._numbers[changes.fence.node] = changes.number - 1
        commit(self, changes)

    patch.setattr(MemoryBackend, "_commit", any_number)
    renew = ReplicatedBackend.renew
    patch.setattr(
        ReplicatedBackend, "renew", lambda self, lease, seconds, told, number: renew(self, lease, seconds, told)
    )


def _another_sample_in_the_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Past, "is_exact", lambda self, temperature: True)


def _goes_on_without_lease(patch: pytest.MonkeyPatch) -> None:
    async def beat(self: ClusterNode) -> None:
        if (lease := self._lease) is None:
            return
        with contextlib.suppress(Away, TimeoutError):
            live, others = await self._renew(lease)
            if live:
                self._host.tell(lambda: self._see(others))
            else:
                self._lose(lease)

    patch.setattr(ClusterNode, "beat", beat)
    patch.setattr(ClusterNode, "holds", lambda self: self._lease is not None)


def _claim_of_the_dead(patch: pytest.MonkeyPatch) -> None:
    check = Directory.check_not_tried

    async def keep(self: Directory, claim: Claim | None, asker: str | None) -> None:
        await check(self, claim, asker)
        if claim is not None and await self._registry.get(claim.response_id, 0.0) is None:
            raise node_unavailable()

    patch.setattr(Directory, "check_not_tried", keep)


def _no_attempt_counted(patch: pytest.MonkeyPatch) -> None:
    begin = Past.__init__

    def forgetful(self: Past, unfinished: Unfinished, log: RestoredLog) -> None:
        begin(self, unfinished, log)
        self.attempts = 1

    patch.setattr(Past, "__init__", forgetful)


def _receipt_before_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "settled", lambda self, response_id: _nothing())


def _end_before_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "withholds_end", lambda self, job: False)


def _record_kept_elsewhere(patch: pytest.MonkeyPatch) -> None:
    read = _HostReader.record

    async def keep(self: Any, response_id: str) -> Any:
        kept = self.__dict__.setdefault("kept", {})
        if kept.get(response_id) is None:
            kept[response_id] = await read(self, response_id)
        return kept[response_id]

    patch.setattr(_HostReader, "record", keep)


def _begun_unwritten(patch: pytest.MonkeyPatch) -> None:
    start = RunTasks.start

    def anyhow(self: RunTasks, job: Job, serving: Serving) -> Run:
        with mock.patch.object(self, "check_open"):
            return start(self, job, serving)

    patch.setattr(RunTasks, "start", anyhow)


class Planted(NamedTuple):
    """A bug: how it is planted, and the scene that finds it."""

    plant: Callable[[pytest.MonkeyPatch], None]
    scene: str


PLANTED = {
    "adoption from the living": Planted(_adopted_alive, "cut at another"),
    "a claim that is looked up twice": Planted(_claim_looked_up_twice, "the same request at two nodes"),
    "what was adopted and has not come yet": Planted(_adopted_and_not_there, "asked again while taken over"),
    "what is not committed is shown": Planted(_given_up_and_shown, "ends without its store"),
    "a batch that waits for ever": Planted(_never_flushed_again, "ends without its store, at once"),
    "a cut that its home does not know of": Planted(_cut_elsewhere_only, "cut at another"),
    "no fence in the store": Planted(_unfenced, "wakes when taken over"),
    "a commit that follows on nothing": Planted(_follows_on_nothing, "taken over and forgotten"),
    "another sample in the same epoch": Planted(_another_sample_in_the_epoch, "dies ahead of its store"),
    "a node that goes on without its lease": Planted(_goes_on_without_lease, "speaks without its store"),
    "a start that nobody writes down": Planted(_begun_unwritten, "begun without a lease"),
    "a claim of the dead that is kept": Planted(_claim_of_the_dead, "dies of its claim"),
    "an adoption that counts no attempt": Planted(_no_attempt_counted, "every node of it dies"),
    "a receipt before its commit": Planted(_receipt_before_commit, "cancelled twice and dies"),
    "an end before its commit": Planted(_end_before_commit, "cancelled twice and dies, at once"),
    "a record of another home that is kept": Planted(_record_kept_elsewhere, "shown elsewhere and cut"),
}
