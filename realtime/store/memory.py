"""Stores that keep everything in this process, bounded in bytes and in time, and lose it with the process. Pure."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import msgspec

from realtime.context.turns import Turn
from realtime.engine.base import TokenChunk
from realtime.settings.fields import GIB, ResponseSettings
from realtime.wire.ids import new_id
from realtime.wire.items import InputItem, OutputItem

from .base import Claim, Stores
from .conversations import Conversation, check_conversation_room, conversation_not_found
from .event_log import StoredLog
from .records import Filter, Head, Note, Record, Unfinished, conversation_of, item_ids
from .shelves import Place, Shelves, Span

MAX_BYTES = GIB  # of all responses, where the settings do not say
_LABEL_BYTES = 200  # about what it costs to find a response by one member of its metadata
_MIN_STALE = 64  # expiry times of records that are gone, before they are cleared away


def memory_stores(settings: ResponseSettings) -> Stores:
    """Make the three stores of one process."""
    requests = MemoryRequests()
    conversations = MemoryConversations(
        max_bytes=settings.max_conversation_store_bytes,
        max_conversation_bytes=settings.max_conversation_bytes,
        max_items=settings.max_conversation_items,
        new_id=new_id,
    )
    max_bytes = MAX_BYTES if settings.max_store_bytes is None else settings.max_store_bytes
    return Stores(MemoryResponses(max_bytes=max_bytes, on_gone=requests.forget), conversations, requests)


class _Kept(msgspec.Struct):
    record: Record
    log: StoredLog
    num_bytes: int


class MemoryResponses:
    """A `ResponseStore` of the most recent records, at most `max_bytes` of them; the oldest go first."""

    has_journals = False

    def __init__(self, *, max_bytes: int, on_gone: Callable[[str], None] = lambda response_id: None) -> None:
        """`on_gone` is called with the id of each record that is no longer kept."""
        self._max_bytes = max_bytes
        self._on_gone = on_gone
        self._num_bytes = 0
        self._tips: dict[str, int] = {}  # of the responses that run
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._expiries: list[tuple[float, str]] = []  # a heap; also of records that are gone or were replaced
        self._shelves = Shelves()
        self._homes: dict[tuple[str, str], tuple[str, int]] = {}  # (owner, item id) -> response, place in it

    # -- writes

    @property
    def num_bytes(self) -> int:
        """The memory of all that is kept."""
        return self._num_bytes

    def open(self, head: Head) -> None:
        """Do nothing: while a response runs, its log is its journal. See ResponseStore."""
        self._tips[head.response_id] = 0

    def append(self, response_id: str, first: int, events: Sequence[bytes], chunk: TokenChunk | None = None) -> None:
        """See ResponseStore."""
        if response_id in self._tips:
            self._tips[response_id] = first + len(events)

    def note(self, response_id: str, first: int, note: Note) -> None:
        """Do nothing: a response that ends with the process can't be continued. See ResponseStore."""

    def durable(self, response_id: str) -> int:
        """Return the tip: memory is as durable as this store gets. See ResponseStore."""
        return self._tips.get(response_id, 0)

    def seal(self, record: Record, log: StoredLog, now: float) -> None:
        """See ResponseStore."""
        response_id = record.response_id
        self._drop(response_id)
        self._tips.pop(response_id, None)
        self._keep(record, log)
        self._make_room(now)

    def replace(self, record: Record, now: float) -> None:
        """See ResponseStore."""
        kept = self._kept.get(record.response_id)
        if kept is not None:
            self._uncount(kept)
            self._keep(record, kept.log)  # in its old place: it is as old as it was
            self._make_room(now)

    def sweep(self, now: float) -> float | None:
        """See ResponseStore."""
        while self._expiries:
            expires_at, response_id = self._expiries[0]
            if self._expires(response_id, expires_at):
                if expires_at > now:
                    return expires_at
                self.delete(response_id)
            heapq.heappop(self._expiries)
        return None

    def delete(self, response_id: str) -> None:
        """See ResponseStore."""
        self._tips.pop(response_id, None)
        if self._drop(response_id):
            self._on_gone(response_id)

    # -- look-ups

    async def get(self, response_id: str, now: float) -> Record | None:
        """See ResponseStore."""
        kept = self._find(response_id, now)
        return kept.record if kept is not None else None

    async def read(self, response_id: str, now: float) -> StoredLog | None:
        """See ResponseStore."""
        kept = self._find(response_id, now)
        return kept.log if kept is not None else None

    async def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """See ResponseStore."""
        response_id, index = self._homes.get((owner, item_id), ("", 0))
        kept = self._find(response_id, now)
        return kept.record.turn.own_items()[index] if kept is not None and kept.record.turn is not None else None

    async def list(self, filter: Filter, span: Span, now: float) -> tuple[Sequence[Record], Place | None]:
        """See ResponseStore."""
        self.sweep(now)
        keys = _shelf_keys(filter.owner, filter.conversation, filter.metadata)
        places, more = self._shelves.page(keys, span, lambda place: filter.matches(self._kept[place.id].record))
        return [self._kept[place.id].record for place in places], more

    async def recover(self) -> AsyncIterator[Unfinished]:
        """See ResponseStore: nothing outlives the process."""
        nothing: tuple[Unfinished, ...] = ()
        for unfinished in nothing:
            yield unfinished

    # -- parts

    def _find(self, response_id: str, now: float) -> _Kept | None:
        self.sweep(now)
        return self._kept.get(response_id)

    def _keep(self, record: Record, log: StoredLog) -> None:
        abridged = log.abridged.num_bytes if log.abridged is not None else 0
        kept = _Kept(record, log, log.num_bytes + record.num_bytes + abridged + _num_label_bytes(record))
        response_id = record.response_id
        self._kept[response_id] = kept
        self._note_expiry(record)
        self._num_bytes += kept.num_bytes
        self._shelves.put(record.place, _labels(record))
        for index, item_id in item_ids(record):
            self._homes[record.owner, item_id] = (response_id, index)

    def _drop(self, response_id: str) -> bool:
        kept = self._kept.pop(response_id, None)
        if kept is not None:
            self._uncount(kept)
        return kept is not None

    def _uncount(self, kept: _Kept) -> None:
        self._num_bytes -= kept.num_bytes
        self._shelves.take(kept.record.place, _labels(kept.record))
        for index, item_id in item_ids(kept.record):
            if self._homes.get((kept.record.owner, item_id)) == (kept.record.response_id, index):
                del self._homes[kept.record.owner, item_id]

    def _make_room(self, now: float) -> None:
        """Drop what has expired, then the oldest records while there is too much."""
        self.sweep(now)
        while self._num_bytes > self._max_bytes:
            self.delete(next(iter(self._kept)))

    def _note_expiry(self, record: Record) -> None:
        heapq.heappush(self._expiries, (record.expires_at, record.response_id))
        if len(self._expiries) > 2 * len(self._kept) + _MIN_STALE:
            self._expiries = [(kept.record.expires_at, response_id) for response_id, kept in self._kept.items()]
            heapq.heapify(self._expiries)

    def _expires(self, response_id: str, at: float) -> bool:
        """Return whether a record has this expiry; it may also belong to one that is gone or was replaced."""
        kept = self._kept.get(response_id)
        return kept is not None and kept.record.expires_at == at


