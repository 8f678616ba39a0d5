"""The journal's blobs: one flush of all running responses, in the order in which it was appended. Pure.

There is one `Chunk` for each `append`, so that the places where the engine's chunks end can be found again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from .packing import pack, unpack


class Chunk(msgspec.Struct, array_like=True):
    """The data of one `append`. Members may be added at the end: older journals are read without them.

    number: of the response in the file. first: the number of the first event. events: see `Shorthand`. tokens: token
    ids, four bytes each. num_hidden: events that are counted and not kept, of a response that is not to be stored.
    text: the engine's text for the tokens; None: this did not come from the engine. finish, rest, note: see `steps`.
    """

    number: int
    first: int
    events: Sequence[bytes]
    tokens: bytes = b""
    num_hidden: int = 0
    text: str | None = None
    finish: int = 0
    rest: bytes = b""
    note: bytes = b""

    @property
    def tip(self) -> int:
        """The number after the last event."""
        return self.first + len(self.events) + self.num_hidden


_SAME = b"\2"  # begins an event that is written short; no JSON begins so
_DELTA, _END = b'"delta":', b',"done":'


class Shorthand:
    """The common part of one response's consecutive deltas: everything but their contents and numbers. Most of it is
    random ids, which don't compress, so it is written once for each run of deltas.
    """

    __slots__ = ("_begin", "_end", "_length")

    def __init__(self) -> None:
        self._begin = self._end = b""  # of the last event that was written whole; empty: there is none
        self._length = 0  # of the end

    def shorten(self, events: Sequence[bytes]) -> list[bytes]:
        """Return the next events in their written form."""
        short = []
        for event in events:
            begin = self._begin
            if begin and event.startswith(begin) and event.endswith(self._end):
                event = _SAME + event[len(begin) : -self._length]
            else:
                self._learn(event)
            short.append(event)
        return short

    def spell_out(self, events: Sequence[bytes]) -> list[bytes]:
        """Return the next events in full."""
        whole = []
        for event in events:
            if event.startswith(_SAME):
                event = self._begin + event[1:] + self._end
            else:
                self._learn(event)
            whole.append(event)
        return whole

    def _learn(self, event: bytes) -> None:
        at, end = event.find(_DELTA), event.rfind(_END)
        if 0 <= at < end:
            self._begin, self._end = event[:at], event[end:]
            self._length = len(self._end)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Chunk]).decode


def encode_chunks(chunks: Sequence[Chunk]) -> bytes:
    """Return the blob of a flush."""
    return pack(_encode(chunks))


def decode_chunks(blob: bytes) -> list[Chunk]:
    """Return the chunks of a blob. Raises ValueError for an invalid one."""
    return _decode(unpack(blob))


def only(blobs: Iterable[bytes], numbers: Collection[int]) -> list[Chunk]:
    """Return the chunks of these responses."""
    return [chunk for blob in blobs for chunk in decode_chunks(blob) if chunk.number in numbers]


def without(blob: bytes, number: int) -> bytes | None:
    """Return the blob without a response's chunks; None: nothing is left. Raises ValueError."""
    left = [chunk for chunk in decode_chunks(blob) if chunk.number != number]
    return encode_chunks(left) if left else None
