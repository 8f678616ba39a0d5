"""Look-ups on the nodes' common keys. Each takes a few steps, and starts again if a change has torn what it read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from realtime.store.base import Claim
from realtime.store.conversations import Conversation
from realtime.store.event_log import StoredLog
from realtime.store.packed.logs import decode_log
from realtime.store.packed.reader import ReadRecord
from realtime.store.packed.records import decode_record
from realtime.store.records import Filter, Record
from realtime.store.shelves import MAX_LOOKED_AT, Place, Span
from realtime.wire.items import InputItem

from . import keys
from .backend import Backend, Key
from .conversation_rows import decode_listed
from .response_rows import (
    ItemRow,
    Listed,
    RecordRow,
    decode_item_row,
    decode_listed_row,
    decode_record_row,
    label,
    unpack_claim,
)
from .transaction import read_total
from .turn_rows import Torn, read_own_items, read_turn

T = TypeVar("T")

_MAX_TRIES = 5
_MAX_ITEMS = 50  # with the same id, that are looked at


class Reading:
    """Look-ups on the common keys. `store`: marks the turns that are read. `vocabulary`: of the tokens that are of use
    now.
    """

    def __init__(self, backend: Backend, store: object, vocabulary: str) -> None:
        self._backend = backend
        self._store = store
        self._vocabulary = vocabulary

    async def record(self, response_id: str) -> ReadRecord | None:
        """Return a record with its turn."""

        async def read() -> ReadRecord | None:
            row = await self._row(response_id)
            if row is None:
                return None
            turn, num_bytes = await read_turn(self._backend, row.turn, self._store, self._vocabulary)
            record = decode_record(row.body, turn)
            return ReadRecord(record, num_bytes + record.num_bytes)

        return await whole(read)

    async def log(self, response_id: str) -> StoredLog | None:
        """Return the log of a record."""
        [value] = await self._backend.get([keys.log(response_id)])
        return decode_log(value) if value is not None else None

    async def item(self, owner: str, item_id: str, now: float, hidden: frozenset[str]) -> InputItem | None:
        """Return the item with this id from the newest of the owner's records that has it, apart from hidden
        records.
        """
        begin, end = keys.under("item", keys.digest(owner), keys.digest(item_id))
        for key, value in await self._backend.range(begin, end, _MAX_ITEMS + len(hidden), newest_first=True):
            row: ItemRow = decode_item_row(value)
            if row.expires_at <= now or keys.last_part(key) in hidden:
                continue
            items = await read_own_items(self._backend, row.turn)
            if items is not None:
                return items[row.place]
        return None

    async def page(
        self, filter: Filter, span: Span, now: float, hidden: frozenset[str]
    ) -> tuple[list[Record], Place | None]:
        """Return a page of records without their turns, and without the hidden ones. See ResponseStore."""
        wanted, shelf = _wanted(filter)
        rows = await self._places(shelf, span)
        places: list[Place] = []
        more = None if len(rows) < MAX_LOOKED_AT else keys.place_of(rows[-1][0])
        for key, value in rows:
            place, listed = keys.place_of(key), decode_listed_row(value)
            if wanted(listed) and listed.expires_at > now and place.id not in hidden:
                places.append(place)
                if len(places) == span.limit:
                    more = None if len(rows) < MAX_LOOKED_AT and key == rows[-1][0] else place
                    break
        values = await self._backend.get([keys.record(place.id) for place in places])
        return [decode_record(decode_record_row(value).body, None) for value in values if value is not None], more

    async def claim(self, tenant: str, request_id: str) -> Claim | None:
        """Return the claim of the newest attempt."""
        [value] = await self._backend.get([keys.claim(tenant, request_id)])
        return unpack_claim(value) if value is not None else None

    async def conversation_page(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[list[Conversation], Place | None]:
        """Return a page of conversations without their items. See ConversationStore."""
        rows = await self._places((b"conv-list", keys.digest(owner)), span)
        found: list[Conversation] = []
        for key, value in rows:
            place, listed = keys.place_of(key), decode_listed(value)
            if all(listed.metadata.get(name) == wanted for name, wanted in metadata):
                found.append(Conversation(place.id, owner, listed.created_at, listed.metadata, place.begun_at))
                if len(found) == span.limit:
                    return found, None if len(rows) < MAX_LOOKED_AT and key == rows[-1][0] else place
        return found, None if len(rows) < MAX_LOOKED_AT else keys.place_of(rows[-1][0])

    async def num_bytes(self) -> int:
        """Return the size of all conversations."""
        return await read_total(self._backend, keys.CONVERSATION_BYTES)

    async def next_expiry(self) -> float | None:
        """Return when something expires next; None: nothing does."""
        found = await self._backend.range(*keys.under("expiry"), 1)
        return int(found[0][0].split(b"/")[1], 16) / keys.MICRO if found else None

    # -- parts

    async def _row(self, response_id: str) -> RecordRow | None:
        [value] = await self._backend.get([keys.record(response_id)])
        return decode_record_row(value) if value is not None else None

    async def _places(self, shelf: tuple[bytes, ...], span: Span) -> Sequence[tuple[Key, bytes]]:
        """Return the next places to examine."""
        begin, end = keys.under(shelf[0].decode(), *shelf[1:])
        if span.after is not None:
            after = keys.place(shelf, span.after)
            begin, end = (begin, after) if span.newest_first else (after + b"\0", end)
        return await self._backend.range(begin, end, MAX_LOOKED_AT, newest_first=span.newest_first)


async def whole(read: Callable[[], Awaitable[T]]) -> T:
    """Repeat a read until it was not torn."""
    for _ in range(_MAX_TRIES - 1):
        try:
            return await read()
        except Torn:
            continue
    return await read()


def _wanted(filter: Filter) -> tuple[Callable[[Listed], bool], tuple[bytes, ...]]:
    """Return a test for wanted records, and the list that has all of them."""
    mine = keys.digest(filter.owner)
    conversation = keys.digest(filter.conversation) if filter.conversation is not None else None
    labels = [label(name, value) for name, value in filter.metadata]
    shelf: tuple[bytes, ...] = (b"list", mine)
    if labels:
        shelf = (b"label", mine, labels[0])
    elif conversation is not None:
        shelf = (b"in-conv", mine, conversation)

    def wanted(listed: Listed) -> bool:
        return (
            filter.status in (None, listed.status)
            and conversation in (None, listed.conversation)
            and all(one in listed.labels for one in labels)
        )

    return wanted, shelf
