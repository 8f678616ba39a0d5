"""Conversations in memory. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from realtime.context.turns import Turn
from realtime.store.conversations import Conversation, check_conversation_room, conversation_not_found
from realtime.store.shelves import Place, Shelves, Span
from realtime.wire.items import InputItem, OutputItem


class MemoryConversations:
    """A `ConversationStore` of at most about `max_bytes`; `max_conversation_bytes` bounds each conversation.

    When it is full, the tenant that holds most loses its least recently used conversation. One that a response works on
    is never dropped.
    """

    def __init__(
        self, *, max_bytes: int, max_conversation_bytes: int, max_items: int, new_id: Callable[[str], str]
    ) -> None:
        self._max_bytes = max_bytes
        self._max_conversation_bytes = max_conversation_bytes
        self._max_items = max_items
        self._new_id = new_id
        self._tenants: dict[str, _Shelf] = {}
        self._by_id: dict[str, Conversation] = {}
        self._shelves = Shelves()
        self._begun_at = 0
        self.num_bytes = 0

    def __len__(self) -> int:
        return sum(len(shelf.conversations) for shelf in self._tenants.values())

    def create(self, owner: str, metadata: dict[str, str], created_at: int) -> Conversation:
        """Create an empty conversation. `created_at`: unix seconds."""
        self._begun_at = max(self._begun_at + 1, created_at * 10**9)
        conversation = Conversation(self._new_id("conv"), owner, created_at, metadata, self._begun_at)
        shelf = self._tenants.setdefault(owner, _Shelf())
        shelf.conversations[conversation.id] = conversation
        self._by_id[conversation.id] = conversation
        self._shelves.put(conversation.place, [owner])
        self._count(conversation, conversation.num_bytes)
        return conversation

    async def get(self, owner: str, conversation_id: str) -> Conversation:
        """See ConversationStore."""
        shelf = self._tenants.get(owner)
        conversation = shelf.conversations.get(conversation_id) if shelf is not None else None
        if shelf is None or conversation is None:
            raise conversation_not_found(conversation_id)
        shelf.conversations.move_to_end(conversation_id)
        return conversation

    async def list(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[Sequence[Conversation], Place | None]:
        """See ConversationStore."""

        def wanted(place: Place) -> bool:
            has = self._by_id[place.id].metadata
            return all(has.get(name) == value for name, value in metadata)

        places, more = self._shelves.page([owner], span, wanted)
        return [self._by_id[place.id] for place in places], more

    def delete(self, conversation: Conversation) -> None:
        """Forget it. Responses that work on it continue, and are not appended to it."""
        if conversation.deleted:
            return
        shelf = self._tenants[conversation.owner]
        del shelf.conversations[conversation.id], self._by_id[conversation.id]
        self._shelves.take(conversation.place, [conversation.owner])
        conversation.deleted = True
        shelf.num_bytes -= conversation.num_bytes
        self.num_bytes -= conversation.num_bytes
        if not shelf.conversations:
            del self._tenants[conversation.owner]

    def check_room(self, conversation: Conversation, num_items: int = 0) -> None:
        """See ConversationStore."""
        check_conversation_room(
            conversation, num_items, max_items=self._max_items, max_bytes=self._max_conversation_bytes
        )

    def post(
        self, conversation: Conversation, items: Sequence[InputItem], remembered: Sequence[InputItem], now: int
    ) -> Sequence[str]:
        """Append items; see Conversation.post. Raises WireError when it is full."""
        self.check_room(conversation, len(items))
        before = conversation.num_bytes
        ids = conversation.post(items, remembered, self._new_id, now)
        self._count(conversation, conversation.num_bytes - before)
        return ids

    def respond(
        self, conversation: Conversation, turn: Turn, started_from: Turn | None, output: Sequence[OutputItem], now: int
    ) -> None:
        """Append a response; see Conversation.respond. Room was checked when the response began, so its output is never
        lost.
        """
        if conversation.deleted:
            return
        before = conversation.num_bytes
        conversation.respond(turn, started_from, output, self._new_id, now)
        self._count(conversation, conversation.num_bytes - before)

    def fork(self, conversation: Conversation, item_id: str | None, now: int) -> Conversation:
        """See ConversationStore."""
        if item_id is not None:
            conversation.get(item_id)
        fork = self.create(conversation.owner, dict(conversation.metadata), now)
        before = fork.num_bytes
        fork.copy(conversation, item_id)
        self._count(fork, fork.num_bytes - before)
        return fork

    def truncate(
        self, conversation: Conversation, turn: Turn, before: Sequence[OutputItem], output: Sequence[OutputItem]
    ) -> None:
        """Cut an answer; see Conversation.truncate. Nothing is left to cut of a deleted conversation."""
        if conversation.deleted:
            return
        num_bytes = conversation.num_bytes
        conversation.truncate(turn, before, output)
        self._count(conversation, conversation.num_bytes - num_bytes)

    def update(self, conversation: Conversation, metadata: dict[str, str]) -> None:
        """Replace its metadata."""
        before = conversation.num_bytes
        conversation.metadata = metadata
        self._count(conversation, conversation.num_bytes - before)

    def remove(self, conversation: Conversation, item_id: str) -> None:
        """See Conversation.remove."""
        before = conversation.num_bytes
        conversation.remove(item_id)
        self._count(conversation, conversation.num_bytes - before)

    def _count(self, conversation: Conversation, num_bytes: int) -> None:
        self._tenants[conversation.owner].num_bytes += num_bytes
        self.num_bytes += num_bytes
        while self.num_bytes > self._max_bytes and (oldest := self._to_give_up(conversation)) is not None:
            self.delete(oldest)

    def _to_give_up(self, newest: Conversation) -> Conversation | None:
        """Return the conversation to drop: the least recently used one of the tenant that holds most, or of the next
        tenant if all of that one's are in use.
        """
        for shelf in sorted(self._tenants.values(), key=lambda shelf: -shelf.num_bytes):
            for conversation in shelf.conversations.values():
                if not conversation.num_users and conversation is not newest:
                    return conversation
        return None


class _Shelf:
    """One tenant's conversations, least recently used first."""

    def __init__(self) -> None:
        self.conversations: OrderedDict[str, Conversation] = OrderedDict()
        self.num_bytes = 0
