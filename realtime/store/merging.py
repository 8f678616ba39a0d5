"""Merge consecutive deltas of one type and part into one event, for readers that have asked for that. Pure.

A merged event has the joined `delta` and `logprobs` of those that it stands for, and their numbers, from
`first_sequence_number` to `sequence_number`. All other events stay the bytes that they are, and so does a single delta.
The log is not touched, and nothing here is done for readers that did not ask.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from realtime.wire import codec, events

TYPES = frozenset(str(kind.__struct_config__.tag).encode() for kind in events.Delta.__subclasses__())


class DeltaEvent(msgspec.Struct, kw_only=True):
    """A delta of any type, with all members that one may have, in the order of the wire."""

    type: str
    item_id: str
    output_index: int
    content_index: int | UnsetType = UNSET
    summary_index: int | UnsetType = UNSET
    command_index: int | UnsetType = UNSET
    delta: str
    logprobs: list[msgspec.Raw] | UnsetType = UNSET
    sequence_number: int
    done: bool
    response_id: str
    stream_id: str | UnsetType = UNSET
    first_sequence_number: int | UnsetType = UNSET

    def continues(self, other: DeltaEvent) -> bool:
        """Return whether it continues the same part as the one before."""
        return self._part == other._part

    @property
    def _part(self) -> tuple[object, ...]:
        return self.type, self.item_id, self.output_index, self.content_index, self.summary_index, self.command_index


_decode = msgspec.json.Decoder(DeltaEvent).decode


def read_delta(entry: bytes) -> DeltaEvent | None:
    """Decode an entry of a log if it is a delta."""
    return _decode(entry) if codec.type_of(entry) in TYPES else None


class Merger:
    """A merger of one log's entries, which are put in one after another. A run comes out when it has ended."""

    __slots__ = ("_first", "_logprobs", "_newest", "_only", "_texts")

    def __init__(self) -> None:
        self._first: DeltaEvent | None = None  # of the run that goes on; None: there is none
        self._only: bytes | None = None  # its entry, as long as it stands alone
        self._newest = 0
        self._texts: list[str] = []
        self._logprobs: list[msgspec.Raw] = []

    @property
    def held(self) -> int | None:
        """The first number of the open run, none of which has come out."""
        return None if self._first is None else _first_number(self._first)

    def put(self, entries: Iterable[bytes | DeltaEvent]) -> list[bytes]:
        """Take the next entries; a delta may also be given decoded. Return the events that are complete."""
        out: list[bytes] = []
        for entry in entries:
            delta = read_delta(entry) if isinstance(entry, bytes) else entry
            if delta is not None and self._first is not None and delta.continues(self._first):
                self._only = None
            else:
                out += self.flush()
                if delta is None:
                    assert isinstance(entry, bytes)
                    out.append(entry)
                    continue
                self._first, self._only = delta, entry if isinstance(entry, bytes) else None
            self._newest = delta.sequence_number
            self._texts.append(delta.delta)
            self._logprobs += delta.logprobs or ()
        return out

    def flush(self) -> list[bytes]:
        """Return the open run as if it had ended here."""
        first, only, texts, logprobs = self._first, self._only, self._texts, self._logprobs
        self._first, self._only, self._texts, self._logprobs = None, None, [], []
        if first is None:
            return []
        if only is not None:
            return [only]
        number = _first_number(first)
        merged = msgspec.structs.replace(
            first,
            sequence_number=self._newest,
            first_sequence_number=number if number != self._newest else UNSET,
            delta="".join(texts),
            logprobs=UNSET if first.logprobs is UNSET else logprobs,
        )
        return [codec.encode_line(merged)]


def _first_number(delta: DeltaEvent) -> int:
    first = delta.first_sequence_number
    return delta.sequence_number if isinstance(first, UnsetType) else first
