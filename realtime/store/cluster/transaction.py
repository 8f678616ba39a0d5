"""A transaction: the reads and pending changes of a commit until it is sent. Later steps see what earlier ones changed.

Only what a step declares that it relies on is checked. If that has changed meanwhile, the commit is refused, and all of
its steps are taken again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from . import keys
from .backend import Backend, Changes, Expected, Key, Lease

_MAX_NUMBERS = 10_000  # nodes that there may ever have been


class _Layer:
    """Changes. `writes`: None deletes. `adds`: to numbers. `gone`, `given_up`: see Done. `begun`, `ended`, `erased`:
    numbers of responses whose journal begins, is no longer needed, or must vanish. `swept`: something expired was
    dropped, so the next expiry is another one.
    """

    __slots__ = ("adds", "begun", "checks", "ended", "erased", "given_up", "gone", "swept", "writes")

    def __init__(self) -> None:
        self.checks: dict[Key, Expected] = {}
        self.writes: dict[Key, bytes | None] = {}
        self.adds: dict[Key, int] = {}
        self.gone: list[str] = []
        self.given_up: list[tuple[str, int]] = []
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.erased: list[int] = []
        self.swept = False

    def take(self, other: _Layer) -> None:
        """Add the changes of a later layer."""
        self.checks |= other.checks
        for key, value in other.writes.items():
            self.writes[key] = value
            self.adds.pop(key, None)
        for key, number in other.adds.items():
            self.adds[key] = self.adds.get(key, 0) + number
        self.gone += other.gone
        self.given_up += other.given_up
        self.begun += other.begun
        self.ended += other.ended
        self.erased += other.erased
        self.swept = self.swept or other.swept


class Transaction:
    """The reads and pending changes of one commit."""

    def __init__(self, backend: Backend, lease: Lease) -> None:
        self.lease = lease
        self._backend = backend
        self._totals: dict[str, int] = {}
        self._read: dict[Key, bytes | None] = {}
        self._all = _Layer()
        self._step = _Layer()

    @property
    def all(self) -> _Layer:
        """Return the changes of all steps taken."""
        return self._all

    @property
    def now(self) -> _Layer:
        """Return the changes of the current step."""
        return self._step

    async def take(self, call: Callable[..., Awaitable[None]], arguments: Sequence[Any]) -> None:
        """Take a step: all of it, or nothing when it raises."""
        self._step = _Layer()
        try:
            await call(self, *arguments)
            self._all.take(self._step)
        finally:
            self._step = _Layer()

    # -- reading

    async def load(self, keys: Iterable[Key]) -> None:
        """Read several keys at once that will be asked for."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._read]
        if missing:
            self._read.update(zip(missing, await self._backend.get(missing), strict=True))

    async def get(self, key: Key) -> bytes | None:
        """Return a value as it will be after the commit. Not for numbers."""
        for layer in (self._step, self._all):
            if key in layer.writes:
                return layer.writes[key]
        await self.load([key])
        return self._read[key]

    async def count(self, key: Key) -> int | None:
        """Return a number as it will be after the commit; None: it does not exist."""
        added = None
        for layer in (self._step, self._all):
            if key in layer.adds:
                added = (added or 0) + layer.adds[key]
            if key in layer.writes:
                value = layer.writes[key]
                return added if value is None else int(value) + (added or 0)
        await self.load([key])
        found = self._read[key]
        return added if found is None else int(found) + (added or 0)

    async def range(self, begin: Key, end: Key, limit: int) -> list[tuple[Key, bytes]]:
        """Return a part of a space as it will be after the commit, oldest first."""
        writes = {
            key: value for layer in (self._all, self._step) for key, value in layer.writes.items() if begin <= key < end
        }
        found = dict(await self._backend.range(begin, end, limit + len(writes)))
        last = max(found, default=None) if len(found) == limit + len(writes) else None
        for key, value in writes.items():
            if value is None:
                found.pop(key, None)
            elif last is None or key <= last:
                found[key] = value
        return sorted(found.items())[:limit]

    async def total(self, space: str) -> int:
        """Return the sum of a space's numbers, approximately as it will be after the commit."""
        if space not in self._totals:
            self._totals[space] = await read_total(self._backend, space)
        begin, end = keys.under(space)
        added = [
            number for layer in (self._all, self._step) for key, number in layer.adds.items() if begin <= key < end
        ]
        return self._totals[space] + sum(added)

    async def is_over(self, lease: Lease) -> bool:
        """Return whether another lease has ended for good."""
        return await self._backend.bury(lease)

    # -- changing

    async def rely(self, key: Key, *, exists: bool = False) -> None:
        """Make the commit fail if this key has changed since it was read: its value, or whether it exists."""
        if any(key in layer.writes for layer in (self._step, self._all)):
            return
        await self.load([key])
        found = self._read[key]
        if exists and found is not None:
            if not any(key in layer.checks for layer in (self._step, self._all)):
                self._step.checks[key] = True
        else:
            self._step.checks[key] = found

    def set(self, key: Key, value: bytes) -> None:
        """Write a value."""
        self._step.writes[key] = value

    def delete(self, *keys: Key) -> None:
        """Delete keys, including those of numbers."""
        for key in keys:
            self._step.adds.pop(key, None)
            self._step.writes[key] = None

    def add(self, key: Key, number: int) -> None:
        """Add to a number."""
        self._step.adds[key] = self._step.adds.get(key, 0) + number

    def changes(self, number: int) -> Changes:
        """Return the commit."""
        writes = self._all.writes
        return Changes(
            fence=self.lease,
            number=number,
            checks=self._all.checks,
            sets={key: value for key, value in writes.items() if value is not None},
            deletes=[key for key, value in writes.items() if value is None],
            adds=self._all.adds,
        )


async def read_total(backend: Backend, space: str) -> int:
    """Return the sum of the numbers of a space."""
    return sum(int(value) for _, value in await backend.range(*keys.under(space), _MAX_NUMBERS))
