"""The log of a finished response as one blob, exact to the byte. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import msgspec

from realtime.store.abridged import Abridged, KeptDeltas
from realtime.store.entries import Entry, Shared
from realtime.store.event_log import StoredLog
from realtime.store.merging import DeltaEvent

from .packing import pack, unpack


class _Deltas(msgspec.Struct, array_like=True, tag=2):
    first: bytes  # JSON, with the log probabilities of all
    text: str
    text_ends: bytes
    logprob_ends: bytes


class _Parts(msgspec.Struct, array_like=True, tag=1):
    """An entry with texts that others have too, each by its place in `texts`."""

    parts: list[bytes | int]
    own_bytes: int


class _Whole(msgspec.Struct, array_like=True, tag=0):
    entry: bytes


_Block = _Whole | _Parts | _Deltas


class _Log(msgspec.Struct, array_like=True):
    response_id: str
    epoch: str
    floor: int
    restarted_at: int | None
    texts: list[bytes]
    entries: list[bytes | _Parts]
    abridged: list[_Block] | None
    earlier: dict[str, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Log).decode
_decode_delta = msgspec.json.Decoder(DeltaEvent).decode


def encode_log(log: StoredLog) -> bytes:
    """Return the blob."""
    texts = _Texts()
    entries = [entry if isinstance(entry, bytes) else texts.parts(entry) for entry in log.entries]
    abridged = [_block(block, texts) for block in log.abridged.blocks()] if log.abridged is not None else None
    members = (log.response_id, log.epoch, log.floor, log.restarted_at, texts.all, entries, abridged)
    return pack(_encode(_Log(*members, dict(log.earlier))))


def decode_log(blob: bytes) -> StoredLog:
    """Return the log. Raises ValueError for an invalid blob."""
    kept = _decode(unpack(blob))
    entries: list[Entry] = [one if isinstance(one, bytes) else _shared(one, kept.texts) for one in kept.entries]
    abridged = Abridged.of([_unblock(one, kept.texts) for one in kept.abridged]) if kept.abridged is not None else None
    return StoredLog(
        kept.response_id, kept.epoch, kept.floor, tuple(entries), abridged,
        restarted_at=kept.restarted_at, earlier=kept.earlier,
    )  # fmt: skip


class _Texts:
    """The texts that entries share, each once."""

    def __init__(self) -> None:
        self.all: list[bytes] = []
        self._places: dict[int, int] = {}  # identity of a text -> its place

    def parts(self, entry: Shared) -> _Parts:
        """Return an entry with its shared texts as their places."""
        parts: list[bytes | int] = list(entry.parts)
        for index in range(1, len(parts), 2):
            text = entry.parts[index]
            place = self._places.setdefault(id(text), len(self.all))
            if place == len(self.all):
                self.all.append(text)
            parts[index] = place
        return _Parts(parts, entry.own_bytes)


def _block(block: Entry | KeptDeltas, texts: _Texts) -> _Block:
    if isinstance(block, bytes):
        return _Whole(block)
    if isinstance(block, Shared):
        return texts.parts(block)
    ends = (block.text_ends.tobytes(), block.logprob_ends.tobytes())
    return _Deltas(msgspec.json.encode(block.first), block.text, *ends)


def _unblock(block: _Block, texts: list[bytes]) -> Entry | KeptDeltas:
    match block:
        case _Whole(entry):
            return entry
        case _Parts():
            return _shared(block, texts)
        case _Deltas(first, text, text_ends, logprob_ends):
            return KeptDeltas(_decode_delta(first), text, _array(text_ends), _array(logprob_ends))


def _shared(entry: _Parts, texts: list[bytes]) -> Shared:
    return Shared(tuple(_resolved(entry.parts, texts)), entry.own_bytes)


def _resolved(parts: Iterable[Any], texts: list[bytes]) -> Iterable[bytes]:
    return (texts[part] if isinstance(part, int) else part for part in parts)


def _array(data: bytes) -> array[int]:
    found = array("I")
    found.frombytes(data)
    return found
