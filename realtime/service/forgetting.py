"""Forgetting: delete all of a tenant's data, as far as that is this node's to do, a part at a time.

In a cluster each node forgets what it has: the tenant's running responses, the conversations that it has in memory, and
the responses whose home it is, which it may have in memory too. The node that is asked forgets everything that no live
node has.
"""

from __future__ import annotations

import asyncio
import time

from realtime.store.base import Stores
from realtime.store.cluster.membership import HeldElsewhere, Membership, Owner
from realtime.store.conversations import Conversation
from realtime.store.records import Filter
from realtime.store.shelves import Place, Span
from realtime.wire.errors import WireError
from realtime.wire.ids import home_of

from .commits import committed
from .forgotten import Forgotten
from .registry import Registry

PART = 200  # responses, and conversations, that are forgotten before who asked is told
_PAGE = 100
_COMMIT_SECONDS = 20.0  # for the store to have it


class Forgetting:
    """The deletion of tenants' data on this node."""

    def __init__(self, registry: Registry, stores: Stores, membership: Membership) -> None:
        self._registry = registry
        self._stores = stores
        self._membership = membership

    async def forget(self, tenant: str) -> Forgotten:
        """Forget a part of what is left here, and wait until the store has committed it. Raises WireError."""
        self._stores.check_writable()
        responses = await self._responses(tenant)
        conversations = await self._conversations(tenant)
        if responses or conversations:
            await self._committed()
        return Forgotten(responses, conversations)

    async def has(self, tenant: str) -> bool:
        """Return whether there is anything of a tenant, here or at another node. Raises WireError."""
        one = Span(limit=1)
        records, _ = await self._registry.store.list(Filter(owner=tenant), one, time.time())
        conversations, _ = await self._stores.conversations.list(tenant, (), one)
        return bool(records or conversations or await self._membership.open_of(tenant))

    async def _responses(self, tenant: str) -> int:
        registry = self._registry
        doomed = set[str]()
        for run in registry.running_of(tenant):
            run.stop("cancel")
            doomed.add(run.response_id)
        for response_id, owner in await self._membership.open_of(tenant):
            if response_id not in registry.running and not self._lives(owner):
                doomed.add(response_id)
        after: Place | None = None
        while len(doomed) < PART:
            span = Span(after=after, limit=_PAGE)
            records, after = await registry.store.list(Filter(owner=tenant), span, time.time())
            doomed |= {one.response_id for one in records if self._is_here(one.response_id)}
            if after is None:
                break
        for response_id in doomed:
            registry.delete(response_id)
        return len(doomed)

    async def _conversations(self, tenant: str) -> int:
        store, number = self._stores.conversations, 0
        after: Place | None = None
        while number < PART:
            listed, after = await store.list(tenant, (), Span(after=after, limit=_PAGE))
            for one in listed:
                number += await self._forget_conversation(tenant, one)
            if after is None:
                break
        return number

    async def _forget_conversation(self, tenant: str, listed: Conversation) -> bool:
        try:
            conversation = await self._stores.conversations.get(tenant, listed.id)
        except HeldElsewhere:  # that node forgets it
            return False
        except WireError as error:
            if error.spec.retry:
                raise
            return False  # it is gone
        self._stores.conversations.delete(conversation)
        return True

    async def _committed(self) -> None:
        """Wait until what was forgotten is committed. Raises WireError."""
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await committed(self._stores.batches)
        except TimeoutError:
            self._stores.check_writable()

    def _is_here(self, response_id: str) -> bool:
        home = home_of(response_id)
        return home is None or home == self._membership.node or home not in self._membership.peers()

    def _lives(self, owner: Owner) -> bool:
        membership = self._membership
        if owner.node == membership.node:
            return owner.epoch == membership.epoch
        peer = membership.peers().get(owner.node)
        return peer is not None and peer.epoch == owner.epoch
