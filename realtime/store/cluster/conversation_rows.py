"""The steps of conversations on the nodes' common keys. The node that has a conversation in memory owns it, and no
other writes it. To make room, any node may drop one that no live node has in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from realtime.store.conversations import Conversation
from realtime.store.packed.entries import Saved, decode_entry, encode_entry, load
from realtime.store.shelves import Place

from . import keys
from .backend import Backend, Key
from .transaction import Transaction
from .turn_rows import Torn, TurnRows, read_turn

_PAGE = 500  # rows that are read at once
_MAX_LOOKED_AT = 1000  # of one owner's, to find one to give up
_MAX_GIVEN_UP = 50  # in one commit


class ConversationRow(msgspec.Struct, array_like=True):
    """A conversation without its items. `newest`: the row of its last item."""

    owner: str
    created_at: int
    begun_at: int
    used_at: float
    num_bytes: int
    metadata: dict[str, str]
    turn: str | None
    num_before: int
    newest: int = 0


class PartRow(msgspec.Struct, array_like=True):
    """An item of a conversation."""

    item_id: str
    num_bytes: int
    created_at: int
    response_id: str | None
    body: bytes


class ListedConversation(msgspec.Struct, array_like=True):
    """A conversation's entry in a list."""

    created_at: int
    metadata: dict[str, str]


_encode = msgspec.msgpack.Encoder().encode
decode_row = msgspec.msgpack.Decoder(ConversationRow).decode
decode_part = msgspec.msgpack.Decoder(PartRow).decode
decode_listed = msgspec.msgpack.Decoder(ListedConversation).decode


