"""The committer: turns a node's batches into commits, one at a time, in order, all or nothing, under the node's lease.

It runs where the backend is used: on a thread of the server, or in a test at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from realtime.store.packed.batches import Batch, Done

from . import keys
from .adoption import Adoption, Sleep
from .backend import Away, Backend, Changes, Conflict, Fenced, Key, Lease, Refused
from .commit_order import CommitOrder
from .journal_rows import JournalRows
from .reading import Reading
from .transaction import Transaction

logger = logging.getLogger("realtime.store")

T = TypeVar("T")

FIRST_RETRY_SECONDS = 0.05
MAX_RETRY_SECONDS = 1.0
_MAX_CONFLICTS = 100
_MAX_ERASED = 100


class Committer:
    """The committer of one node. `sleep`: waits for so many seconds. `trouble`: why nothing can be written now."""

    def __init__(self, backend: Backend, reading: Reading, adoption: Adoption, sleep: Sleep = asyncio.sleep) -> None:
        self.trouble: str | None = None
        self.lease: Lease | None = None
        self._backend = backend
        self._reading = reading
        self._adoption = adoption
        self._sleep = sleep
        self._journal: JournalRows | None = None
        self.order: CommitOrder | None = None

    def begin(self, lease: Lease) -> None:
        """Write under this lease from now on."""
        self.lease, self._journal = lease, JournalRows(lease)
        self.order = CommitOrder(self._backend, lease)
        self._adoption.begin(lease, self._journal, self.order)

    def end(self) -> None:
        """Stop writing."""
        self.lease = None
        self._adoption.end()

    async def run(self, batch: Batch) -> Done:
        """Commit a batch, however long that takes. Raises Fenced."""
        journal, lease, order = self._journal, self.lease, self.order
        if lease is None or journal is None or order is None:
            raise Fenced
        if not batch.steps and not journal.is_long:
            sets, tips = journal.append(batch.appended)
            if sets:
                changes = Changes(fence=lease, sets=sets, deletes=journal.outdated())
                await order.run(
                    lambda number: self._backend.commit(msgspec.structs.replace(changes, number=number)),
                    self._patiently,
                )
            return Done(tips)
        steps = _Steps(self._backend, batch, lease, journal, self._sleep)
        tx, tips = await order.run(steps.commit, self._patiently)
        if not tx.all.swept:
            return Done(tips, tx.all.gone, tx.all.given_up)
        return Done(tips, tx.all.gone, tx.all.given_up, await self._patiently(self._reading.next_expiry), True)

    async def erase(self, tx: Transaction) -> None:
        """Remove from the journal what other nodes have deleted. A step."""
        journal = self._journal
        assert journal is not None
        begin, end = keys.under("erase", tx.lease.node, keys.number(tx.lease.epoch))
        for key, _ in await tx.range(begin, end, _MAX_ERASED):
            await journal.erase(tx, int(keys.last_part(key)))
            tx.delete(key)

    def note(self, trouble: str | None) -> None:
        """Note whether the backend can be reached."""
        if trouble != self.trouble:
            log = logger.warning if trouble else logger.info
            log("%s", trouble or "the cluster's store can be reached again")
            self.trouble = trouble

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call as long as the backend is away. Raises Fenced."""
        seconds, lease = FIRST_RETRY_SECONDS, self.lease
        while True:
            try:
                found = await call()
            except Away as error:
                self.note(str(error))
                await self._sleep(seconds * random.uniform(0.5, 1.0))
                seconds = min(2 * seconds, MAX_RETRY_SECONDS)
            else:
                self.note(None)
                return found
            if self.lease != lease:
                raise Fenced


class _Steps:
    """A batch's steps, which may have to be tried more than once."""

    def __init__(self, backend: Backend, batch: Batch, lease: Lease, journal: JournalRows, sleep: Sleep) -> None:
        self._backend = backend
        self._batch = batch
        self._lease = lease
        self._journal = journal
        self._sleep = sleep
        self._row: tuple[dict[Key, bytes], dict[int, int]] | None = None
        self._outdated: list[Key] = []

    async def commit(self, number: int) -> tuple[Transaction, dict[int, int]]:
        """Commit the batch under this number. Return what was done, and the new tips. Raises Away, and Fenced."""
        for _ in range(_MAX_CONFLICTS):
            tx = await self._taken()
            sets, tips = self._appended(tx)
            try:
                await self._backend.commit(self._changes(tx, sets, number))
            except Conflict:
                await self._sleep(random.uniform(0.0, 0.01))
                continue
            except Refused:
                logger.exception("batch not stored")  # a bug of ours; the next ones may do
                await self._use_up(number)
            return tx, tips
        logger.error("batch not stored: it was in conflict %d times", _MAX_CONFLICTS)
        await self._use_up(number)
        return Transaction(self._backend, self._lease), {}

    async def _use_up(self, number: int) -> None:
        """Commit nothing under this number: the next one counts on it."""
        await self._backend.commit(Changes(fence=self._lease, number=number))

    async def _taken(self) -> Transaction:
        tx = Transaction(self._backend, self._lease)
        for call, arguments in self._batch.steps:
            await self._take(tx, call, arguments)
        for number in tx.all.erased:
            await self._take(tx, self._journal.erase, (number,))
        if self._journal.is_long:
            await self._take(tx, self._journal.compact, ())
        return tx

    async def _take(self, tx: Transaction, call: Callable[..., Awaitable[None]], arguments: tuple[object, ...]) -> None:
        """Take a step. One that fails by itself is a bug of ours, and must not hold up all others for ever."""
        try:
            await tx.take(call, arguments)
        except (Away, Fenced):
            raise
        except Exception:
            logger.exception("step not stored step=%s", call.__name__)

    def _appended(self, tx: Transaction) -> tuple[dict[Key, bytes], dict[int, int]]:
        """Return the row of the journal. It is made once: its contents follow from what was written before."""
        if self._row is None:
            for number in tx.all.begun:
                self._journal.begin(number)
            for number in tx.all.ended:
                self._journal.end(number)
            self._row = self._journal.append(self._batch.appended)
            self._outdated = self._journal.outdated()
        return self._row

    def _changes(self, tx: Transaction, row: dict[Key, bytes], number: int) -> Changes:
        changes, outdated = tx.changes(number), set(self._outdated)
        sets = {key: value for key, value in changes.sets.items() if key not in outdated}
        return msgspec.structs.replace(changes, sets={**sets, **row}, deletes=[*changes.deletes, *self._outdated])
