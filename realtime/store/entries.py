"""Entries of a log, several of which may contain the same long text: it is held once. Pure.

Every event that shows the Response repeats the request's members: instructions of megabytes, tools, a schema. An entry
is bytes; one with such a text is kept as its parts, and joined when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from realtime.wire.codec import encode, escape_line_ends
from realtime.wire.response import Response

_LONG = 16 * 1024  # bytes of a text that is worth sharing; entries that are not longer have none


class Shared(msgspec.Struct, frozen=True):
    """An entry that has texts in common with others. own_bytes: the bytes of it that no other has."""

    parts: tuple[bytes, ...]
    own_bytes: int


Entry = bytes | Shared


def whole(entry: Entry) -> bytes:
    """Return the entry as it goes over the wire."""
    return entry if isinstance(entry, bytes) else b"".join(entry.parts)


def own_bytes(entry: Entry) -> int:
    """Return the bytes of an entry that no other has."""
    return len(entry) if isinstance(entry, bytes) else entry.own_bytes


def shared_parts(entry: Entry) -> tuple[bytes, ...]:
    """Return the texts of an entry that others may have too."""
    return entry.parts[1::2] if isinstance(entry, Shared) else ()


def held_bytes(entries: Sequence[Entry]) -> int:
    """Return the bytes that entries hold together."""
    if {bytes}.issuperset(map(type, entries)):  # nearly always: without a step of Python for each
        return sum(map(len, cast("Sequence[bytes]", entries)))
    shared = {id(part): len(part) for entry in entries for part in shared_parts(entry)}
    return sum(map(own_bytes, entries)) + sum(shared.values())


class SharedTexts:
    """The long texts of one response that its events repeat. num_bytes: their total size."""

    def __init__(self) -> None:
        self.num_bytes = 0
        self._texts: list[bytes] | None = None  # in the order in which they come; None: no event has shown any

    def share(self, entry: bytes, response: Response | None) -> Entry:
        """Return the entry with the long texts of `response` replaced by the shared ones."""
        if len(entry) <= _LONG or response is None:
            return entry
        if self._texts is None:
            self._texts = sorted(_long_texts(response), key=entry.find)
            self.num_bytes = sum(map(len, self._texts))
        parts, at, own = [], 0, len(entry)
        for text in self._texts:
            found = entry.find(text, at)
            if found >= 0:
                parts += [entry[at:found], text]
                at = found + len(text)
                own -= len(text)
        return Shared((*parts, entry[at:]), own) if parts else entry


def _long_texts(response: Response) -> Iterator[bytes]:
    """Yield the long members of a request that every event shows, as they stand in entries."""
    for value in (response.instructions, response.tools, response.text):
        if value:
            text = encode(value)
            if len(text) > _LONG:
                yield text if text.isascii() else escape_line_ends(text)
