"""Look-ups for a request, in the registry and in the stores, before anything is decided about it.

All look-ups of a create are in this module. `Intake` decides with their results, and looks up nothing itself.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from realtime.context.turns import Turn
from realtime.runs.audience import DISCONNECTED
from realtime.store.base import Claim, ConversationStore, RequestStore
from realtime.store.records import Source
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Response

from .intake import LookedUp, digest_of, references
from .registry import Registry


class Attempt(msgspec.Struct, frozen=True):
    """An earlier attempt at a request: the newest claim of its id, and the response to attach to, if known."""

    claim: Claim | None = None
    source: Source | None = None


class Elsewhere(Protocol):
    """The other nodes, as far as they may know of a request; see Directory."""

    async def check_not_tried(self, claim: Claim | None, asker: str | None = None) -> None: ...
    async def settle(self, response_id: str) -> None: ...


class Lookups:
    """The look-ups for a request. `now` is the registry's clock."""

    def __init__(
        self, registry: Registry, conversations: ConversationStore, requests: RequestStore, elsewhere: Elsewhere
    ) -> None:
        self._elsewhere = elsewhere
        self._registry = registry
        self._conversations = conversations
        self._requests = requests

    async def earlier_attempt(
        self, tenant: str, request: ResponseCreate, now: float, asker: str | None = None
    ) -> Attempt:
        """Find the response of the same request sent before: an ambiguous retry attaches, it never runs twice. Raises
        TriedElsewhere if another node has it, and WireError if its id was used for another request. `asker`: see
        Directory.check_not_tried.

        The claim is looked up once: a second look may find that of another node, whose response has not begun yet.
        """
        if request.request_id is None:
            return Attempt()
        claim = await self._requests.find(tenant, request.request_id)
        await self._elsewhere.check_not_tried(claim, asker)
        if claim is None or claim.response_id in self._registry.deleted:
            return Attempt(claim)
        source = await self._registry.get(claim.response_id, now)
        if source is None or _came_to_nothing(source.response):
            return Attempt(claim)
        if claim.digest != digest_of(request):
            text = f"`request_id` '{request.request_id}' was used for a different request."
            raise WireError(ErrorCode.IDEMPOTENCY_CONFLICT, text, param="request_id")
        return Attempt(claim, source)

    async def find(self, tenant: str, request: ResponseCreate, parent: Turn | None, now: float) -> LookedUp:
        """Find what a request continues and refers to. `parent`: the turn, if the caller holds it. Items that are not
        found are left out. Raises WireError if anything else is missing.
        """
        conversation = None
        if request.conversation_id is not None:
            conversation = await self._conversations.get(tenant, request.conversation_id)
        if parent is None and request.previous_response_id is not None:
            await self._elsewhere.settle(request.previous_response_id)
            parent = await self._registry.find_turn(tenant, request.previous_response_id, now)
        items = {}
        for item_id in references(request):
            if (item := await self._registry.store.find_item(tenant, item_id, now)) is not None:
                items[item_id] = item
        return self.settle(request, LookedUp(parent=parent, conversation=conversation, items=items))

    def settle(self, request: ResponseCreate, found: LookedUp) -> LookedUp:
        """Return the findings brought up to date, after other calls may have changed something during the look-ups. A
        turn may also be a socket's own copy of one that was cut since. Raises WireError for a request that can't be
        started any more.
        """
        if found.conversation is not None:
            found.conversation.check_exists()
            self._conversations.check_room(found.conversation, len(request.items))
        if found.parent is None:
            return found
        parent = self._registry.current_turn(found.parent)
        return found if parent is found.parent else msgspec.structs.replace(found, parent=parent)


def _came_to_nothing(response: Response) -> bool:
    """Return whether it failed, or was stopped because its client left: then the same request means a new attempt."""
    details = response.incomplete_details
    return response.status == "failed" or (details is not None and details.reason == DISCONNECTED)
