"""A backend: the place that all nodes reach. It has ordered keys, and commits that are all or nothing.

Keys are bytes, ordered bytewise; values are bytes, or integers that can be added to. A commit is fenced: it takes
effect only while the lease that it names is live, by the backend's clock. A lease that has ended never becomes live
again, so what a stopped process sends when it wakes up changes nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

Key = bytes
Expected = bytes | Literal[True] | None
"""What a commit expects of a key: this value, any value (True), or none (None)."""


class Lease(msgspec.Struct, frozen=True):
    """A node's right to write. `epoch`: different for each lease of a node, and greater for a later one."""

    node: str
    epoch: int


class LiveLease(msgspec.Struct, frozen=True):
    """A live lease, and the data that its node publishes."""

    node: str
    epoch: int
    told: bytes


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `number`: the caller's count of its commits under the lease, from 1. One that is sent again after a
    lost answer takes effect once; one whose predecessor is not there, because a store that failed over has lost it, is
    refused as without a lease. 0: it may take effect twice, and at any time (it has no `adds` and no `checks`).
    """

    fence: Lease
    number: int = 0
    checks: Mapping[Key, Expected] = {}
    sets: Mapping[Key, bytes] = {}
    deletes: Sequence[Key] = ()
    adds: Mapping[Key, int] = {}


class Fenced(Exception):
    """An error: the lease is not live, and never will be again, or the store has lost what was committed under it.
    Nothing has changed.
    """


class Lost(Fenced):
    """An error: the store has failed over, or was started again, without what was committed under the lease."""


class Conflict(Exception):
    """An error: a key was not as expected. Nothing has changed."""


class Away(Exception):
    """An error: the backend can't be reached, or does not answer. What was sent may have taken effect. The text has
    neither credentials nor contents.
    """


class Denied(Away):
    """An error: the backend does not let this server in, or lacks a permission. An operator has to change that."""


class Refused(Exception):
    """An error: the backend would refuse what was sent however often it came, which is a bug of ours; or the URL is
    invalid.
    """


class Backend(Protocol):
    """A place that all nodes reach. Every call raises Away and Refused."""

    # -- keys

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """Return the values of keys, all as of one moment. A number is returned as its decimal digits."""

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """Return the entries from `begin` up to but not including `end`, in order, from the front or from the back.
        Both keys are in one space: they are the same up to the first slash.
        """

    async def commit(self, changes: Changes) -> None:
        """Make all changes, or none. Raises Fenced, Lost among them, and Conflict."""

    # -- leases

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """Begin a lease; None: the node has a live one."""

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """Extend a live lease to so many seconds from now. Return False if it is not live, or if the commits under it
        up to this number are not there.
        """

    async def release(self, lease: Lease) -> None:
        """End a lease at once. Does nothing if it has ended."""

    async def leases(self) -> Sequence[LiveLease]:
        """Return the live leases."""

    async def bury(self, lease: Lease) -> bool:
        """Make sure that a lease that has ended stays so, whatever its clock does. Return False if it is live."""

    # -- what expires

    async def take_once(self, key: str, seconds: float) -> bool:
        """Return True to the first caller within so many seconds."""

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """Add to counters, each of which is 0 again so many seconds after its first addition. Return the sums."""

    # -- the end

    async def open(self) -> None:
        """Connect, and create the schema if it is missing. Call it once, first."""

    async def close(self) -> None:
        """Disconnect."""
