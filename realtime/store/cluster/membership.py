"""A node's membership: what it knows of itself and of the other nodes, and what it shares with them outside the stores.
Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, Protocol

import msgspec

from realtime.store.records import Unfinished

State = Literal["starting", "serving", "draining"]


class TenantPlaces(msgspec.Struct, frozen=True, array_like=True):
    """The places that a tenant has on one node. tenant: its digest. waited: seconds that its first one has waited for
    nothing but a place of its tenant; None: none does.
    """

    tenant: bytes
    num_running: int
    num_waiting: int
    waited: float | None = None


@lru_cache(maxsize=4096)
def tenant_digest(tenant: str) -> bytes:
    """Return what stands for a tenant in what nodes tell each other by the store."""
    return hashlib.blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=16, person=b"tenant").digest()


class Peer(msgspec.Struct, frozen=True):
    """A live node. url: where the other nodes reach it; empty: they ask it for nothing. num_running: responses that are
    not over. tenants: whose number of places is limited. engine: the fingerprint of its engine, see Loaded; empty: none
    has served yet.
    """

    node: str
    epoch: int
    url: str
    state: State
    num_running: int
    tenants: tuple[TenantPlaces, ...] = ()
    engine: str = ""


class Owner(msgspec.Struct, frozen=True):
    """The node that writes a response or a conversation, and the node's epoch when it took it."""

    node: str
    epoch: int


class CannotJoin(Exception):
    """An error: the node can't have a lease. The text says what to do, and is for the person at the terminal."""


class HeldElsewhere(Exception):
    """An error: another live node has the conversation in memory, and has to be asked. `tried_here`: about a request
    that this node has tried before, which came to nothing.
    """

    def __init__(self, owner: Owner) -> None:
        super().__init__(f"node {owner.node} holds it")
        self.owner = owner
        self.tried_here = False


class Membership(Protocol):
    """One node in a cluster, from `join` to `leave`. For use on the loop only; coroutines raise WireError while the
    store is away.

    A lease is lost when it could not be renewed in time. Uncommitted changes are then lost for good, and the stores
    become empty. `join` begins again, with a new epoch.
    """

    @property
    def node(self) -> str:
        """The name of this node."""

    @property
    def epoch(self) -> int:
        """The number of this node's lease; 0: it has had none."""

    @property
    def on_lost(self) -> list[Callable[[], None]]:
        """A callback, called on the loop once for each lease that is lost; not after `leave`."""

    def holds(self) -> bool:
        """Return whether this node's lease holds now."""

    def peers(self) -> Mapping[str, Peer]:
        """Return the other live nodes, as of the last renewal, or the last `look`."""

    async def look(self) -> None:
        """Look which other nodes live now."""

    def announce(self, state: State, num_running: int, tenants: Sequence[TenantPlaces] = (), engine: str = "") -> None:
        """Publish this node's data to the others, with the next renewal."""

    async def join(self) -> None:
        """Wait for a lease, as long as the store is away. An earlier lease that does not hold any more is lost first.
        Raises CannotJoin when another server uses this node's name.
        """

    async def leave(self) -> None:
        """Commit what is left, and give the lease back: others may adopt at once."""

    async def owner_of(self, name: str) -> Owner | None:
        """Return the owner of a response that is not over, or of a conversation that some node has had in memory,
        whether that node is live or not. A finished response that is not stored has no owner: its id may say where it
        is.
        """

    async def owners_of(self, names: Sequence[str]) -> Sequence[Owner | None]:
        """Return what `owner_of` says of each, by one look-up."""

    def orphans(self, limit: int) -> AsyncIterator[Sequence[str]]:
        """Yield all open responses whose owner's lease is not live, including this node's own earlier ones, at most
        `limit` at a time.
        """

    async def open_of(self, tenant: str) -> Sequence[tuple[str, Owner]]:
        """Return the responses of a tenant that are not over, with their owners, live or not."""

    def adopt(
        self, response_ids: Sequence[str], *, in_own: bool = False, leave: frozenset[str] = frozenset()
    ) -> AsyncIterator[Unfinished]:
        """Become the owner of orphans and of their conversations, and yield those that this node got. The others are
        another node's, or over, or in a conversation that another live node has in memory, which is to adopt them.
        `in_own`: take only those in conversations of this node. `leave`: fingerprints of engines; what they have begun
        is not taken, unless it is in a conversation of this node, which nobody else may write.
        """

    async def take_once(self, key: str, seconds: float) -> bool:
        """Return True to exactly one caller in the cluster within so many seconds. The store has the key's digest."""

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """Add to counters that the nodes share, and return the sums, which are close, not exact. Each counter is 0
        again so many seconds after its first addition. The store holds digests of the names.
        """
