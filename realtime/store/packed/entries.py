"""Conversations as they are written: a change as plain values, and each item as bytes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from realtime.context.turns import Turn
from realtime.store.conversations import Conversation, Entry

from .items import PackedItems, pack_items, unpack_items
from .packing import pack, unpack


class Saved(msgspec.Struct, frozen=True):
    """A change of a conversation. `added`, `replaced`: items by id; `removed`: ids. `turn`: of the newest response, if
    its tokens are still valid; `num_before`: the number of items before its own.
    """

    conversation_id: str
    owner: str
    created_at: int
    begun_at: int
    used_at: float
    num_bytes: int
    metadata: dict[str, str]
    turn: Turn | None
    num_before: int
    added: Sequence[tuple[str, Entry]] = ()
    replaced: Sequence[tuple[str, Entry]] = ()
    removed: Sequence[str] = ()
    is_new: bool = False


class _Entry(msgspec.Struct, array_like=True):
    """An entry as it is written. `remembered`: None if it is the same as what is shown."""

    shown: PackedItems
    remembered: PackedItems | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


def encode_entry(entry: Entry) -> bytes:
    """Encode an entry, without the values that have a column."""
    remembered = None if entry.remembered is entry.shown else pack_items([entry.remembered])
    return pack(_encode(_Entry(pack_items([entry.shown]), remembered)))


def decode_entry(blob: bytes, num_bytes: int, created_at: int, response_id: str | None) -> Entry:
    """Decode an entry. Raises ValueError."""
    kept = _decode(unpack(blob))
    [shown] = unpack_items(kept.shown)
    remembered = shown if kept.remembered is None else unpack_items(kept.remembered)[0]
    return Entry(shown, remembered, num_bytes, created_at, response_id)  # type: ignore[arg-type]


def load(
    row: tuple[str, str, int, int, str], entries: Sequence[tuple[str, Entry]], turn: Turn | None, num_before: int
) -> Conversation:
    """Make a conversation from its row: (id, owner, created at, begun at, metadata)."""
    conversation_id, owner, created_at, begun_at, metadata = row
    conversation = Conversation(conversation_id, owner, created_at, msgspec.json.decode(metadata), begun_at)
    conversation.restore(entries, turn, num_before)
    return conversation
