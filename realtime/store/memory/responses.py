"""Finished responses in memory. Pure."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import msgspec

from realtime.engine.base import TokenChunk
from realtime.store.event_log import StoredLog
from realtime.store.records import Filter, Head, Note, Record, Unfinished, conversation_of, item_ids
from realtime.store.shelves import Place, Shelves, Span
from realtime.wire.items import InputItem

_LABEL_BYTES = 200  # about what it costs to find a response by one member of its metadata
_MIN_STALE = 64  # expiry times of records that are gone, before they are cleared away


class _Kept(msgspec.Struct):
    record: Record
    log: StoredLog
    num_bytes: int


class MemoryResponses:
    """A `ResponseStore` of the most recent records, at most `max_bytes` of them; the oldest go first."""

    has_journals = False

    def __init__(self, *, max_bytes: int, on_gone: Callable[[str], None] = lambda response_id: None) -> None:
        """`on_gone` is called with the id of each record that is no longer kept."""
        self._max_bytes = max_bytes
        self._on_gone = on_gone
        self._num_bytes = 0
        self._tips: dict[str, int] = {}  # of the responses that run
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._expiries: list[tuple[float, str]] = []  # a heap; also of records that are gone or were replaced
        self._shelves = Shelves()
        self._homes: dict[tuple[str, str], tuple[str, int]] = {}  # (owner, item id) -> response, place in it

    # -- writes

    @property
    def num_bytes(self) -> int:
        """The memory of all that is kept."""
        return self._num_bytes

    def open(self, head: Head) -> None:
        """Do nothing: while a response runs, its log is its journal. See ResponseStore."""
        self._tips[head.response_id] = 0

    def append(self, response_id: str, first: int, events: Sequence[bytes], chunk: TokenChunk | None = None) -> None:
        """See ResponseStore."""
        if response_id in self._tips:
            self._tips[response_id] = first + len(events)

    def note(self, response_id: str, first: int, note: Note) -> None:
        """Do nothing: a response that ends with the process can't be continued. See ResponseStore."""

    def durable(self, response_id: str) -> int:
        """Return the tip: memory is as durable as this store gets. See ResponseStore."""
        return self._tips.get(response_id, 0)

    def is_pending(self, response_id: str) -> bool:
        """Return False: nothing has to be committed. See ResponseStore."""
        return False

    def seal(self, record: Record, log: StoredLog, now: float) -> None:
        """See ResponseStore."""
        self._drop(record.response_id)
        self._tips.pop(record.response_id, None)
        self._keep(record, log)
        self._make_room(now)

    def replace(self, record: Record, now: float) -> None:
        """See ResponseStore."""
        kept = self._kept.get(record.response_id)
        if kept is not None:
            self._uncount(kept)
            self._keep(record, kept.log)  # in its old place: it is as old as it was
            self._make_room(now)

    def sweep(self, now: float) -> float | None:
        """See ResponseStore."""
        while self._expiries:
            expires_at, response_id = self._expiries[0]
            if self._expires(response_id, expires_at):
                if expires_at > now:
                    return expires_at
                self.delete(response_id)
            heapq.heappop(self._expiries)
        return None

    def delete(self, response_id: str) -> None:
        """See ResponseStore."""
        self._tips.pop(response_id, None)
        if self._drop(response_id):
            self._on_gone(response_id)

    # -- look-ups

    async def get(self, response_id: str, now: float) -> Record | None:
        """See ResponseStore."""
        kept = self._find(response_id, now)
        return kept.record if kept is not None else None

    async def read(self, response_id: str, now: float) -> StoredLog | None:
        """See ResponseStore."""
        kept = self._find(response_id, now)
        return kept.log if kept is not None else None

    async def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """See ResponseStore."""
        response_id, index = self._homes.get((owner, item_id), ("", 0))
        kept = self._find(response_id, now)
        return kept.record.turn.own_items()[index] if kept is not None and kept.record.turn is not None else None

    async def list(self, filter: Filter, span: Span, now: float) -> tuple[Sequence[Record], Place | None]:
        """See ResponseStore."""
        self.sweep(now)
        keys = _shelf_keys(filter.owner, filter.conversation, filter.metadata)
        places, more = self._shelves.page(keys, span, lambda place: filter.matches(self._kept[place.id].record))
        return [self._kept[place.id].record for place in places], more

    async def recover(self) -> AsyncIterator[Unfinished]:
        """See ResponseStore: nothing outlives the process."""
        nothing: tuple[Unfinished, ...] = ()
        for unfinished in nothing:
            yield unfinished

    # -- parts

    def _find(self, response_id: str, now: float) -> _Kept | None:
        self.sweep(now)
        return self._kept.get(response_id)

    def _keep(self, record: Record, log: StoredLog) -> None:
        abridged = log.abridged.num_bytes if log.abridged is not None else 0
        kept = _Kept(record, log, log.num_bytes + record.num_bytes + abridged + _num_label_bytes(record))
        self._kept[record.response_id] = kept
        self._note_expiry(record)
        self._num_bytes += kept.num_bytes
        self._shelves.put(record.place, _labels(record))
        for index, item_id in item_ids(record):
            self._homes[record.owner, item_id] = (record.response_id, index)

    def _drop(self, response_id: str) -> bool:
        kept = self._kept.pop(response_id, None)
        if kept is not None:
            self._uncount(kept)
        return kept is not None

    def _uncount(self, kept: _Kept) -> None:
        self._num_bytes -= kept.num_bytes
        self._shelves.take(kept.record.place, _labels(kept.record))
        for index, item_id in item_ids(kept.record):
            if self._homes.get((kept.record.owner, item_id)) == (kept.record.response_id, index):
                del self._homes[kept.record.owner, item_id]

    def _make_room(self, now: float) -> None:
        """Drop what has expired, then the oldest records while there is too much."""
        self.sweep(now)
        while self._num_bytes > self._max_bytes:
            self.delete(next(iter(self._kept)))

    def _note_expiry(self, record: Record) -> None:
        heapq.heappush(self._expiries, (record.expires_at, record.response_id))
        if len(self._expiries) > 2 * len(self._kept) + _MIN_STALE:
            self._expiries = [(kept.record.expires_at, response_id) for response_id, kept in self._kept.items()]
            heapq.heapify(self._expiries)

    def _expires(self, response_id: str, at: float) -> bool:
        """Return whether a record has this expiry; it may also belong to one that is gone or was replaced."""
        kept = self._kept.get(response_id)
        return kept is not None and kept.record.expires_at == at


def _shelf_keys(owner: str, conversation: str | None, metadata: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the shelves for these properties, the one with all of the owner's first."""
    of_conversation = [(owner, "conversation", conversation)] if conversation is not None else []
    return [(owner,), *of_conversation, *((owner, "metadata", name, value) for name, value in metadata)]


def _labels(record: Record) -> list[tuple[str, ...]]:
    """Return the shelves of a record: none, if it is in no list."""
    if not record.continuable:
        return []
    response = record.response
    return _shelf_keys(record.owner, conversation_of(response), response.metadata.items())


def _num_label_bytes(record: Record) -> int:
    return sum(_LABEL_BYTES + len(name) + len(value) for name, value in record.response.metadata.items())
