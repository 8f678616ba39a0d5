"""A copy of a log that another node writes. Readers on this node read it like any other log. Pure.

Entries come as bytes, in their order, and stay those bytes. The copy has the bounds of the log, and continues when the
log continues elsewhere. Who may continue reading at which number is decided by the original's values, taken each time
it is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from realtime.wire.codec import type_of
from realtime.wire.events import DELTAS, TERMINALS, Event
from realtime.wire.response import Response

from .entries import Entry, own_bytes
from .event_log import EventLog, Log

_LONG = 64 * 1024  # bytes, see EventLog
_DELTAS = frozenset(str(kind.__struct_config__.tag).encode() for kind in DELTAS)
_TERMINALS = frozenset(str(kind.__struct_config__.tag).encode() for kind in TERMINALS)


class State(msgspec.Struct, frozen=True, array_like=True):
    """A log's own facts, without its entries; see Log. `start`: the number of the first entry that comes. `tip`: the
    number after the last existing one.
    """

    epoch: str
    start: int
    tip: int = 0
    restarted_at: int | None = None
    earlier: dict[str, int] = {}
    comes_again: bool = False

    @classmethod
    def of(cls, log: Log, start: int) -> State:
        """Return a log's facts as they are now."""
        return cls(log.epoch, start, log.tip, log.restarted_at, dict(log.earlier), log.comes_again)


class NotTheSame(Exception):
    """An error: the new entries do not continue where the copy ends."""


class _Shown(msgspec.Struct):
    response: Response


_decode_shown = msgspec.json.Decoder(_Shown).decode


class CopiedLog(EventLog):
    """A copy of a log that another node writes."""

    __slots__ = ()

    def __init__(self, response_id: str, state: State, *, max_bytes: int, max_entries: int) -> None:
        super().__init__(response_id, state.epoch, stream_id=None, max_bytes=max_bytes, max_entries=max_entries)
        self.floor = self.tip = state.start
        self.milestone = state.start - 1
        self.go_on(state)

    def append(self, event: Event) -> bytes:
        """Raise: nothing is written here."""
        raise NotImplementedError

    def go_on(self, state: State) -> None:
        """Take the log's current facts. Raises NotTheSame if it does not continue where the copy ends."""
        if state.start != self.tip:
            raise NotTheSame(f"{state.start} does not follow {self.tip - 1}")
        self.epoch, self.restarted_at = state.epoch, state.restarted_at
        earlier: Mapping[str, int] = state.earlier
        self.earlier, self.comes_again = earlier, state.comes_again

    def take(self, first: int, entries: Sequence[bytes]) -> None:
        """Take the next entries. Raises NotTheSame, and ValueError for an invalid event."""
        if first != self.tip or (self.sealed and entries):
            raise NotTheSame(f"{first} does not follow {self.tip - 1}")
        for entry in entries:
            self._take(entry)

    def _take(self, entry: bytes) -> None:
        kind = type_of(entry)
        kept: Entry = entry
        if kind not in _DELTAS:
            self.milestone, self.newest_delta = self.tip, None
            self.sealed = kind in _TERMINALS
            if len(entry) >= _LONG and b'"response":' in entry[:256]:
                kept = self._shared.share(entry, _decode_shown(entry).response)
        else:
            self.newest_delta = entry
        self._entries.append(kept)
        self._num_bytes += own_bytes(kept)
        self.tip += 1
        if self._num_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._trim()
