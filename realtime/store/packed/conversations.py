"""A `ConversationStore` that outlives the process. A conversation in use is one object in memory, whoever asks for it.
It is read when it is asked for, and forgotten when nobody holds it and others were used since.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice
from weakref import WeakValueDictionary

import msgspec

from realtime.context.turns import Turn
from realtime.store.conversations import Conversation, check_conversation_room, conversation_not_found
from realtime.store.shelves import Place, Span
from realtime.wire.items import InputItem, OutputItem, id_of

from .batches import Done
from .commits import Commits
from .entries import Saved
from .marks import liken
from .reader import ConversationSteps, Reader

_USE_SECONDS = 60.0  # of which two uses are noted as one
_MAX_TOLD = 1000  # that were used last, of which the writer is told the exact order


class _Recent(msgspec.Struct, frozen=True):
    conversation: Conversation
    used_at: float
    num_bytes: int  # that were counted


class PackedConversations:
    """A `ConversationStore` that outlives the process. `max_bytes` bounds all conversations. When there are more, the
    owner that holds most loses its least recently used one. One that a response works on is never dropped.
    """

    def __init__(
        self, steps: ConversationSteps, commits: Commits, reader: Reader, *, max_bytes: int,
        max_conversation_bytes: int, max_items: int, cache_bytes: int, new_id: Callable[[str], str],
        clock: Callable[[], float], num_bytes: int = 0,
    ) -> None:  # fmt: skip
        """`clock` returns unix seconds. num_bytes: of all existing conversations."""
        self._steps = steps
        self._commits = commits
        self._reader = reader
        self._max_bytes = max_bytes
        self._max_conversation_bytes = max_conversation_bytes
        self._max_items = max_items
        self._cache_bytes = cache_bytes
        self._new_id = new_id
        self._clock = clock
        self._known: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._recent_bytes = 0
        self._unsaved: dict[str, tuple[Conversation, object]] = {}  # not committed
        self._deleted: dict[str, object] = {}  # likewise
        self._loads: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._begun_at = 0
        self.num_bytes = num_bytes
        commits.on_done.append(self._committed)

    # -- look-ups

    async def get(self, owner: str, conversation_id: str) -> Conversation:
        """See ConversationStore."""
        conversation = self._known.get(conversation_id)
        if conversation is None and conversation_id not in self._deleted:
            conversation = await self._load(conversation_id)
        if conversation is None or conversation.owner != owner or conversation.deleted:
            raise conversation_not_found(conversation_id)
        self._use(conversation)
        return conversation

    async def list(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[Sequence[Conversation], Place | None]:
        """See ConversationStore."""
        unsaved, deleted = [one for one, _ in self._unsaved.values()], frozenset(self._deleted)
        there, more = await self._reader.conversation_page(owner, metadata, span)
        hidden = deleted | {one.id for one in unsaved}
        found = {one.place: self._known.get(one.id, one) for one in there if one.id not in hidden}
        for one in unsaved:
            has = all(one.metadata.get(name) == value for name, value in metadata)
            if one.owner == owner and has and span.holds(one.place) and not one.deleted:
                found[one.place] = one
        return span.page(found, more)

    # -- changes

    def create(self, owner: str, metadata: dict[str, str], created_at: int) -> Conversation:
        """See ConversationStore."""
        self._begun_at = max(self._begun_at + 1, created_at * 10**9)
        conversation = Conversation(self._new_id("conv"), owner, created_at, metadata, self._begun_at)
        self._known[conversation.id] = conversation
        self._save(conversation, 0, is_new=True)
        return conversation

    def check_room(self, conversation: Conversation, num_items: int = 0) -> None:
        """See ConversationStore."""
        check_conversation_room(
            conversation, num_items, max_items=self._max_items, max_bytes=self._max_conversation_bytes
        )

    def post(
        self, conversation: Conversation, items: Sequence[InputItem], remembered: Sequence[InputItem], now: int
    ) -> Sequence[str]:
        """See ConversationStore."""
        self.check_room(conversation, len(items))
        before = conversation.num_bytes
        ids = conversation.post(items, remembered, self._new_id, now)
        self._save(conversation, before, added=ids)
        return ids

    def respond(
        self, conversation: Conversation, turn: Turn, started_from: Turn | None, output: Sequence[OutputItem], now: int
    ) -> None:
        """See ConversationStore."""
        if conversation.deleted:
            return
        before, length = conversation.num_bytes, len(conversation)
        conversation.respond(turn, started_from, output, self._new_id, now)
        self._liken(conversation, turn)
        self._save(conversation, before, added=conversation.last_ids(len(conversation) - length))

    def fork(self, conversation: Conversation, item_id: str | None, now: int) -> Conversation:
        """See ConversationStore."""
        if item_id is not None:
            conversation.get(item_id)
        fork = self.create(conversation.owner, dict(conversation.metadata), now)
        before = fork.num_bytes
        fork.copy(conversation, item_id)
        self._save(fork, before, added=fork.last_ids(len(fork)))
        return fork

    def truncate(
        self, conversation: Conversation, turn: Turn, before: Sequence[OutputItem], output: Sequence[OutputItem]
    ) -> None:
        """See ConversationStore."""
        if conversation.deleted:
            return
        num_bytes = conversation.num_bytes
        there = {item_id for item in before if (item_id := id_of(item)) is not None and item_id in conversation}
        conversation.truncate(turn, before, output)
        self._liken(conversation, turn)
        left = [item_id for item_id in there if item_id in conversation]
        self._save(conversation, num_bytes, replaced=left, removed=[one for one in there if one not in left])

    def update(self, conversation: Conversation, metadata: dict[str, str]) -> None:
        """See ConversationStore."""
        before = conversation.num_bytes
        conversation.metadata = metadata
        self._save(conversation, before)

    def remove(self, conversation: Conversation, item_id: str) -> None:
        """See ConversationStore."""
        before = conversation.num_bytes
        conversation.remove(item_id)
        self._save(conversation, before, removed=[item_id])

    def delete(self, conversation: Conversation) -> None:
        """See ConversationStore."""
        if conversation.deleted:
            return
        name = conversation.id
        self._forget(conversation)
        token = self._deleted[name] = object()
        self._commits.put_delete(self._steps.delete, name, after=lambda: self._settle_deleted(name, token))

    def reset(self, num_bytes: int) -> None:
        """Drop everything that was written or is to be. num_bytes: of all existing conversations."""
        for conversation in list(self._known.values()):
            conversation.give_up()  # for responses that still work on it, and who has looked it up
        self._known.clear()
        self._recent.clear()
        self._unsaved.clear()
        self._deleted.clear()
        self._recent_bytes = 0
        self.num_bytes = num_bytes

    @property
    def settled(self) -> bool:
        """Return whether all changes are committed."""
        return not self._unsaved and not self._deleted

    # -- parts

    def _save(
        self, conversation: Conversation, before: int, *, added: Sequence[str] = (), replaced: Sequence[str] = (),
        removed: Sequence[str] = (), is_new: bool = False,
    ) -> None:  # fmt: skip
        """Write a change. `before`: the bytes that the conversation had."""
        name, owner = conversation.id, conversation.owner
        turn, num_before = conversation.newest
        used_at = self._clock()
        saved = Saved(
            name, owner, conversation.created_at, conversation.place.begun_at, used_at, conversation.num_bytes,
            conversation.metadata, turn, num_before, conversation.entries_of(added), conversation.entries_of(replaced),
            list(removed), is_new,
        )  # fmt: skip
        token = object()
        self._unsaved[name] = (conversation, token)
        self._hold(conversation, used_at)
        put = self._commits.put_delete if removed or replaced else self._commits.put
        put(self._steps.save, saved, after=lambda: self._settle(name, token))
        self.num_bytes += conversation.num_bytes - before
        if self.num_bytes > self._max_bytes:
            in_use = frozenset(one.id for one in self._known.values() if one.num_users or one is conversation)
            newest = list(islice(reversed(self._recent), _MAX_TOLD))[::-1]
            self._commits.put(self._steps.make_room, self._max_bytes, in_use, newest)

    def _liken(self, conversation: Conversation, turn: Turn) -> None:
        newest, _ = conversation.newest
        if newest is not None and newest.response_id == turn.response_id and newest is conversation.turn:
            liken(newest, turn)

    async def _load(self, conversation_id: str) -> Conversation | None:
        """Read a conversation, once for all who ask meanwhile: there must not be two objects for it."""
        async with self._loads.setdefault(conversation_id, asyncio.Lock()):
            found = self._known.get(conversation_id)
            if found is None:
                found = await self._reader.conversation(conversation_id)
                if found is None or conversation_id in self._deleted:
                    return None
                self._known[conversation_id] = found
            return found

    def _use(self, conversation: Conversation) -> None:
        now, recent = self._clock(), self._recent.get(conversation.id)
        if recent is None or now - recent.used_at > _USE_SECONDS:
            self._commits.put(self._steps.use, conversation.id, now)
            self._hold(conversation, now)
        else:
            self._recent.move_to_end(conversation.id)

    def _hold(self, conversation: Conversation, used_at: float) -> None:
        """Keep a conversation in memory, and others only while there is room. `used_at`: as in the file."""
        self._let_go(conversation.id)
        self._recent[conversation.id] = _Recent(conversation, used_at, conversation.num_bytes)
        self._recent_bytes += conversation.num_bytes
        while self._recent_bytes > self._cache_bytes and len(self._recent) > 1:
            self._let_go(next(iter(self._recent)))

    def _let_go(self, name: str) -> None:
        recent = self._recent.pop(name, None)
        if recent is not None:
            self._recent_bytes -= recent.num_bytes

    def _forget(self, conversation: Conversation) -> None:
        self.num_bytes -= conversation.num_bytes
        conversation.deleted = True
        self._known.pop(conversation.id, None)
        self._let_go(conversation.id)
        self._unsaved.pop(conversation.id, None)

    def _settle(self, name: str, token: object) -> None:
        if name in self._unsaved and self._unsaved[name][1] is token:
            del self._unsaved[name]

    def _settle_deleted(self, name: str, token: object) -> None:
        if self._deleted.get(name) is token:
            del self._deleted[name]

    def _committed(self, done: Done) -> None:
        for name, num_bytes in done.given_up:
            conversation = self._known.get(name)
            if conversation is not None:
                self._forget(conversation)
            else:
                self.num_bytes -= num_bytes
