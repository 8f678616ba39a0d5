"""Conversations as clients use them: what they may hold, and how they and their items are shown. Pure.

Doors decode and encode, the rules are here, and `store.conversations` keeps the items. A conversation of another tenant
does not exist. Every method raises WireError for what is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal

from realtime.context import listing
from realtime.context.encrypted import Cipher, decrypt_items, encrypt_reasoning
from realtime.context.outputs import check_no_second_output
from realtime.store.base import ConversationStore
from realtime.store.conversations import Conversation, Entry
from realtime.wire.bodies import ConversationDeleted, ConversationObject, ItemList
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import AnyItem, CompactionTrigger, InputItem, ItemReference, kind_of

from .principal import Principal

ENCRYPTED_REASONING = "reasoning.encrypted_content"  # in `include`
_UNKNOWN_AFTER = "`after` must be the id of an item of this conversation; '{after}' is none."


class Conversations:
    """All conversations that the server holds. `clock` gives unix seconds."""

    def __init__(
        self,
        store: ConversationStore,
        cipher: Cipher,
        clock: Callable[[], float],
        bound: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """bound: bounds the time of a look-up in it; see Patience."""
        self.store = store
        self._bound = bound
        self._cipher = cipher
        self._clock = clock

    def create(self, principal: Principal, items: Sequence[InputItem], metadata: dict[str, str]) -> ConversationObject:
        """Begin a conversation, with these items if there are any."""
        remembered = self._admit(principal, items)
        conversation = self.store.create(principal.tenant, metadata, int(self._clock()))
        if items:
            self.store.post(conversation, items, remembered)
        return _object(conversation)

    async def retrieve(self, principal: Principal, conversation_id: str) -> ConversationObject:
        """Return a conversation without its items."""
        return _object(await self._find(principal, conversation_id))

    async def update(self, principal: Principal, conversation_id: str, metadata: dict[str, str]) -> ConversationObject:
        """Replace the metadata of a conversation."""
        conversation = await self._find(principal, conversation_id)
        self.store.update(conversation, metadata)
        return _object(conversation)

    async def delete(self, principal: Principal, conversation_id: str) -> ConversationDeleted:
        """Forget a conversation. Responses that it is made of stay, and so does what a running one says."""
        self.store.delete(await self._find(principal, conversation_id))
        return ConversationDeleted(id=conversation_id)

    # -- items; `include` names what they show beside what they always show

    async def add_items(
        self, principal: Principal, conversation_id: str, items: Sequence[InputItem], include: Collection[str] = ()
    ) -> ItemList:
        """Append items together; returns them as they are shown from then on."""
        remembered = self._admit(principal, items)
        conversation = await self._find(principal, conversation_id)
        check_no_second_output(conversation.items(), items)
        added = self.store.post(conversation, items, remembered)
        return listing.list_of([self._show(principal, conversation.get(item_id), include) for item_id in added])

    async def list_items(
        self,
        principal: Principal,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int = 20,
        order: Literal["asc", "desc"] = "desc",
        include: Collection[str] = (),
    ) -> ItemList:
        """Return a page of at most `limit` items: those behind `after`, else from the beginning of this order."""
        conversation = await self._find(principal, conversation_id)
        newest_first = order == "desc"
        page = listing.page(
            conversation.items(), after=after, limit=limit, newest_first=newest_first, unknown=_UNKNOWN_AFTER
        )
        page.data = [self._show(principal, conversation.get(str(item.id)), include) for item in page.data]
        return page

    async def retrieve_item(
        self, principal: Principal, conversation_id: str, item_id: str, include: Collection[str] = ()
    ) -> AnyItem:
        """Return one item."""
        return self._show(principal, (await self._find(principal, conversation_id)).get(item_id), include)

    async def delete_item(self, principal: Principal, conversation_id: str, item_id: str) -> ConversationObject:
        """Take one item out, for the model too."""
        conversation = await self._find(principal, conversation_id)
        self.store.remove(conversation, item_id)
        return _object(conversation)

    # -- parts

    async def _find(self, principal: Principal, conversation_id: str) -> Conversation:
        async with self._bound():
            conversation = await self.store.get(principal.tenant, conversation_id)
        conversation.check_exists()
        return conversation

    def _admit(self, principal: Principal, items: Sequence[InputItem]) -> list[InputItem]:
        """Refuse what a conversation can't hold; return the items as the model is to see them."""
        for index, item in enumerate(items):
            if isinstance(item, CompactionTrigger | ItemReference):
                text = (
                    f"An item of type '{kind_of(item)}' is for the `input` of a response: a conversation can't hold it."
                )
                raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"items[{index}].type")
        return decrypt_items(self._cipher, principal.tenant, items, "items")

    def _show(self, principal: Principal, entry: Entry, include: Collection[str]) -> AnyItem:
        """Return an item as clients see it; its reasoning encrypted with it if that is to be included."""
        if ENCRYPTED_REASONING not in include:
            return entry.shown
        return encrypt_reasoning(self._cipher, principal.tenant, entry.shown, entry.remembered)


def _object(conversation: Conversation) -> ConversationObject:
    return ConversationObject(id=conversation.id, created_at=conversation.created_at, metadata=conversation.metadata)
