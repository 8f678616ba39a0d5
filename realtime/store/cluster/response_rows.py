"""The steps of responses on the nodes' common keys: heads, records, logs, indexes, and their removal.

A record names its index entries, so that whoever drops the record can drop them. Any node may drop a record that has
expired or has no room.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from realtime.context.turns import Turn
from realtime.store.base import Claim
from realtime.store.event_log import StoredLog
from realtime.store.packed.logs import encode_log
from realtime.store.packed.records import encode_head, encode_record
from realtime.store.records import Head, Record, conversation_of, item_ids
from realtime.store.shelves import Place

from . import keys
from .backend import Key, Lease
from .transaction import Transaction
from .turn_rows import TurnRows

_MAX_EXPIRED = 200  # that go in one commit
_MAX_EVICTED = 200
_UNUSED_SECONDS = 3600.0  # after which a claim is looked at whose response never began


class HeadRow(msgspec.Struct, array_like=True):
    """A response that is not over. number: in its owner's journal. turn: the one that it continues."""

    number: int
    turn: str | None
    body: bytes


class Listed(msgspec.Struct, array_like=True):
    """A record's entry in a list. labels: digests of its metadata."""

    status: str
    conversation: bytes  # its digest, empty: none
    expires_at: float
    labels: list[bytes]


class RecordRow(msgspec.Struct, array_like=True):
    """A finished response. by, number: the lease that sealed it, and its number in that lease's journal. items: digests
    of ids, each with its place among the turn's own items.
    """

    owner: str
    begun_at: int
    sealed: int
    num_bytes: int
    turn: str | None
    listed: Listed
    items: list[tuple[bytes, int]]
    by: bytes
    number: int
    body: bytes


class ItemRow(msgspec.Struct, array_like=True):
    """The place of an item."""

    turn: str
    place: int
    expires_at: float


encode = msgspec.msgpack.Encoder().encode
decode_head_row = msgspec.msgpack.Decoder(HeadRow).decode
decode_record_row = msgspec.msgpack.Decoder(RecordRow).decode
decode_listed_row = msgspec.msgpack.Decoder(Listed).decode
decode_item_row = msgspec.msgpack.Decoder(ItemRow).decode


def pack_claim(claim: Claim) -> bytes:
    """Encode a claim as a value that begins with its response."""
    return claim.response_id.encode() + b" " + claim.digest


def unpack_claim(value: bytes) -> Claim:
    """Decode a claim."""
    response_id, _, digest = value.partition(b" ")
    return Claim(response_id.decode(), digest)


def label(name: str, value: str) -> bytes:
    """Return the digest of a member of metadata."""
    return keys.digest(name, value)


def shelves(owner: str, listed: Listed) -> list[tuple[bytes, ...]]:
    """Return the lists that have a record."""
    mine = keys.digest(owner)
    conversation = [(b"in-conv", mine, listed.conversation)] if listed.conversation else []
    return [(b"list", mine), *conversation, *((b"label", mine, one) for one in listed.labels)]


