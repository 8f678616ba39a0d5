"""Records in memory: uncommitted ones, and the most recently used ones, up to a size. Pure."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from realtime.store.event_log import StoredLog
from realtime.store.records import Record


class Cached(msgspec.Struct):
    """A record; `log`: None if it has not been read."""

    record: Record
    num_bytes: int
    log: StoredLog | None = None


class Cache:
    """The most recently used records, at most `max_bytes` of them."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Cached] = OrderedDict()
        self.num_bytes = 0

    def get(self, response_id: str) -> Cached | None:
        """Return a record's entry, and mark it as just used."""
        found = self._kept.get(response_id)
        if found is not None:
            self._kept.move_to_end(response_id)
        return found

    def put(self, record: Record, num_bytes: int, log: StoredLog | None = None) -> None:
        """Hold a record, in place of any other with its id."""
        self.drop(record.response_id)
        self._count(Cached(record, num_bytes, log))

    def add_log(self, response_id: str, log: StoredLog) -> None:
        """Hold the log of a record that is held."""
        found = self.drop(response_id)
        if found is not None:
            self._count(Cached(found.record, found.num_bytes, log))

    def drop(self, response_id: str) -> Cached | None:
        """Drop a record."""
        found = self._kept.pop(response_id, None)
        if found is not None:
            self.num_bytes -= _num_bytes(found)
        return found

    def _count(self, cached: Cached) -> None:
        self._kept[cached.record.response_id] = cached
        self.num_bytes += _num_bytes(cached)
        while self.num_bytes > self._max_bytes:
            self.drop(next(iter(self._kept)))


def _num_bytes(cached: Cached) -> int:
    log = cached.log
    if log is None:
        return cached.num_bytes
    return cached.num_bytes + log.num_bytes + (log.abridged.num_bytes if log.abridged is not None else 0)
