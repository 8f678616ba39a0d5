"""The journal's blobs: what one flush has of all responses that run, in the order in which it was appended. Pure.

One `Chunk` for each `append`, so that the places where the engine's chunks end can be found again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from .packing import pack, unpack


class Chunk(msgspec.Struct, array_like=True):
    """What one `append` brought. Members may be added at the end: older journals are read without them.

    number: of the response in the file. first: the number of the first event. events: see `Names`. tokens: token ids,
    four bytes each.
    num_hidden: events that are counted and not kept, of a response that is not to be stored.
    """

    number: int
    first: int
    events: Sequence[bytes]
    tokens: bytes = b""
    num_hidden: int = 0

    @property
    def tip(self) -> int:
        """The number behind the last event."""
        return self.first + len(self.events) + self.num_hidden


_ITEM = b'"item_id":"'
_NEAR = 96  # bytes within which an event that has it says which item it is of
_RESPONSE_ID, _ITEM_ID = b"\0", b"\1"  # stand for ids; JSON has no such bytes


class Names:
    """The ids that the events of one response repeat. They are random, so they would be most of what is left of an
    event when it is compressed: the response's is written once, in its head, an item's once in the journal.
    """

    __slots__ = ("_item_id", "_response_id")

    def __init__(self, response_id: str) -> None:
        self._response_id = response_id.encode()
        self._item_id = b""  # the last one that was spelled out, with the quote behind it

    def shorten(self, events: Sequence[bytes]) -> list[bytes]:
        """Return the next events with marks in place of ids."""
        response_id, short = self._response_id, []
        for event in events:
            at = event.find(_ITEM, 0, _NEAR)
            if at >= 0:
                start, item_id = at + len(_ITEM), self._item_id
                if item_id and event.startswith(item_id, start):
                    event = event.replace(item_id[:-1], _ITEM_ID)
                else:
                    self._item_id = event[start : event.find(b'"', start) + 1]
            short.append(event.replace(response_id, _RESPONSE_ID))
        return short

    def spell_out(self, events: Sequence[bytes]) -> list[bytes]:
        """Return the next events as they were."""
        whole = []
        for event in events:
            if _ITEM_ID in event:
                event = event.replace(_ITEM_ID, self._item_id[:-1])
            elif (at := event.find(_ITEM, 0, _NEAR)) >= 0:
                start = at + len(_ITEM)
                self._item_id = event[start : event.find(b'"', start) + 1]
            whole.append(event.replace(_RESPONSE_ID, self._response_id))
        return whole


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Chunk]).decode


def encode_chunks(chunks: Sequence[Chunk]) -> bytes:
    """Return the blob of a flush."""
    return pack(_encode(chunks))


def decode_chunks(blob: bytes) -> list[Chunk]:
    """Return what is in a blob. Raises ValueError for what is none."""
    return _decode(unpack(blob))


def only(blobs: Iterable[bytes], numbers: Collection[int]) -> list[Chunk]:
    """Return the chunks of these responses."""
    return [chunk for blob in blobs for chunk in decode_chunks(blob) if chunk.number in numbers]


def without(blob: bytes, number: int) -> bytes | None:
    """Return the blob without what it has of a response; None: nothing is left. Raises ValueError."""
    left = [chunk for chunk in decode_chunks(blob) if chunk.number != number]
    return encode_chunks(left) if left else None
