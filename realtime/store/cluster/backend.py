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
    """A node's right to write. `epoch`: no two leases of a node have the same, and a later one has a greater one."""

    node: str
    epoch: int


class LiveLease(msgspec.Struct, frozen=True):
    """A lease that is live, and what its node tells the others."""

    node: str
    epoch: int
    told: bytes


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `number`: what the caller counts its commits by; one that comes twice because its answer was lost
    takes effect once. 0: it may take effect twice (it has no `adds` and no `checks`).
    """

    fence: Lease
    number: int = 0
    checks: Mapping[Key, Expected] = {}
    sets: Mapping[Key, bytes] = {}
    deletes: Sequence[Key] = ()
    adds: Mapping[Key, int] = {}


class Fenced(Exception):
    """The lease is not live, and never will be again. Nothing has changed."""


class Conflict(Exception):
    """A key was not as expected. Nothing has changed."""


class Away(Exception):
    """The backend can't be reached, or does not answer: what was sent may have taken effect. The text has neither
    credentials nor contents.
    """


class Denied(Away):
    """The backend does not let this server in, or not do what it has to: somebody has to change that."""


class Refused(Exception):
    """The backend will not have what was sent, however often, which is a bug of ours; or the URL is none."""


class Backend(Protocol):
    """A place that all nodes reach. Every call raises Away and Refused."""

    # -- keys

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """Return the values of keys, as of one moment. A number is its decimal digits."""

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """Return what there is from `begin` up to but not with `end`, in order, from the front or from the back. Both
        are in one space: what is before their first slash is the same.
        """

    async def commit(self, changes: Changes) -> None:
        """Make changes, all or none. Raises Fenced and Conflict."""

    # -- leases

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """Begin a lease; None: the node has one that is live."""

    async def renew(self, lease: Lease, seconds: float, told: bytes) -> bool:
        """Go on with a lease that is live, from now on for so many seconds. False: it is not."""

    async def release(self, lease: Lease) -> None:
        """End a lease at once; ignore one that has ended."""

    async def leases(self) -> Sequence[LiveLease]:
        """Return those that are live."""

    async def bury(self, lease: Lease) -> bool:
        """Make sure that a lease that has ended stays so, whatever its clock does. Return False if it is live."""

    # -- what expires

    async def take_once(self, key: str, seconds: float) -> bool:
        """Return True to the first who asks within so many seconds."""

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """Add to counters, each of which is 0 again so many seconds after its first addition. Return the sums."""

    # -- the end

    async def open(self) -> None:
        """Connect, and make what has to be there. To be called once, first."""

    async def close(self) -> None:
        """Disconnect."""
