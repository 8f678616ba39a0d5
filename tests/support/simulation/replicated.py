"""A store whose replicas follow without being waited for: when one of them takes over, the newest of what was
acknowledged is gone, for all nodes alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

from realtime.store.cluster.backend import Changes, Key, Lease
from tests.support.memory_backend import MemoryBackend

KEPT_SECONDS = 4.0  # the most that a fail-over may lose
_STATE = (
    "_values",
    "_order",
    "_leases",
    "_numbers",
    "_taken",
    "_counters",
)  # epochs follow the clock: none comes again


class ReplicatedBackend(MemoryBackend):
    """See the module."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.on_range: list[Callable[[bytes], None]] = []  # somebody has read from there
        self.on_commit: list[Callable[[Changes], None]] = []  # they are there now
        self._past: deque[tuple[float, dict[str, Any]]] = deque()
        self._keep()

    def fail_over(self, seconds: float) -> None:
        """Be as it was so many seconds ago."""
        then = self._clock() - seconds
        while len(self._past) > 1 and self._past[-1][0] > then:
            self._past.pop()
        for name, value in self._past[-1][1].items():
            setattr(self, name, copy(value))

    def _keep(self) -> None:
        now, past = self._clock(), self._past
        past.append((now, {name: copy(getattr(self, name)) for name in _STATE}))
        while len(past) > 1 and past[1][0] < now - KEPT_SECONDS:
            past.popleft()

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """See Backend."""
        found = await super().range(begin, end, limit, newest_first=newest_first)
        for call in list(self.on_range):
            call(begin)
        return found

    # -- what changes it

    async def commit(self, changes: Changes) -> None:
        """See Backend."""
        await super().commit(changes)
        self._keep()
        for call in list(self.on_commit):
            call(changes)

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """See Backend."""
        lease = await super().acquire(node, seconds, told)
        self._keep()
        return lease

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """See Backend."""
        live = await super().renew(lease, seconds, told, number)
        self._keep()
        return live

    async def release(self, lease: Lease) -> None:
        """See Backend."""
        await super().release(lease)
        self._keep()

    async def bury(self, lease: Lease) -> bool:
        """See Backend."""
        gone = await super().bury(lease)
        self._keep()
        return gone

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Backend."""
        first = await super().take_once(key, seconds)
        self._keep()
        return first

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Backend."""
        sums = await super().add_up(counts, seconds)
        self._keep()
        return sums
