"""A backend in memory, shared by several nodes of one process: for tests, and for schedules that no real server would
play.

`clock` is the backend's own. `away`: it can't be reached. `lose_answers`: calls take effect and are not answered.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from realtime.store.cluster.backend import (
    Away,
    Backend,
    Changes,
    Conflict,
    Expected,
    Fenced,
    Key,
    Lease,
    LiveLease,
    Lost,
)


class MemoryBackend(Backend):
    """A backend in memory. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.away = False
        self.lose_answers = False
        self.num_commits = 0
        self._clock = clock
        self._lock = Lock()
        self._values: dict[Key, bytes] = {}
        self._order: list[Key] = []
        self._leases: dict[str, tuple[int, float, bytes]] = {}  # node -> epoch, ends at, told
        self._newest = 0  # epoch
        self._numbers: dict[str, int] = {}  # node -> the newest commit of its lease
        self._taken: dict[str, float] = {}  # key -> until when
        self._counters: dict[str, tuple[int, float]] = {}

    # -- keys

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """See Backend."""
        self._check()
        with self._lock:
            return [self._values.get(key) for key in keys]

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """See Backend."""
        self._check()
        with self._lock:
            first, last = bisect_left(self._order, begin), bisect_left(self._order, end)
            keys = self._order[first:last]
            keys = keys[::-1][:limit] if newest_first else keys[:limit]
            return [(key, self._values[key]) for key in keys]

    async def commit(self, changes: Changes) -> None:
        """See Backend."""
        self._check()
        with self._lock:
            self._commit(changes)
        self._answer()

    # -- leases

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """See Backend."""
        self._check()
        with self._lock:
            if self._epoch(node) is not None:
                return None
            self._newest += 1
            self._leases[node] = (self._newest, self._clock() + seconds, told)
            self._numbers.pop(node, None)
            lease = Lease(node, self._newest)
        self._answer()
        return lease

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """See Backend."""
        self._check()
        with self._lock:
            live = self._epoch(lease.node) == lease.epoch and self._numbers.get(lease.node, 0) >= number
            if live:
                self._leases[lease.node] = (lease.epoch, self._clock() + seconds, told)
        self._answer()
        return live

    async def release(self, lease: Lease) -> None:
        """See Backend."""
        self._check()
        with self._lock:
            if self._epoch(lease.node) == lease.epoch:
                del self._leases[lease.node]
        self._answer()

    async def leases(self) -> Sequence[LiveLease]:
        """See Backend."""
        self._check()
        with self._lock:
            return [
                LiveLease(node, epoch, told)
                for node, (epoch, _, told) in sorted(self._leases.items())
                if self._epoch(node) is not None
            ]

    async def bury(self, lease: Lease) -> bool:
        """See Backend."""
        self._check()
        with self._lock:
            if self._epoch(lease.node) == lease.epoch:
                return False
            if self._leases.get(lease.node, (0,))[0] == lease.epoch:
                del self._leases[lease.node]
        self._answer()
        return True

    # -- what expires

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Backend."""
        self._check()
        with self._lock:
            now = self._clock()
            self._taken = {one: until for one, until in self._taken.items() if until > now}
            first = key not in self._taken
            if first:
                self._taken[key] = now + seconds
        self._answer()
        return first

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Backend."""
        self._check()
        with self._lock:
            now = self._clock()
            self._counters = {one: found for one, found in self._counters.items() if found[1] > now}
            for name, count in counts.items():
                total, until = self._counters.get(name, (0, now + seconds))
                self._counters[name] = (total + count, until)
            sums = {name: self._counters[name][0] for name in counts}
        self._answer()
        return sums

    # -- the end

    async def open(self) -> None:
        """See Backend."""
        self._check()

    async def close(self) -> None:
        """See Backend."""

    # -- fail-over

    def copy(self) -> MemoryBackend:
        """Return what a replica has that has followed until now, and is not written."""
        with self._lock:
            found = MemoryBackend(self._clock)
            found._values, found._order = dict(self._values), list(self._order)
            found._leases, found._newest = dict(self._leases), self._newest
            found._numbers = dict(self._numbers)
            found._taken, found._counters = dict(self._taken), dict(self._counters)
            return found

    def become(self, replica: MemoryBackend) -> None:
        """Have only what a replica has, but for the newest epoch, which follows the clock in a real store."""
        with self._lock:
            self._values, self._order = dict(replica._values), list(replica._order)
            self._leases, self._numbers = dict(replica._leases), dict(replica._numbers)
            self._taken, self._counters = dict(replica._taken), dict(replica._counters)

    # -- parts

    def _check(self) -> None:
        if self.away:
            raise Away("the store in memory is away")

    def _answer(self) -> None:
        if self.lose_answers:
            self.lose_answers = False
            raise Away("the store in memory does not answer")

    def _epoch(self, node: str) -> int | None:
        """Return the epoch of the node's lease, if it is live."""
        epoch, ends_at, _ = self._leases.get(node, (0, float("-inf"), b""))
        return epoch if ends_at > self._clock() else None

    def _commit(self, changes: Changes) -> None:
        node = changes.fence.node
        if self._epoch(node) != changes.fence.epoch:
            raise Fenced
        newest = self._numbers.get(node, 0)
        if changes.number and newest == changes.number:
            return
        if changes.number and newest != changes.number - 1:
            raise Lost
        for key, expected in changes.checks.items():
            if not _is_as(self._values.get(key), expected):
                raise Conflict
        if changes.number:
            self._numbers[node] = changes.number
        for key in changes.deletes:
            if self._values.pop(key, None) is not None:
                del self._order[bisect_left(self._order, key)]
        for key, value in changes.sets.items():
            self._set(key, value)
        for key, number in changes.adds.items():
            self._set(key, b"%d" % (int(self._values.get(key, b"0")) + number))
        self.num_commits += 1

    def _set(self, key: Key, value: bytes) -> None:
        if key not in self._values:
            insort(self._order, key)
        self._values[key] = value


def _is_as(value: bytes | None, expected: Expected) -> bool:
    return value is not None if expected is True else value == expected
