"""What a node knows of itself and of the other nodes, and what it shares with them beside what is stored. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from realtime.store.records import Unfinished

State = Literal["starting", "serving", "draining"]


class Peer(msgspec.Struct, frozen=True):
    """A live node. url: where the other nodes reach it. num_running: responses that are not over."""

    node: str
    epoch: int
    url: str
    state: State
    num_running: int


class Owner(msgspec.Struct, frozen=True):
    """The node that writes a response or a conversation, and its epoch when it took it."""

    node: str
    epoch: int


class CannotJoin(Exception):
    """The node can't have a lease. The text says what to do, and is for the person at the terminal."""


class HeldElsewhere(Exception):
    """A conversation is another live node's, which has it in memory: it has to be asked there."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(f"node {owner.node} holds it")
        self.owner = owner


class Membership(Protocol):
    """One node in a cluster, from `join` to `leave`. To be used on the loop alone; coroutines raise WireError while
    the store is away.

    A lease is lost when it could not be renewed in time; then nothing that was not committed ever will be, and the
    stores hold nothing. `join` begins again, with a new epoch.
    """

    @property
    def node(self) -> str:
        """The name of this node."""

    @property
    def epoch(self) -> int:
        """The number of the own lease; 0: there has been none."""

    @property
    def on_lost(self) -> list[Callable[[], None]]:
        """To be called on the loop, once for each lease, when it does not hold any more; not after `leave`."""

    def holds(self) -> bool:
        """Return whether the own lease holds now."""

    def peers(self) -> Mapping[str, Peer]:
        """Return the other live nodes, as of the last renewal."""

    def announce(self, state: State, num_running: int) -> None:
        """Tell the others of this node, with the next renewal."""

    async def join(self) -> None:
        """Wait for the lease, as long as the store is away. One that does not hold any more is lost first. Raises
        CannotJoin when another server is this node.
        """

    async def leave(self) -> None:
        """Commit what is left and give the lease back: others may adopt at once."""

    async def owner_of(self, name: str) -> Owner | None:
        """Return the owner of a response that is not over, or of a conversation that somebody has had in memory, live
        or not. Who sealed a response that is not to be stored is not told: its id may say where it is.
        """

    async def orphans(self, limit: int) -> Sequence[str]:
        """Return open responses whose owner's lease is not live, this node's own earlier ones among them."""

    async def open_of(self, tenant: str) -> Sequence[tuple[str, Owner]]:
        """Return the responses of a tenant that are not over, with their owners, live or not."""

    def adopt(self, response_ids: Sequence[str]) -> AsyncIterator[Unfinished]:
        """Become the owner of orphans, and yield those that this node got; the others are somebody else's, or over."""

    async def take_once(self, key: str, seconds: float) -> bool:
        """Return True to exactly one caller in the cluster within so many seconds."""

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """Add to counters that the nodes share, and return the sums: close, not exact. Each is 0 again so many seconds
        after its first addition.
        """