class ConversationRows:
    """The steps of conversations."""

    def __init__(self, turns: TurnRows) -> None:
        self._turns = turns

    async def save(self, tx: Transaction, saved: Saved) -> None:
        """Write a changed or new conversation. Writes nothing for one that was dropped meanwhile."""
        name = saved.conversation_id
        found = None if saved.is_new else await self._row(tx, name)
        if found is None and not saved.is_new:
            return
        turn = await self._turns.keep(tx, saved.turn)
        if found is not None:
            await self._turns.release(tx, found.turn)
            tx.delete(_use(name, found))
        row = ConversationRow(
            saved.owner, saved.created_at, saved.begun_at, saved.used_at, saved.num_bytes, saved.metadata, turn,
            saved.num_before, found.newest if found is not None else 0,
        )  # fmt: skip
        await self._save_items(tx, saved, row)
        self._count(tx, saved.owner, saved.num_bytes - (found.num_bytes if found is not None else 0))
        tx.set(keys.conversation(name), _encode(row))
        tx.set(_use(name, row), b"")
        if found is None:
            tx.set(keys.owner(name), keys.pack_owner(tx.lease))
        if found is None or found.metadata != row.metadata:
            tx.set(_place(name, row), _encode(ListedConversation(row.created_at, row.metadata)))

    async def use(self, tx: Transaction, conversation_id: str, used_at: float) -> None:
        """Note when a conversation was used."""
        found = await self._row(tx, conversation_id)
        if found is None:
            return
        tx.delete(_use(conversation_id, found))
        found.used_at = used_at
        tx.set(_use(conversation_id, found), b"")
        tx.set(keys.conversation(conversation_id), _encode(found))

    async def delete(self, tx: Transaction, conversation_id: str) -> None:
        """Forget a conversation."""
        found = await self._row(tx, conversation_id)
        if found is not None:
            await self._delete(tx, conversation_id, found)

    async def make_room(self, tx: Transaction, max_bytes: int, in_use: frozenset[str], newest: Sequence[str]) -> None:
        """While there is too much, drop the least recently used conversation of the owner that holds most. `newest`:
        the most recently used ones, in this order.
        """
        order = {conversation_id: place for place, conversation_id in enumerate(newest)}
        while await tx.total(keys.CONVERSATION_BYTES) > max_bytes and len(tx.now.given_up) < _MAX_GIVEN_UP:
            sums = await tx.range(*keys.under("conv-sum"), _MAX_LOOKED_AT)
            counted = [(await tx.count(key) or 0, keys.last_part(key).encode()) for key, _ in sums]
            for _, owner in sorted(counted, reverse=True):
                oldest = await self._oldest(tx, owner, in_use, order)
                if oldest is not None:
                    break
            else:
                return
            found = await self._row(tx, oldest)
            if found is None:
                return
            await self._delete(tx, oldest, found)
            tx.now.given_up.append((oldest, found.num_bytes))

    # -- parts

    async def _row(self, tx: Transaction, conversation_id: str) -> ConversationRow | None:
        key = keys.conversation(conversation_id)
        value = await tx.get(key)
        await tx.rely(key)
        return decode_row(value) if value is not None else None

    async def _save_items(self, tx: Transaction, saved: Saved, row: ConversationRow) -> None:
        name = saved.conversation_id
        changed = [item_id for item_id, _ in saved.replaced]
        await tx.load(keys.part_at(name, item_id) for item_id in (*changed, *saved.removed))
        for item_id in saved.removed:
            at = await tx.get(keys.part_at(name, item_id))
            if at is not None:
                tx.delete(keys.part_at(name, item_id), at)
        for item_id, entry in saved.replaced:
            at = await tx.get(keys.part_at(name, item_id))
            if at is not None:
                part = PartRow(item_id, entry.num_bytes, entry.created_at, entry.response_id, encode_entry(entry))
                tx.set(at, _encode(part))
        for item_id, entry in saved.added:
            row.newest += 1
            at = keys.part(name, row.newest)
            part = PartRow(item_id, entry.num_bytes, entry.created_at, entry.response_id, encode_entry(entry))
            tx.set(at, _encode(part))
            tx.set(keys.part_at(name, item_id), at)

    async def _delete(self, tx: Transaction, name: str, row: ConversationRow) -> None:
        begin, end = keys.under("part", name)
        while parts := await tx.range(begin, end, _PAGE):
            for key, value in parts:
                tx.delete(key, keys.part_at(name, decode_part(value).item_id))
        tx.delete(keys.conversation(name), keys.owner(name), _use(name, row), _place(name, row))
        self._count(tx, row.owner, -row.num_bytes)
        await self._turns.release(tx, row.turn)

    def _count(self, tx: Transaction, owner: str, num_bytes: int) -> None:
        tx.add(keys.conversation_bytes(tx.lease), num_bytes)
        tx.add(keys.owners_sum(owner), num_bytes)

    async def _oldest(
        self, tx: Transaction, owner: bytes, in_use: frozenset[str], order: Mapping[str, int]
    ) -> str | None:
        """Return an owner's least recently used conversation that no other node has in memory."""
        newer: list[str] = []
        for key, _ in await tx.range(*keys.under("conv-use", owner), _MAX_LOOKED_AT):
            name = keys.last_part(key)
            if name in in_use or await self._is_anothers(tx, name):
                continue
            if name not in order:
                return name
            newer.append(name)
        return min(newer, key=lambda name: order[name], default=None)

    async def _is_anothers(self, tx: Transaction, name: str) -> bool:
        owner = await tx.get(keys.owner(name))
        await tx.rely(keys.owner(name))
        return owner is not None and keys.lease(owner) != tx.lease and not await tx.is_over(keys.lease(owner))


async def read_conversation(
    backend: Backend, conversation_id: str, store: object, vocabulary: str
) -> Conversation | None:
    """Return a conversation with all its items. The caller is its only writer. Raises Torn, and ValueError."""
    [value] = await backend.get([keys.conversation(conversation_id)])
    if value is None:
        return None
    row = decode_row(value)
    begin, end = keys.under("part", conversation_id)
    entries = []
    while parts := await backend.range(begin, end, _PAGE):
        for _, data in parts:
            part = decode_part(data)
            entry = decode_entry(part.body, part.num_bytes, part.created_at, part.response_id)
            entries.append((part.item_id, entry))
        begin = parts[-1][0] + b"\0"
    turn, _ = await read_turn(backend, row.turn, store, vocabulary)
    if await backend.get([keys.conversation(conversation_id)]) != [value]:
        raise Torn
    metadata = msgspec.json.encode(row.metadata).decode()
    named = (conversation_id, row.owner, row.created_at, row.begun_at, metadata)
    return load(named, entries, turn, row.num_before)


def _use(name: str, row: ConversationRow) -> Key:
    return keys.use(row.owner, row.used_at, row.begun_at, name)


def _place(name: str, row: ConversationRow) -> Key:
    return keys.place((b"conv-list", keys.digest(row.owner)), Place(row.begun_at, name))
