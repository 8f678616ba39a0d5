"""A backend whose round trips are measured: one for each commit, which is one for each flush, and none for an event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeVar

from .backend import Away, Backend, Changes, Conflict, Fenced, Key, Lease, LiveLease, Refused

T = TypeVar("T")

Operation = Literal["commit", "read", "lease", "shared"]
Told = Callable[[Operation, float, str | None], None]
"""Told what was done, its seconds, and how it failed: `away`, `conflict`, `fenced`, `refused`; None: it did not."""

_FAILURES: Mapping[type[BaseException], str] = {
    Conflict: "conflict", Fenced: "fenced", Refused: "refused", Away: "away", asyncio.CancelledError: "away",
}  # fmt: skip


class TimedBackend(Backend):
    """A backend whose round trips are measured. `told` is called where the backend is used."""

    def __init__(self, backend: Backend, told: Told, clock: Callable[[], float] = time.monotonic) -> None:
        self._backend = backend
        self._told = told
        self._clock = clock

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """See Backend."""
        return await self._timed("read", self._backend.get(keys))

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """See Backend."""
        return await self._timed("read", self._backend.range(begin, end, limit, newest_first=newest_first))

    async def commit(self, changes: Changes) -> None:
        """See Backend."""
        await self._timed("commit", self._backend.commit(changes))

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """See Backend."""
        return await self._timed("lease", self._backend.acquire(node, seconds, told))

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """See Backend."""
        return await self._timed("lease", self._backend.renew(lease, seconds, told, number))

    async def release(self, lease: Lease) -> None:
        """See Backend."""
        await self._timed("lease", self._backend.release(lease))

    async def leases(self) -> Sequence[LiveLease]:
        """See Backend."""
        return await self._timed("lease", self._backend.leases())

    async def bury(self, lease: Lease) -> bool:
        """See Backend."""
        return await self._timed("lease", self._backend.bury(lease))

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Backend."""
        return await self._timed("shared", self._backend.take_once(key, seconds))

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Backend."""
        return await self._timed("shared", self._backend.add_up(counts, seconds))

    async def open(self) -> None:
        """See Backend."""
        await self._backend.open()

    async def close(self) -> None:
        """See Backend."""
        await self._backend.close()

    async def _timed(self, operation: Operation, work: Awaitable[T]) -> T:
        began, failure = self._clock(), None
        try:
            return await work
        except BaseException as error:
            failure = next((name for kind, name in _FAILURES.items() if isinstance(error, kind)), "refused")
            raise
        finally:
            self._told(operation, self._clock() - began, failure)
