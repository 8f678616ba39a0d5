"""Look-ups for a request, in the registry and in the stores, before anything is decided about it.

All look-ups of a create stand here. `Intake` decides with what they bring, and asks nobody.
"""

from __future__ import annotations

from realtime.context.turns import Turn
from realtime.runs.audience import DISCONNECTED
from realtime.store.conversations import Conversation, ConversationStore
from realtime.store.idempotency import Attempts
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Response

from .intake import LookedUp, references
from .registry import Held, Responses


class Lookups:
    """The places where something may be known of a request. `now` is as the registry's."""

    def __init__(self, responses: Responses, conversations: ConversationStore, attempts: Attempts) -> None:
        self._responses = responses
        self._conversations = conversations
        self._attempts = attempts

    def earlier_attempt(self, tenant: str, request: ResponseCreate, now: float) -> Held | None:
        """Find the response of the same request sent before: an ambiguous retry attaches, it never runs twice. Raises
        WireError.
        """
        if request.request_id is None:
            return None
        response_id = self._attempts.find(tenant, request.request_id)
        if response_id is None or response_id in self._responses.deleted:
            return None
        source = self._responses.get(response_id, now)
        if source is None or _came_to_nothing(source.response):
            return None
        self._attempts.check_same(tenant, request)
        return source

    def find(self, tenant: str, request: ResponseCreate, parent: Turn | None, now: float) -> LookedUp:
        """Find what a request continues and refers to. `parent`: the turn that the caller holds of it. Raises WireError
        for what has to exist and does not; an item that is not found is left out.
        """
        if parent is not None and parent.response_id in self._responses.deleted:
            parent = None  # a socket's own copy of what has been deleted: it is not found either
        conversation = self._conversation(tenant, request)
        if parent is None and request.previous_response_id is not None:
            parent = self._responses.find_turn(tenant, request.previous_response_id, now)
        found = {item_id: self._responses.store.find_item(tenant, item_id, now) for item_id in references(request)}
        items = {item_id: item for item_id, item in found.items() if item is not None}
        return LookedUp(parent=parent, conversation=conversation, items=items)

    def _conversation(self, tenant: str, request: ResponseCreate) -> Conversation | None:
        """The conversation that a request names, with room for more."""
        if request.conversation_id is None:
            return None
        conversation = self._conversations.get(tenant, request.conversation_id)
        self._conversations.check_room(conversation, len(request.items))
        return conversation


def _came_to_nothing(response: Response) -> bool:
    """Whether it failed, or was stopped because its client was gone: then the same request, sent again, means a new
    try.
    """
    details = response.incomplete_details
    return response.status == "failed" or (details is not None and details.reason == DISCONNECTED)
