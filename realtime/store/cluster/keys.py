"""The keys under which everything is written, and the small values that are compared. Pure.

A key is its space, a slash, and parts of which none is a prefix of another: digests, eight-byte numbers, ids. What a
client chooses (tenants, request ids, labels) is in a key only as a digest.
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
    """Return the digest of a value, for use in a key."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "big") + data)
    return found.digest().hex().encode()


def number(value: float) -> bytes:
    """Encode a number so that byte order is numeric order. A negative number becomes 0."""
    return b"%016x" % min(max(int(value), 0), _MAX)


def at(seconds: float) -> bytes:
    """Encode a time."""
    return number(min(seconds, _MAX / MICRO) * MICRO)


def key(space: str, *parts: bytes | str) -> Key:
    """Return a key."""
    return b"/".join((space.encode(), *(part.encode() if isinstance(part, str) else part for part in parts)))


def under(*parts: bytes | str) -> tuple[Key, Key]:
    """Return the first key that begins with these parts, and the end of their range."""
    begin = key(str(parts[0]), *parts[1:]) + b"/"
    return begin, begin[:-1] + b"0"  # the character behind the slash


def last_part(one: Key) -> str:
    """Return the id at the end of a key."""
    return one.rpartition(b"/")[2].decode()


# -- responses


def record(response_id: str) -> Key:
    """Key of a finished response."""
    return key("record", response_id)


def log(response_id: str) -> Key:
    """Key of its events."""
    return key("log", response_id)


def head(response_id: str) -> Key:
    """Key of a response that is not over."""
    return key("head", response_id)


def owner(name: str) -> Key:
    """Key of the owner of a response or a conversation."""
    return key("owner", name)


def held(lease: Lease, response_id: str) -> Key:
    """Key of a response that is not over, below its owner."""
    return key("held", lease.node, number(lease.epoch), response_id)


def journal(lease: Lease, row: int) -> Key:
    """Key of one flush of a node."""
    return key("journal", lease.node, number(lease.epoch), number(row))


def is_of_journal(key: Key) -> bool:
    """Return whether only the commits of one lease have this key."""
    return key.startswith(b"journal/")


def erasure(lease: Lease, row_number: int) -> Key:
    """Key of a response, by its number, that must vanish from a lease's journal."""
    return key("erase", lease.node, number(lease.epoch), str(row_number))


def epoch(lease: Lease) -> Key:
    """Key of a lease that may have left something."""
    return key("epoch", lease.node, number(lease.epoch))


def lease_of(epoch_key: Key) -> Lease:
    """Return the lease whose `epoch` key this is."""
    _, node, text = epoch_key.split(b"/")
    return Lease(node.decode(), int(text, 16))


def age(sealed: int, response_id: str) -> Key:
    """Key of a record, by the time when it was sealed."""
    return key("age", number(sealed), response_id)


def expiry(seconds: float, what: str, response_id: str) -> Key:
    """Key of what expires at a time: a `record`, or a `claim` whose response never began."""
    return key("expiry", at(seconds), what, response_id)


def place(shelf: Iterable[bytes], where: Place) -> Key:
    """Key of a record or a conversation in one list."""
    first, *rest = shelf
    return key(first.decode(), *rest, number(where.begun_at), where.id)


def place_of(one: Key) -> Place:
    """Return the place whose key this is."""
    _, begun_at, name = one.rsplit(b"/", 2)
    return Place(int(begun_at, 16), name.decode())


def item(owner_id: str, item_digest: bytes, sealed: int, response_id: str) -> Key:
    """Key of an item of a record, by the time when that was sealed."""
    return key("item", digest(owner_id), item_digest, number(sealed), response_id)


# -- turns


def turn(turn_id: str) -> Key:
    """Key of a turn."""
    return key("turn", turn_id)


def references(turn_id: str) -> Key:
    """Key of the number of references to a turn."""
    return key("references", turn_id)


# -- requests


def claim(tenant: str, request_id: str) -> Key:
    """Key of a claim."""
    return key("claim", digest(tenant, request_id))


def claim_of(response_id: str) -> Key:
    """Key under which a response's claim is named."""
    return key("claim-of", response_id)


# -- conversations


def conversation(conversation_id: str) -> Key:
    """Key of a conversation without its items."""
    return key("conv", conversation_id)


def part(conversation_id: str, row: int) -> Key:
    """Key of an item of a conversation."""
    return key("part", conversation_id, number(row))


def part_at(conversation_id: str, item_id: str) -> Key:
    """Key of the row of an item."""
    return key("part-at", conversation_id, digest(item_id))


def use(owner_id: str, used_at: float, begun_at: int, conversation_id: str) -> Key:
    """Key of a conversation, by the time of its last use."""
    return key("conv-use", digest(owner_id), at(used_at), number(begun_at), conversation_id)


def owners_sum(owner_id: str) -> Key:
    """Key of the bytes of an owner's conversations."""
    return key("conv-sum", digest(owner_id))


def response_bytes(lease: Lease) -> Key:
    """Key of a node's addend to the bytes of all responses: each node has its own, so that no node waits
    for another.
    """
    return key(RESPONSE_BYTES, lease.node)


def conversation_bytes(lease: Lease) -> Key:
    """Key of a node's addend to the bytes of all conversations."""
    return key(CONVERSATION_BYTES, lease.node)


RESPONSE_BYTES = "sum-responses"
CONVERSATION_BYTES = "sum-conversations"


# -- values


def pack_owner(lease: Lease) -> bytes:
    """Encode a lease as the value of an `owner` key."""
    return b"%s %d" % (lease.node.encode(), lease.epoch)


def lease(value: bytes) -> Lease:
    """Decode the lease from the value of an `owner` key."""
    node, _, text = value.decode().partition(" ")
    return Lease(node, int(text))