class MemoryRequests:
    """A `RequestStore`."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], Claim] = {}
        self._keys: dict[str, tuple[str, str]] = {}  # response id -> whose claim it is

    def __len__(self) -> int:
        return len(self._claims)

    async def find(self, tenant: str, request_id: str) -> Claim | None:
        """See RequestStore."""
        return self._claims.get((tenant, request_id))

    async def claim(self, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """See RequestStore."""
        key = (tenant, request_id)
        earlier = self._claims.get(key)
        if earlier is not None and earlier != instead_of:
            return earlier
        if earlier is not None:
            self._keys.pop(earlier.response_id, None)
        self._claims[key] = claim
        self._keys[claim.response_id] = key
        return None

    def release(self, tenant: str, request_id: str, response_id: str) -> None:
        """See RequestStore."""
        if self._keys.get(response_id) == (tenant, request_id):
            self.forget(response_id)

    def forget(self, response_id: str) -> None:
        """See RequestStore."""
        key = self._keys.pop(response_id, None)
        if key is not None:
            del self._claims[key]


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


def _shelf_keys(owner: str, conversation: str | None, metadata: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the shelves for these properties, the one with all of the owner's first."""
    of_conversation = [(owner, "conversation", conversation)] if conversation is not None else []
    return [(owner,), *of_conversation, *((owner, "metadata", name, value) for name, value in metadata)]


def _labels(record: Record) -> list[tuple[str, ...]]:
    """Return the shelves of a record: none, if it is in no list."""
    if not record.continuable:
        return []
    response = record.response
    return _shelf_keys(record.owner, conversation_of(response), response.metadata.items())


def _num_label_bytes(record: Record) -> int:
    return sum(_LABEL_BYTES + len(name) + len(value) for name, value in record.response.metadata.items())
