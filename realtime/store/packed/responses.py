"""A `ResponseStore` that outlives the process. Uncommitted writes are found in memory, so a look-up sees every earlier
write.

A store in memory keeps the responses that are not to be stored. Of these only the id and the number of events are
written, so that their end can be reported after a crash.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from realtime.engine.base import TokenChunk
from realtime.store.event_log import StoredLog
from realtime.store.memory.responses import MemoryResponses
from realtime.store.records import Begun, Filter, Head, Note, Record, Unfinished, item_ids
from realtime.store.shelves import Place, Span
from realtime.wire.items import InputItem

from .batches import Done
from .cache import Cache
from .commits import Commits
from .past import ReadHead
from .reader import Reader, ResponseSteps


class _Running(msgspec.Struct):
    number: int
    stored: bool
    durable: int = 0


class _Pending(msgspec.Struct):
    """An uncommitted record; `log`: None if it is the one in the file."""

    record: Record
    log: StoredLog | None


class PackedResponses:
    """A `ResponseStore` that outlives the process."""

    has_journals = True

    def __init__(
        self, steps: ResponseSteps, commits: Commits, reader: Reader, *, cache_bytes: int, max_unstored_bytes: int,
        newest: int = 0, next_expiry: float | None = None, on_gone: Callable[[str], None] = lambda response_id: None,
        caches: Callable[[str], bool] = lambda response_id: True,
    ) -> None:  # fmt: skip
        """newest: the greatest number that a response has. on_gone: called with the id of each response that is
        deleted, or no longer kept in memory; not of those whose claim goes with their rows. caches: which ids' records
        may be cached in memory, because nobody else changes them.
        """
        self._steps = steps
        self._commits = commits
        self._reader = reader
        self._caches = caches
        self._on_gone = on_gone
        self._max_unstored_bytes = max_unstored_bytes
        self._cache_bytes = cache_bytes
        self._unstored = MemoryResponses(max_bytes=max_unstored_bytes, on_gone=on_gone)
        self._cache = Cache(cache_bytes)
        self._running: dict[str, _Running] = {}
        self._by_number: dict[int, _Running] = {}
        self._pending: dict[str, _Pending] = {}
        self._num_changes = 0  # of what the file has
        self._dropped: frozenset[str] = frozenset()  # by the newest commit
        self._deleted: dict[str, object] = {}  # not committed; each with what it was deleted as
        self._newest = newest
        self._next_expiry = next_expiry
        commits.on_done.append(self._committed)

    # -- writes

    def open(self, head: Head) -> None:
        """See ResponseStore."""
        self._newest += 1
        running = _Running(self._newest, head.stored)
        self._end(head.response_id)
        self._running[head.response_id] = self._by_number[running.number] = running
        self._deleted.pop(head.response_id, None)
        self._commits.put(self._steps.open, running.number, head)

    def append(self, response_id: str, first: int, events: Sequence[bytes], chunk: TokenChunk | None = None) -> None:
        """See ResponseStore."""
        running = self._running.get(response_id)
        if running is None:
            return
        if running.stored:
            self._commits.append(running.number, first, events, chunk)
        elif events:
            self._commits.append(running.number, first, (), None, len(events))

    def note(self, response_id: str, first: int, note: Note) -> None:
        """See ResponseStore."""
        running = self._running.get(response_id)
        if running is None or not running.stored:
            return
        if isinstance(note, Begun) and note.parent is not None:
            self._commits.put(self._steps.continues, response_id, note.parent)
        self._commits.append(running.number, first, (), note)

    def durable(self, response_id: str) -> int:
        """See ResponseStore."""
        running = self._running.get(response_id)
        return running.durable if running is not None else 0

    def is_pending(self, response_id: str) -> bool:
        """See ResponseStore."""
        return response_id in self._pending

    def seal(self, record: Record, log: StoredLog, now: float) -> None:
        """See ResponseStore."""
        response_id = record.response_id
        self._num_changes += 1
        number = self._end(response_id)
        self._cache.drop(response_id)
        self._deleted.pop(response_id, None)
        if not record.continuable:
            self._unstored.seal(record, log, now)
            self._commits.put(self._steps.drop, response_id)
            return
        if number is None:
            self._newest += 1
            number = self._newest
        pending = self._pending[response_id] = _Pending(record, log)
        self._note_expiry(record.expires_at)
        self._commits.put(self._steps.seal, number, record, log, now, after=lambda: self._settle(pending))

    def replace(self, record: Record, now: float) -> None:
        """See ResponseStore."""
        response_id = record.response_id
        self._num_changes += 1
        if not record.continuable:
            self._unstored.replace(record, now)
            return
        earlier, cached = self._pending.get(response_id), self._cache.drop(response_id)
        log = earlier.log if earlier is not None else cached.log if cached is not None else None
        pending = self._pending[response_id] = _Pending(record, log)
        self._note_expiry(record.expires_at)
        self._commits.put(self._steps.replace, record, now, after=lambda: self._settle(pending, cache=False))

    def sweep(self, now: float) -> float | None:
        """See ResponseStore."""
        unstored = self._unstored.sweep(now)
        if self._next_expiry is not None and self._next_expiry <= now:
            self._commits.put(self._steps.expire, now)
        return min((at for at in (unstored, self._next_expiry) if at is not None), default=None)

    def delete(self, response_id: str) -> None:
        """See ResponseStore."""
        self._num_changes += 1
        self._end(response_id)
        self._unstored.delete(response_id)
        self._pending.pop(response_id, None)
        self._cache.drop(response_id)
        token = self._deleted[response_id] = object()
        self._on_gone(response_id)
        self._commits.put_delete(
            self._steps.delete, response_id, after=lambda: self._forget_deleted(response_id, token)
        )

    # -- look-ups

    async def get(self, response_id: str, now: float) -> Record | None:
        """See ResponseStore."""
        known, found = self._known(response_id)
        if not known:
            found = await self._unstored.get(response_id, now)
        if not known and found is None:
            num_changes = self._num_changes
            read = await self._reader.record(response_id)
            known, found = self._known(response_id)  # it may have been cut or deleted meanwhile
            if not known and read is not None:
                found = read.record
                if num_changes == self._num_changes and self._caches(response_id):
                    self._cache.put(found, read.num_bytes)
        return found if found is not None and found.expires_at > now else None

    async def read(self, response_id: str, now: float) -> StoredLog | None:
        """See ResponseStore."""
        record = await self.get(response_id, now)
        if record is None:
            return None
        if not record.continuable:
            return await self._unstored.read(response_id, now)
        pending, cached = self._pending.get(response_id), self._cache.get(response_id)
        log = pending.log if pending is not None else None
        log = log if log is not None or cached is None else cached.log
        if log is None:
            log = await self._reader.log(response_id)
            if log is not None and response_id not in self._deleted:
                self._cache.add_log(response_id, log)
        return log

    async def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """See ResponseStore."""
        hidden = self._hidden()
        for pending in reversed(self._pending.values()):
            record = pending.record
            if record.owner == owner and record.expires_at > now and record.turn is not None:
                places = [place for place, one in item_ids(record) if one == item_id]
                if places:
                    return record.turn.own_items()[places[-1]]
        return await self._reader.item(owner, item_id, now, hidden)

    async def list(self, filter: Filter, span: Span, now: float) -> tuple[Sequence[Record], Place | None]:
        """Return a page of records, without their turns. See ResponseStore."""
        pending = [one.record for one in self._pending.values()]
        records, more = await self._reader.page(filter, span, now, self._hidden())
        found = {record.place: record for record in records}
        found |= {
            one.place: one for one in pending if filter.matches(one) and span.holds(one.place) and one.expires_at > now
        }
        return span.page(found, more)

    async def recover(self) -> AsyncIterator[Unfinished]:
        """See ResponseStore."""
        for read in await self._reader.unfinished():
            yield self.enter(read)

    def enter(self, read: ReadHead) -> Unfinished:
        """Continue writing a response of an earlier process."""
        running = _Running(read.number, read.head.stored, read.tip)
        self._running[read.head.response_id] = self._by_number[read.number] = running
        self._newest = max(self._newest, read.number)
        return read.unfinished()

    def reset(self, next_expiry: float | None = None) -> None:
        """Drop everything that was written or is to be: it is another process's now."""
        self._unstored = MemoryResponses(max_bytes=self._max_unstored_bytes, on_gone=self._on_gone)
        self._cache = Cache(self._cache_bytes)
        for known in (self._running, self._by_number, self._pending, self._deleted):
            known.clear()
        self._num_changes += 1
        self._dropped = frozenset()
        self._next_expiry = next_expiry

    # -- parts

    def _known(self, response_id: str) -> tuple[bool, Record | None]:
        """Return whether a record's state is known here, and the record."""
        if response_id in self._deleted:
            return True, None
        pending = self._pending.get(response_id)
        if pending is not None:
            return True, pending.record
        cached = self._cache.get(response_id)
        return cached is not None, cached.record if cached is not None else None

    def _hidden(self) -> frozenset[str]:
        """Return the records whose form in the file is out of date."""
        return frozenset((*self._deleted, *self._pending))

    def _end(self, response_id: str) -> int | None:
        running = self._running.pop(response_id, None)
        if running is None:
            return None
        self._by_number.pop(running.number, None)
        return running.number

    def _settle(self, pending: _Pending, *, cache: bool = True) -> None:
        """Note that a record is committed, so that it may be forgotten. `cache`: it is in the file. A record that was
        to replace another is not, if there was none.
        """
        record = pending.record
        if self._pending.get(record.response_id) is pending:
            del self._pending[record.response_id]
            if cache and record.response_id not in self._dropped and self._caches(record.response_id):
                self._cache.put(record, record.num_bytes, pending.log)

    def _forget_deleted(self, response_id: str, token: object) -> None:
        if self._deleted.get(response_id) is token:
            del self._deleted[response_id]

    def _note_expiry(self, at: float) -> None:
        self._next_expiry = at if self._next_expiry is None else min(self._next_expiry, at)

    def _committed(self, done: Done) -> None:
        by_number = self._by_number
        for number, tip in done.tips.items():
            running = by_number.get(number)
            if running is not None:
                running.durable = tip
        self._dropped = frozenset(done.gone)
        for response_id in done.gone:
            self._cache.drop(response_id)
        if done.has_steps:
            self._next_expiry = done.next_expiry
            for pending in self._pending.values():
                self._note_expiry(pending.record.expires_at)
