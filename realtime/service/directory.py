"""The directory: whether a response is here, on another node of the cluster, or in the store only.

The service asks the directory before it looks anything up, and forwards calls about a response elsewhere to its node.
Without a cluster everything is here. The store knows the owner of each running response (`Membership.owner_of`). The
home node in the id is asked when the store does not know the response yet, and when a finished response may be more
complete in that node's memory.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from realtime.store.base import Claim, Stores
from realtime.store.cluster.membership import HeldElsewhere, Membership, Owner
from realtime.store.shelves import Place as ListPlace
from realtime.wire.errors import ErrorCode, WireError, response_not_found
from realtime.wire.ids import home_of
from realtime.wire.requests import Place, StopKind
from realtime.wire.response import Response

from .intake import Asked
from .list_pages import PagePart, PageQuery
from .owners import Owners
from .principal import Principal
from .registry import Registry
from .remote import Remote
from .truncations import CutResponse

RETRY_SECONDS = 2.0  # to wait after a node is gone: about until another one has taken over
_ADOPTION_SECONDS = 9.0  # for which a look-up waits for another node to take what a dead one had
_LOOK_SECONDS = (0.1, 0.5)  # between two looks at who has it now: the first time, and at most


class RemoteCut(msgspec.Struct, frozen=True):
    """The result of a truncation elsewhere; see CutResponse. `ended`: whether the response was ended for it."""

    response: Response
    ended: bool


class OtherNode(Protocol):
    """Another node, as the service calls it. Every method raises WireError: one raised there, or because the node can't
    be reached.
    """

    @property
    def name(self) -> str: ...

    async def create(self, principal: Principal, asked: Asked) -> str:
        """See Service.create. Return the id."""

    async def stop(
        self, principal: Principal, response_id: str, how: StopKind, delivered: int | None, through: int | None
    ) -> None:
        """See Service.stop."""

    async def cancel_or_truncate(
        self, principal: Principal, response_id: str, through: int, delivered: int | None
    ) -> RemoteCut | None:
        """See Service.cancel_or_truncate. None: it was cancelled."""

    async def truncate(
        self, principal: Principal, response_id: str, place: Place, delivered: int | None, *, here: bool
    ) -> RemoteCut:
        """See Service.truncate."""

    async def settle(self, response_id: str) -> None:
        """Wait until a finished response is in the store. Raises WireError while it runs."""

    async def running(self, principal: Principal, wanted: PageQuery, after: ListPlace | None) -> PagePart:
        """See Lists.running_here."""

    async def place(self, principal: Principal, response_id: str) -> ListPlace | None:
        """See Lists.place_here."""


class Nodes(Protocol):
    """The other nodes."""

    @property
    def copies(self) -> Mapping[str, Remote]:
        """Return the copies of responses that readers here follow, by response id."""

    def live(self) -> Sequence[OtherNode]:
        """Return all that live."""

    def get(self, name: str, epoch: int | None = None) -> OtherNode | None:
        """Return a live node. With an epoch: only if the node still has it."""

    def follow(self, principal: Principal, response_id: str, node: OtherNode, *, created: bool) -> Awaitable[Remote]:
        """Return the response as it is read here. `created`: it was created from here, so its turn is needed. Raises
        WireError.
        """


class TriedElsewhere(Exception):
    """An error: the same request was sent before, to this other node."""

    def __init__(self, node: OtherNode) -> None:
        super().__init__(f"node {node.name} has it")
        self.node = node


class Directory:
    """The directory of responses. `nodes`: None outside a cluster."""

    def __init__(
        self, registry: Registry, stores: Stores, bound: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        """bound: bounds the time of a look-up; see Patience."""
        self.nodes: Nodes | None = None
        self.bound = bound
        self._registry = registry
        self._stores = stores
        self._owners = Owners(stores.membership) if stores.membership is not None else None

    @property
    def copies(self) -> Mapping[str, Remote]:
        """Return the copies of responses that readers here follow."""
        return self.nodes.copies if self.nodes is not None else {}

    async def running_at(self, response_id: str) -> OtherNode | None:
        """Return the other node where a response runs. If its node is gone, wait until another one takes it. Raises
        WireError.
        """
        nodes, membership, owners = self.nodes, self._stores.membership, self._owners
        if nodes is None or membership is None or owners is None or response_id in self._registry.running:
            return None
        until = time.monotonic() + _ADOPTION_SECONDS
        pauses = _pauses()
        while (owner := await owners.owner_of(response_id)) is not None:
            if self._is_here(owner, membership):
                if await self._has_come(response_id):
                    return None
            elif owner.node != membership.node and (node := nodes.get(owner.node, owner.epoch)) is not None:
                return node
            if response_id in self._registry.running:
                return None
            if time.monotonic() >= until:
                raise node_unavailable(response_id)
            await asyncio.sleep(next(pauses))
        return await self._home_of_unknown(response_id)

    async def keeper_of(self, response_id: str) -> OtherNode | None:
        """Return the other node that has to make changes to a response: where it runs, else where it was made, because
        sockets there may hold its turn. Raises WireError.
        """
        node = await self.running_at(response_id)
        if node is not None or self.nodes is None or response_id in self._registry.running:
            return node
        return await self._live_home(response_id)

    async def check_not_tried(self, claim: Claim | None, asker: str | None = None) -> None:
        """Raises TriedElsewhere if the earlier try of the same request that made this claim runs on another node, or is
        about to, and WireError. `asker`: the node that has the request carried out here. If that made the claim, it
        knows that its try came to nothing.
        """
        node = await self.running_at(claim.response_id) if claim is not None else None
        if node is None or claim is None:
            return
        if node.name != asker or self._owners is None or await self._owners.owner_of(claim.response_id) is not None:
            raise TriedElsewhere(node)

    async def settle(self, response_id: str) -> None:
        """Wait until the store has a response that ended elsewhere. Raises WireError for one that is not over."""
        node = await self.running_at(response_id)
        if node is not None:
            await node.settle(response_id)

    async def running(self, principal: Principal, wanted: PageQuery, after: ListPlace | None) -> Sequence[PagePart]:
        """Return what all other nodes have of a page of a list. Raises WireError."""
        nodes = self.nodes.live() if self.nodes is not None else ()
        return await asyncio.gather(*(node.running(principal, wanted, after) for node in nodes))

    async def place(self, principal: Principal, response_id: str) -> ListPlace | None:
        """Return the place in lists of a response that runs elsewhere. Raises WireError."""
        node = await self.running_at(response_id)
        return await node.place(principal, response_id) if node is not None else None

    async def find(self, principal: Principal, response_id: str) -> Remote | None:
        """Return a response that runs elsewhere, as it is read here. Raises WireError."""
        return await self._where_it_runs(response_id, lambda node: self.follow(principal, response_id, node))

    async def stop(
        self, principal: Principal, response_id: str, how: StopKind, delivered: int | None, through: int | None
    ) -> Remote | None:
        """See Service.stop. None: it does not run elsewhere."""

        async def stop(node: OtherNode) -> Remote:
            await node.stop(principal, response_id, how, delivered, through)
            return await self.follow(principal, response_id, node)

        return await self._where_it_runs(response_id, stop)

    async def _where_it_runs(self, response_id: str, ask: Callable[[OtherNode], Awaitable[Remote]]) -> Remote | None:
        """Ask the other node where a response runs; None: it runs on none. Of a node that can't be reached another one
        will have it when the lease is over, which is waited for: whoever was sent away would try again with pauses that
        grow, and be back later. Raises WireError.
        """
        until = time.monotonic() + _ADOPTION_SECONDS
        pauses = _pauses()
        while (node := await self.running_at(response_id)) is not None:
            try:
                return await ask(node)
            except WireError as error:
                pause = next(pauses)
                if error.code is not ErrorCode.NODE_UNAVAILABLE or time.monotonic() + pause >= until:
                    raise
            await asyncio.sleep(pause)
        return None

    async def truncate(
        self, principal: Principal, response_id: str, place: Place, delivered: int | None
    ) -> CutResponse | None:
        """See Service.truncate. None: no other node keeps it."""
        node = await self._bounded_keeper_of(response_id)
        if node is None:
            return None
        return await self._truncate_at(node, principal, response_id, place, delivered, here=False)

    async def truncate_at(
        self, held: HeldElsewhere, principal: Principal, response_id: str, place: Place, delivered: int | None
    ) -> CutResponse:
        """Have the node truncate a response in its conversation, without asking others. Raises WireError."""
        node = self.node_for(held, None)
        assert node is not None
        return await self._truncate_at(node, principal, response_id, place, delivered, here=True)

    async def _truncate_at(
        self, node: OtherNode, principal: Principal, response_id: str, place: Place, delivered: int | None,
        *, here: bool,
    ) -> CutResponse:  # fmt: skip
        cut = await node.truncate(principal, response_id, place, delivered, here=here)
        return await self._shown(principal, response_id, node, cut)

    async def cancel_or_truncate(
        self, principal: Principal, response_id: str, through: int, delivered: int | None
    ) -> Remote | CutResponse | None:
        """See Service.cancel_or_truncate. None: no other node keeps it."""
        node = await self._bounded_keeper_of(response_id)
        if node is None:
            return None
        cut = await node.cancel_or_truncate(principal, response_id, through, delivered)
        if cut is None:
            return await self.follow(principal, response_id, node)
        return await self._shown(principal, response_id, node, cut)

    async def _bounded_keeper_of(self, response_id: str) -> OtherNode | None:
        async with self.bound():
            return await self.keeper_of(response_id)

    async def _shown(self, principal: Principal, response_id: str, node: OtherNode, cut: RemoteCut) -> CutResponse:
        """Return a truncation elsewhere as the asker will see it."""
        ended = await self.follow(principal, response_id, node) if cut.ended else None
        return CutResponse(cut.response, ended)

    async def follow(self, principal: Principal, response_id: str, node: OtherNode, *, created: bool = False) -> Remote:
        """See Nodes."""
        assert self.nodes is not None
        remote = await self.nodes.follow(principal, response_id, node, created=created)
        if remote.tenant != principal.tenant:
            raise response_not_found(response_id)
        return remote

    async def create(self, principal: Principal, asked: Asked, node: OtherNode) -> Remote:
        """Have another node create a response, and return it as it is read here. Raises WireError."""
        return await self.follow(principal, await node.create(principal, asked), node, created=True)

    def node_for(
        self, error: HeldElsewhere | TriedElsewhere | WireError, conversation_id: str | None
    ) -> OtherNode | None:
        """Return the node that has to be asked instead; None: this one's answer holds. What names a conversation that
        the store does not know goes to its home: it may have been begun a moment ago. Raises WireError.
        """
        if isinstance(error, TriedElsewhere):
            return error.node
        if isinstance(error, WireError):
            if error.code is not ErrorCode.CONVERSATION_NOT_FOUND or conversation_id is None:
                return None
            return self._home(conversation_id)
        node = self.nodes.get(error.owner.node) if self.nodes is not None else None
        if node is None:
            raise node_unavailable()
        return node

    async def _has_come(self, response_id: str) -> bool:
        """Return whether what this node owns is there: it becomes its owner a moment before it goes on with it."""
        registry = self._registry
        if response_id in registry.running or response_id in registry.deleted:
            return True
        return await registry.store.get(response_id, time.time()) is not None

    async def _home_of_unknown(self, response_id: str) -> OtherNode | None:
        """Return the home of a response that the store does not know: it may have been begun a moment ago."""
        if self._is_ours(response_id) or await self._registry.store.get(response_id, time.time()) is not None:
            return None
        return await self._live_home(response_id)

    async def _live_home(self, response_id: str) -> OtherNode | None:
        """Return the other node where a response was made, if it lives. Raises WireError."""
        membership = self._stores.membership
        if membership is None or self._is_ours(response_id):
            return None
        if self._home(response_id) is None:
            await membership.look()  # it may have joined since this node last heard of the others
        return self._home(response_id)

    def _is_ours(self, name: str) -> bool:
        membership, home = self._stores.membership, home_of(name)
        return membership is None or home is None or home == membership.node

    def _home(self, response_id: str) -> OtherNode | None:
        name, membership = home_of(response_id), self._stores.membership
        if self.nodes is None or membership is None or name is None or name == membership.node:
            return None
        return self.nodes.get(name)

    def _is_here(self, owner: Owner, membership: Membership) -> bool:
        return owner == Owner(membership.node, membership.epoch)


def _pauses() -> Iterator[float]:
    """Pauses between looks, longer from one to the next, and with jitter: a thousand may look at once."""
    seconds, longest = _LOOK_SECONDS
    while True:
        yield seconds * random.uniform(0.5, 1.0)
        seconds = min(2 * seconds, longest)


def node_unavailable(response_id: str | None = None) -> WireError:
    """Return the refusal of a call to a node that can't be reached now."""
    text = "The node that has this can't be reached: another one takes it over, so try again in a moment."
    return WireError(ErrorCode.NODE_UNAVAILABLE, text, retry_after=RETRY_SECONDS, response_id=response_id)
