"""The keys under which everything is written, and the small values that are compared. Pure.

A key is its space, a slash, and parts that no other part can begin like: digests, numbers of eight bytes, ids. What a
client chooses (tenants, request ids, labels) is in a key as its digest only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from realtime.store.shelves import Place

from .backend import Key, Lease

_MAX = 2**63 - 1
MICRO = 1e6

SPACES = frozenset({
    "age", "conv-list", "conv-sum", "conv-use", "epoch", "erase", "expiry", "held", "in-conv", "item", "journal",
    "label", "list", "part", "sum-conversations", "sum-responses",
})  # fmt: skip
"""The spaces that are looked through in order; in the others keys are only asked for."""


def digest(*parts: str) -> bytes:
    """Return what stands for something in a key."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "big") + data)
    return found.digest().hex().encode()


def number(value: float) -> bytes:
    """Return a number so that bytes are in the order of numbers; one below 0 is 0."""
    return b"%016x" % min(max(int(value), 0), _MAX)


def at(seconds: float) -> bytes:
    """Return a time."""
    return number(min(seconds, _MAX / MICRO) * MICRO)


def key(space: str, *parts: bytes | str) -> Key:
    """Return a key."""
    return b"/".join((space.encode(), *(part.encode() if isinstance(part, str) else part for part in parts)))


def under(*parts: bytes | str) -> tuple[Key, Key]:
    """Return the first key that begins with these parts, and one behind the last."""
    begin = key(str(parts[0]), *parts[1:]) + b"/"
    return begin, begin[:-1] + b"0"  # the character behind the slash


def last_part(one: Key) -> str:
    """Return the id that a key ends with."""
    return one.rpartition(b"/")[2].decode()


# -- responses


def record(response_id: str) -> Key:
    """Of a response that is over."""
    return key("record", response_id)


def log(response_id: str) -> Key:
    """Of its events."""
    return key("log", response_id)


def head(response_id: str) -> Key:
    """Of a response that is not over."""
    return key("head", response_id)


def owner(name: str) -> Key:
    """Of who writes a response or a conversation."""
    return key("owner", name)


def held(lease: Lease, response_id: str) -> Key:
    """Of a response that is not over, below its owner."""
    return key("held", lease.node, number(lease.epoch), response_id)


def journal(lease: Lease, row: int) -> Key:
    """Of what one flush of a node had."""
    return key("journal", lease.node, number(lease.epoch), number(row))


def erasure(lease: Lease, row_number: int) -> Key:
    """Of a response, by its number, of which a lease's journal is to have nothing any more."""
    return key("erase", lease.node, number(lease.epoch), str(row_number))


def epoch(lease: Lease) -> Key:
    """Of a lease of which something may be left."""
    return key("epoch", lease.node, number(lease.epoch))


def lease_of(epoch_key: Key) -> Lease:
    """Return the lease whose `epoch` key this is."""
    _, node, text = epoch_key.split(b"/")
    return Lease(node.decode(), int(text, 16))


def age(sealed: int, response_id: str) -> Key:
    """Of a record, by when it was sealed."""
    return key("age", number(sealed), response_id)


def expiry(seconds: float, what: str, response_id: str) -> Key:
    """Of what ends at a time: a `record`, or a `claim` whose response never began."""
    return key("expiry", at(seconds), what, response_id)


def place(shelf: Iterable[bytes], where: Place) -> Key:
    """Of a record or a conversation in one list."""
    first, *rest = shelf
    return key(first.decode(), *rest, number(where.begun_at), where.id)


def place_of(one: Key) -> Place:
    """Return the place whose key this is."""
    _, begun_at, name = one.rsplit(b"/", 2)
    return Place(int(begun_at, 16), name.decode())


def item(owner_id: str, item_digest: bytes, sealed: int, response_id: str) -> Key:
    """Of an item of a record, by when that was sealed."""
    return key("item", digest(owner_id), item_digest, number(sealed), response_id)


# -- turns


def turn(turn_id: str) -> Key:
    """Of a turn."""
    return key("turn", turn_id)


def references(turn_id: str) -> Key:
    """Of how many point to a turn."""
    return key("references", turn_id)


# -- requests


def claim(tenant: str, request_id: str) -> Key:
    """Of a claim."""
    return key("claim", digest(tenant, request_id))


def claim_of(response_id: str) -> Key:
    """Of the key of a response's claim."""
    return key("claim-of", response_id)


# -- conversations


def conversation(conversation_id: str) -> Key:
    """Of a conversation without its items."""
    return key("conv", conversation_id)


def part(conversation_id: str, row: int) -> Key:
    """Of an item of a conversation."""
    return key("part", conversation_id, number(row))


def part_at(conversation_id: str, item_id: str) -> Key:
    """Of the row of an item."""
    return key("part-at", conversation_id, digest(item_id))


def use(owner_id: str, used_at: float, begun_at: int, conversation_id: str) -> Key:
    """Of a conversation, by when it was used."""
    return key("conv-use", digest(owner_id), at(used_at), number(begun_at), conversation_id)


def owners_sum(owner_id: str) -> Key:
    """Of the bytes of an owner's conversations."""
    return key("conv-sum", digest(owner_id))


def response_bytes(lease: Lease) -> Key:
    """Of what a node has added to the bytes of all responses: one number each, so that nobody waits for another."""
    return key(RESPONSE_BYTES, lease.node)


def conversation_bytes(lease: Lease) -> Key:
    """Of what a node has added to the bytes of all conversations."""
    return key(CONVERSATION_BYTES, lease.node)


RESPONSE_BYTES = "sum-responses"
CONVERSATION_BYTES = "sum-conversations"


# -- values


def pack_owner(lease: Lease) -> bytes:
    """Return a lease as the value of an `owner` key."""
    return b"%s %d" % (lease.node.encode(), lease.epoch)


def lease(value: bytes) -> Lease:
    """Return the lease that an `owner` key has."""
    node, _, text = value.decode().partition(" ")
    return Lease(node, int(text))
