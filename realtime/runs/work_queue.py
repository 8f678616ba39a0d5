"""A queue for a few places of work: decides who is next. Pure.

Tenants take turns: a place goes to the tenant that holds the fewest, then to the one that has waited longest for its
turn. Heavy work may take every place but one, so that quick work never waits for slow work, whoever asks for it.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from typing import Generic, Protocol, TypeVar


class Entry(Protocol):
    """Work that wants a place. `heavy`: it takes long."""

    @property
    def tenant(self) -> str: ...
    @property
    def heavy(self) -> bool: ...


E = TypeVar("E", bound=Entry)


class QueueFull(Exception):
    """An error: a tenant has as much work waiting as it may have."""


class WorkQueue(Generic[E]):
    """The queue for the places of one pool. An entry is added, taken, and released; or added and removed."""

    def __init__(self, num_places: int, max_waiting: int) -> None:
        """`max_waiting`: entries of one tenant."""
        self._num_free = num_places
        self._num_free_heavy = max(1, num_places - 1)
        self._max_waiting = max_waiting
        self._waiting: dict[str, _Line[E]] = {}  # by tenant, in the order of their turns
        self._held: Counter[str] = Counter()  # places by tenant
        self._number = itertools.count()

    @property
    def num_waiting(self) -> int:
        """The entries that have no place yet."""
        return sum(map(len, self._waiting.values()))

    @property
    def num_held(self) -> int:
        """The places that are not free."""
        return sum(self._held.values())

    def add(self, entry: E) -> None:
        """Add an entry that waits for `take`. Raises QueueFull."""
        line = self._waiting.setdefault(entry.tenant, _Line())
        if len(line) >= self._max_waiting:
            raise QueueFull
        line.add(entry, next(self._number))

    def remove(self, entry: E) -> None:
        """Remove an entry that waits."""
        line = self._waiting[entry.tenant]
        line.remove(entry)
        if not line:
            del self._waiting[entry.tenant]

    def take(self) -> E | None:
        """Give the next entry its place; None if no place is free for any waiting one."""
        if not self._num_free:
            return None
        heavy = self._num_free_heavy > 0
        tenants = (tenant for tenant, line in self._waiting.items() if line.first(heavy=heavy) is not None)
        tenant = min(tenants, key=self._held.__getitem__, default=None)  # the first of equals
        if tenant is None:
            return None
        line = self._waiting.pop(tenant)
        entry = line.take(heavy=heavy)
        if line:
            self._waiting[tenant] = line
        self._count(entry, 1)
        return entry

    def release(self, entry: E) -> None:
        """Take back the place of an entry."""
        self._count(entry, -1)

    def _count(self, entry: E, taken: int) -> None:
        self._num_free -= taken
        self._num_free_heavy -= taken * entry.heavy
        self._held[entry.tenant] += taken
        if not self._held[entry.tenant]:
            del self._held[entry.tenant]


class _Line(Generic[E]):
    """One tenant's waiting work: first come, first served, except that heavy work may be passed."""

    def __init__(self) -> None:
        self._entries: tuple[deque[tuple[int, E]], deque[tuple[int, E]]] = (deque(), deque())  # light, heavy

    def __len__(self) -> int:
        return sum(map(len, self._entries))

    def add(self, entry: E, number: int) -> None:
        self._entries[entry.heavy].append((number, entry))

    def remove(self, entry: E) -> None:
        queue = self._entries[entry.heavy]
        del queue[next(index for index, (_, one) in enumerate(queue) if one is entry)]

    def first(self, *, heavy: bool) -> deque[tuple[int, E]] | None:
        """Return the queue whose first entry is next. `heavy`: heavy work is allowed."""
        queues = [queue for queue in self._entries[: 1 + heavy] if queue]
        return min(queues, key=lambda queue: queue[0][0], default=None)

    def take(self, *, heavy: bool) -> E:
        queue = self.first(heavy=heavy)
        assert queue is not None
        return queue.popleft()[1]