class ResponseRows:
    """The steps of responses. The bytes of records, logs and turns are counted."""

    def __init__(self, turns: TurnRows, max_bytes: int, clock_ns: Callable[[], int]) -> None:
        """`clock_ns`: unix nanoseconds, by which finished responses are ordered."""
        self._turns = turns
        self._max_bytes = max_bytes
        self._clock_ns = clock_ns
        self._sealed = 0  # the newest place among those that are over

    # -- steps

    async def open(self, tx: Transaction, number: int, head: Head) -> None:
        """Begin a response."""
        response_id = head.response_id
        tx.set(keys.head(response_id), encode(HeadRow(number, None, encode_head(head))))
        tx.set(keys.owner(response_id), keys.pack_owner(tx.lease))
        tx.set(keys.held(tx.lease, response_id), b"")
        tx.now.begun.append(number)

    async def continues(self, tx: Transaction, response_id: str, parent: Turn) -> None:
        """Keep the turn that a response continues for as long as it runs."""
        key = keys.head(response_id)
        value = await tx.get(key)
        if value is None:
            return
        found = decode_head_row(value)
        turn = await self._turns.keep(tx, parent)
        await self._turns.release(tx, found.turn)
        found.turn = turn
        tx.set(key, encode(found))

    async def seal(self, tx: Transaction, number: int, record: Record, log: StoredLog, now: float) -> None:
        """Store a finished response, and drop others if there is no room. Does nothing if another node owns it: then
        this node has lost it, and does not know yet.
        """
        response_id = record.response_id
        tx.now.ended.append(number)
        if await self._is_anothers(tx, response_id):
            return
        turn = await self._turns.keep(tx, record.turn)  # before what it continues may go
        await self._remove(tx, response_id)
        body, entries = encode_record(record), encode_log(log)
        self._sealed = max(self._sealed + 1, self._clock_ns())
        self._insert(tx, record, self._sealed, len(body) + len(entries), turn, body, keys.pack_owner(tx.lease), number)
        tx.set(keys.log(response_id), entries)
        tx.add(keys.response_bytes(tx.lease), len(body) + len(entries))
        await self._make_room(tx, now)

    async def replace(self, tx: Transaction, record: Record, now: float) -> None:
        """Replace the record with the same id, if there is one."""
        found = await self._record(tx, record.response_id)
        if found is None:
            return
        turn = await self._turns.keep(tx, record.turn)
        await self._turns.release(tx, found.turn)
        body = encode_record(record)
        added = len(body) - len(found.body)
        self._unlist(tx, record.response_id, found)
        self._insert(tx, record, found.sealed, found.num_bytes + added, turn, body, found.by, found.number)
        tx.add(keys.response_bytes(tx.lease), added)
        await self._make_room(tx, now)

    async def drop(self, tx: Transaction, response_id: str) -> None:
        """Forget a finished response that is not to be stored. Its claim stays for as long as claims are remembered."""
        await self._remove(tx, response_id)

    async def delete(self, tx: Transaction, response_id: str) -> None:
        """Forget a response, in the journal too."""
        head, record = keys.head(response_id), keys.record(response_id)
        await tx.load([head, record, keys.owner(response_id), keys.claim_of(response_id)])
        running, over, owner = await tx.get(head), await tx.get(record), await tx.get(keys.owner(response_id))
        if running is not None and owner is not None:
            self._erase(tx, keys.lease(owner), decode_head_row(running).number)
        if over is not None:
            row = decode_record_row(over)
            self._erase(tx, keys.lease(row.by), row.number)
        await self._remove(tx, response_id)
        await self.release_claim(tx, response_id)

    async def expire(self, tx: Transaction, now: float) -> None:
        """Drop what has expired, or a part of it if there is very much."""
        tx.now.swept = True
        begin, _ = keys.under("expiry")
        for key, _ in await tx.range(begin, keys.key("expiry", keys.at(now)) + b"0", _MAX_EXPIRED):
            _, _, what, name = key.split(b"/")
            response_id = name.decode()
            if what == b"record":
                await self._drop_old(tx, response_id)
            else:
                await self._expire_claim(tx, response_id)
            tx.delete(key)

    def _erase(self, tx: Transaction, lease: Lease, number: int) -> None:
        """Remove a response from its journal. Only the node that owns a journal can do so; another is asked to."""
        if lease == tx.lease:
            tx.now.erased.append(number)
        else:
            tx.set(keys.erasure(lease, number), b"")

    # -- claims

    async def claim(
        self, tx: Transaction, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None,
        answer: list[Claim | None],
    ) -> None:  # fmt: skip
        """Claim an id, unless it was claimed since `instead_of` was found. `answer` is called with None, or with that
        other claim.
        """
        key = keys.claim(tenant, request_id)
        value = await tx.get(key)
        await tx.rely(key)
        earlier = unpack_claim(value) if value is not None else None
        if earlier is not None and earlier != instead_of and earlier.response_id != claim.response_id:
            answer[:] = [earlier]
            return
        answer[:] = [None]
        tx.set(key, pack_claim(claim))
        tx.set(keys.claim_of(claim.response_id), key)
        at = self._clock_ns() / 1e9 + _UNUSED_SECONDS
        tx.set(keys.expiry(at, "claim", claim.response_id), b"")

    async def release_claim(self, tx: Transaction, response_id: str) -> None:
        """Drop the claim of a response."""
        pointer = keys.claim_of(response_id)
        at = await tx.get(pointer)
        if at is None:
            return
        tx.delete(pointer)
        held = await tx.get(at)
        if held is not None and held.startswith(response_id.encode() + b" "):
            await tx.rely(at)
            tx.delete(at)

    async def release_claim_of(self, tx: Transaction, tenant: str, request_id: str, response_id: str) -> None:
        """Drop this claim, if it belongs to this response."""
        if await tx.get(keys.claim_of(response_id)) == keys.claim(tenant, request_id):
            await self.release_claim(tx, response_id)

    async def _expire_claim(self, tx: Transaction, response_id: str) -> None:
        """Drop a claim whose response never began."""
        there = (keys.head(response_id), keys.record(response_id))
        await tx.load(there)
        if await tx.get(there[0]) is None and await tx.get(there[1]) is None:
            await self.release_claim(tx, response_id)

    # -- parts

    async def _is_anothers(self, tx: Transaction, response_id: str) -> bool:
        me, owner, record = keys.pack_owner(tx.lease), keys.owner(response_id), keys.record(response_id)
        await tx.load([owner, record, keys.head(response_id)])
        found, sealed = await tx.get(owner), await tx.get(record)
        return (found is not None and found != me) or (sealed is not None and decode_record_row(sealed).by != me)

    async def _record(self, tx: Transaction, response_id: str) -> RecordRow | None:
        key = keys.record(response_id)
        value = await tx.get(key)
        await tx.rely(key)
        return decode_record_row(value) if value is not None else None

    def _insert(
        self, tx: Transaction, record: Record, sealed: int, num_bytes: int, turn: str | None, body: bytes,
        by: bytes, number: int,
    ) -> None:  # fmt: skip
        response, response_id = record.response, record.response_id
        conversation = conversation_of(response)
        labels = [label(name, value) for name, value in response.metadata.items()]
        at = keys.digest(conversation) if conversation is not None else b""
        listed = Listed(response.status, at, record.expires_at, labels)
        items = [(keys.digest(item_id), place) for place, item_id in item_ids(record)]
        row = RecordRow(record.owner, record.begun_at, sealed, num_bytes, turn, listed, items, by, number, body)
        tx.set(keys.record(response_id), encode(row))
        tx.set(keys.age(sealed, response_id), b"")
        tx.set(keys.expiry(record.expires_at, "record", response_id), b"")
        value, where = encode(listed), Place(record.begun_at, response_id)
        for shelf in shelves(record.owner, listed):
            tx.set(keys.place(shelf, where), value)
        if turn is not None:
            for name, place in items:
                found = encode(ItemRow(turn, place, record.expires_at))
                tx.set(keys.item(record.owner, name, sealed, response_id), found)

    def _unlist(self, tx: Transaction, response_id: str, row: RecordRow) -> None:
        where = Place(row.begun_at, response_id)
        tx.delete(
            keys.record(response_id),
            keys.age(row.sealed, response_id),
            keys.expiry(row.listed.expires_at, "record", response_id),
            *(keys.place(shelf, where) for shelf in shelves(row.owner, row.listed)),
            *(keys.item(row.owner, name, row.sealed, response_id) for name, _ in row.items),
        )

    async def _remove(self, tx: Transaction, response_id: str) -> None:
        """Remove all of a response but its claim."""
        head, record = keys.head(response_id), keys.record(response_id)
        await tx.load([head, record, keys.owner(response_id)])
        value = await tx.get(head)
        if value is not None:
            await self._end(tx, response_id, decode_head_row(value))
        found = await self._record(tx, response_id)
        if found is not None:
            self._unlist(tx, response_id, found)
            tx.delete(keys.log(response_id))
            tx.add(keys.response_bytes(tx.lease), -found.num_bytes)
            await self._turns.release(tx, found.turn)

    async def _end(self, tx: Transaction, response_id: str, row: HeadRow) -> None:
        """Note that a response is no longer open."""
        owner = await tx.get(keys.owner(response_id))
        await tx.rely(keys.owner(response_id))
        held: list[Key] = []
        if owner is not None:
            lease = keys.lease(owner)
            held = [keys.held(lease, response_id)]
            if lease == tx.lease:
                tx.now.ended.append(row.number)
        tx.delete(keys.head(response_id), keys.owner(response_id), *held)
        await self._turns.release(tx, row.turn)

    async def _drop_old(self, tx: Transaction, response_id: str) -> None:
        await self.delete(tx, response_id)
        tx.now.gone.append(response_id)

    async def _make_room(self, tx: Transaction, now: float) -> None:
        """Drop what has expired, then the oldest records while there is too much."""
        if await self._fits(tx):
            return
        await self.expire(tx, now)
        begin, end = keys.under("age")
        while not await self._fits(tx):
            oldest = await tx.range(begin, end, 1)
            if not oldest or len(tx.now.gone) >= _MAX_EVICTED:
                return
            await self._drop_old(tx, keys.last_part(oldest[0][0]))

    async def _fits(self, tx: Transaction) -> bool:
        return await tx.total(keys.RESPONSE_BYTES) <= self._max_bytes
