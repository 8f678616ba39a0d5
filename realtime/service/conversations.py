"""Conversations as clients use them: what they may hold, and how they and their items are shown. Pure.

Doors decode and encode, the rules are here, and `store.conversations` keeps the items. A conversation of another tenant
does not exist. Every method raises WireError for what is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal

import msgspec

from realtime.context import listing
from realtime.context.encrypted import Cipher, decrypt_items, encrypt_reasoning
from realtime.context.outputs import check_no_second_output, pending_calls
from realtime.store.base import ConversationStore
from realtime.store.cluster.membership import HeldElsewhere
from realtime.store.conversations import Conversation, Entry
from realtime.store.records import AnyResponse
from realtime.wire.bodies import ConversationDeleted, ConversationObject, ItemList, ItemOrigin
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.events import PendingCall
from realtime.wire.items import AnyItem, CompactionTrigger, InputItem, ItemReference, kind_of

from .principal import Principal

ENCRYPTED_REASONING = "reasoning.encrypted_content"  # in `include`
_UNKNOWN_AFTER = "`after` must be the id of an item of this conversation; '{after}' is none."


class ShownItem(msgspec.Struct, frozen=True):
    """An item as clients see it, and its origin. The origin is not a member of items, so nobody can send it."""

    item: AnyItem
    origin: ItemOrigin


class ItemPage(ItemList, kw_only=True):
    """A page of items, with the origin of each."""

    origins: list[ItemOrigin]


class Conversations:
    """All conversations that the server holds. `clock` gives unix seconds."""

    def __init__(
        self,
        store: ConversationStore,
        cipher: Cipher,
        clock: Callable[[], float],
        bound: Callable[[], AbstractAsyncContextManager[None]],
        running_in: Callable[[str, str], list[str]] = lambda tenant, conversation_id: [],
        begun_in: Callable[[Conversation], Sequence[AnyResponse]] = lambda conversation: [],
        check_writable: Callable[[], None] = lambda: None,
    ) -> None:
        """bound: bounds the time of a look-up; see Patience. running_in, begun_in: see Registry. check_writable: see
        Stores.
        """
        self.store = store
        self._check_writable = check_writable
        self._running_in = running_in
        self._begun_in = begun_in
        self._bound = bound
        self._cipher = cipher
        self._clock = clock

    def create(self, principal: Principal, items: Sequence[InputItem], metadata: dict[str, str]) -> ConversationObject:
        """Begin a conversation, with these items if there are any."""
        principal.check_owner()
        self._check_writable()
        remembered = self._admit(principal, items)
        now = int(self._clock())
        conversation = self.store.create(principal.tenant, metadata, now)
        if items:
            self.store.post(conversation, items, remembered, now)
        return self._object(conversation)

    async def retrieve(self, principal: Principal, conversation_id: str) -> ConversationObject:
        """Return a conversation without its items, and the responses that work on it."""
        return self._object(await self._find(principal, conversation_id))

    async def update(self, principal: Principal, conversation_id: str, metadata: dict[str, str]) -> ConversationObject:
        """Replace the metadata of a conversation."""
        conversation = await self._find_to_change(principal, conversation_id)
        self.store.update(conversation, metadata)
        return self._object(conversation)

    async def delete(self, principal: Principal, conversation_id: str) -> ConversationDeleted:
        """Forget a conversation. Its responses stay, and a running one continues."""
        self.store.delete(await self._find_to_change(principal, conversation_id))
        return ConversationDeleted(id=conversation_id)

    async def fork(self, principal: Principal, conversation_id: str, item_id: str | None) -> ConversationObject:
        """Begin a conversation with a copy of this one's items, up to and including the one named. A response that runs
        in this conversation stays here.
        """
        conversation = await self._find_to_change(principal, conversation_id)
        return self._object(self.store.fork(conversation, item_id, int(self._clock())))

    # -- items; `include` names what they show beside what they always show

    async def add_items(
        self, principal: Principal, conversation_id: str, items: Sequence[InputItem], include: Collection[str] = ()
    ) -> ItemPage:
        """Append items, all or none. Return them as they are shown from then on."""
        remembered = self._admit(principal, items)
        conversation = await self._find_to_change(principal, conversation_id)
        to_come = (item for response in self._begun_in(conversation) for item in response.input)
        check_no_second_output([*conversation.items(), *to_come], items)
        added = self.store.post(conversation, items, remembered, int(self._clock()))
        return self._page(principal, conversation, added, include, has_more=False)

    async def list_items(
        self,
        principal: Principal,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int = 20,
        order: Literal["asc", "desc"] = "desc",
        include: Collection[str] = (),
    ) -> ItemPage:
        """Return a page of at most `limit` items: those after `after`, else from the beginning of this order."""
        conversation = await self._find(principal, conversation_id)
        newest_first = order == "desc"
        page = listing.page(
            conversation.items(), after=after, limit=limit, newest_first=newest_first, unknown=_UNKNOWN_AFTER
        )
        return self._page(principal, conversation, [str(one.id) for one in page.data], include, has_more=page.has_more)

    async def retrieve_item(
        self, principal: Principal, conversation_id: str, item_id: str, include: Collection[str] = ()
    ) -> ShownItem:
        """Return one item."""
        return self._show(principal, (await self._find(principal, conversation_id)).get(item_id), include)

    async def delete_item(self, principal: Principal, conversation_id: str, item_id: str) -> ConversationObject:
        """Remove one item, from the model's context too."""
        conversation = await self._find_to_change(principal, conversation_id)
        self.store.remove(conversation, item_id)
        return self._object(conversation)

    async def pending_calls(self, principal: Principal, source: AnyResponse) -> list[PendingCall]:
        """List a response's calls that wait for the client. A call that the conversation answers no longer waits."""
        pending = pending_calls(source.output)
        ref = source.response.conversation
        if not pending or not ref:
            return pending
        try:
            async with self._bound():
                conversation = await self.store.get(principal.tenant, ref.id)
        except (WireError, HeldElsewhere):  # it is gone, or out of reach: nothing says that they were answered
            return pending
        return pending_calls(source.output, conversation.items())

    # -- parts

    async def _find(self, principal: Principal, conversation_id: str) -> Conversation:
        principal.check_owner()
        async with self._bound():
            conversation = await self.store.get(principal.tenant, conversation_id)
        conversation.check_exists()
        return conversation

    async def _find_to_change(self, principal: Principal, conversation_id: str) -> Conversation:
        """Return a conversation that may be changed in this step of the loop. Raises WireError."""
        conversation = await self._find(principal, conversation_id)
        self._check_writable()
        return conversation

    def _admit(self, principal: Principal, items: Sequence[InputItem]) -> list[InputItem]:
        """Refuse items that a conversation can't hold. Return the items as the model will see them."""
        for index, item in enumerate(items):
            if isinstance(item, CompactionTrigger | ItemReference):
                text = (
                    f"An item of type '{kind_of(item)}' is for the `input` of a response: a conversation can't hold it."
                )
                raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"items[{index}].type")
        return decrypt_items(self._cipher, principal.tenant, items, "items")

    def _page(
        self,
        principal: Principal,
        conversation: Conversation,
        item_ids: Sequence[str],
        include: Collection[str],
        *,
        has_more: bool,
    ) -> ItemPage:
        shown = [self._show(principal, conversation.get(item_id), include) for item_id in item_ids]
        first_id, last_id = (item_ids[0], item_ids[-1]) if item_ids else (None, None)
        return ItemPage(
            data=[one.item for one in shown],
            first_id=first_id,
            last_id=last_id,
            has_more=has_more,
            origins=[one.origin for one in shown],
        )

    def _show(self, principal: Principal, entry: Entry, include: Collection[str]) -> ShownItem:
        """Return an item as clients see it, with its reasoning encrypted if the client asked to include it."""
        item = entry.shown
        if ENCRYPTED_REASONING in include:
            item = encrypt_reasoning(self._cipher, principal.tenant, item, entry.remembered)
        return ShownItem(item, ItemOrigin(response_id=entry.response_id, created_at=entry.created_at))

    def _object(self, conversation: Conversation) -> ConversationObject:
        return ConversationObject(
            id=conversation.id,
            created_at=conversation.created_at,
            metadata=conversation.metadata,
            running_responses=self._running_in(conversation.owner, conversation.id),
        )
