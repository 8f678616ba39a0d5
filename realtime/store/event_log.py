"""The log of one response: numbered, checked, encoded once, read by any number of cursors.

Pure. The run appends to an `EventLog`; connections and HTTP streams read that, or the `StoredLog` of a response that is
over. A log never waits for a reader and never knows one. It is bounded in bytes: a reader that falls below the floor is
told so when it reads. Entries below the floor stay `abridged`, for readers that take deltas merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from realtime.wire.codec import encode, encode_into, escape_line_ends
from realtime.wire.errors import WireError
from realtime.wire.events import DELTAS, TERMINALS, Delta, Event, OutputTextDelta
from realtime.wire.grammar import Grammar

from .abridged import Abridged
from .entries import Entry, SharedTexts, held_bytes, own_bytes, whole

_LONG = 64 * 1024  # bytes of an entry that may be worth a look for what others have as well
_MAX_DROPPED = 512  # entries at a time, beyond what has to go: they are abridged, which takes about a microsecond each
_DELTAS = frozenset(DELTAS)
_TERMINALS = frozenset(TERMINALS)
_buffer = (
    bytearray()
)  # deltas are copied out of it: of what `encode` returns up to a third is memory that it left unused


class BelowFloor(Exception):
    """An error: a read asked for entries that the log has dropped. `floor` is the oldest number that it still has.
    `error`: why there are none, if the reader was not too slow.
    """

    def __init__(self, floor: int, error: WireError | None = None) -> None:
        super().__init__(f"the log starts at {floor}")
        self.floor = floor
        self.error = error


class Log(Protocol):
    """A log as a reader sees it. `floor`, `tip` and `sealed` as in EventLog."""

    @property
    def response_id(self) -> str: ...
    @property
    def epoch(self) -> str: ...
    @property
    def floor(self) -> int: ...
    @property
    def tip(self) -> int: ...
    @property
    def sealed(self) -> bool: ...
    @property
    def milestone(self) -> int: ...
    @property
    def newest_delta(self) -> bytes | None:
        """The newest entry, if it is a delta and at hand; None: call `read`."""

    @property
    def abridged(self) -> Abridged | None:
        """The entries below the floor, from number 0 on; None: nothing is known of them, or there are none."""

    @property
    def restarted_at(self) -> int | None:
        """See StoredLog."""

    @property
    def earlier(self) -> Mapping[str, int]:
        """See StoredLog."""

    @property
    def comes_again(self) -> bool:
        """Return whether events that were sent and not stored come again, with the same numbers. A reader that has had
        them waits until the tip has passed it.
        """

    @property
    def left(self) -> bool:
        """Return whether its process leaves it to the next one: nothing more comes here."""

    def read(self, start: int, max_events: int) -> list[bytes]:
        """Return entries from number `start` on, at most `max_events`; none at the tip. Raises BelowFloor."""


class StoredLog(msgspec.Struct, frozen=True):
    """The log of a finished response, as values. `entries` begin at the number `floor`.

    `restarted_at`: the number from which on it was written after its process had died; events with these numbers may
    have been sent before with other contents. None: it never was. `earlier`: its earlier epochs, each with the number
    at which the next one began.
    """

    response_id: str
    epoch: str
    floor: int
    entries: Sequence[Entry]
    abridged: Abridged | None = None
    sealed: bool = True
    restarted_at: int | None = None
    earlier: Mapping[str, int] = {}
    newest_delta: ClassVar[None] = None
    comes_again: ClassVar[bool] = False
    left: ClassVar[bool] = False

    @property
    def tip(self) -> int:
        """The number after the last entry."""
        return self.floor + len(self.entries)

    @property
    def milestone(self) -> int:
        """The number of the terminal event."""
        return self.tip - 1

    @property
    def num_bytes(self) -> int:
        """The bytes that all entries hold."""
        return held_bytes(self.entries)

    def read(self, start: int, max_events: int) -> list[bytes]:
        """See Log."""
        index = start - self.floor
        if index < 0:
            raise BelowFloor(self.floor)
        return list(map(whole, self.entries[index : index + max_events]))


class EventLog:
    """Events of one response as immutable bytes, numbered from 0 without a gap.

    `floor` is the oldest number kept, `tip` the number after the newest; `floor == tip` means empty. `max_bytes` and
    `max_entries` bound what is kept: the oldest entries go first, the newest always stays. `sealed`: the terminal event
    is in; nothing more will come. `milestone`: the number of the newest event that is more than a delta; -1: there is
    none.

    All this is said of what readers see. A log that withholds its end has `num_unseen` more events, which no reader
    gets before they are shown; `ended`: the terminal event is among those, or among the others. `failure`: why readers
    get nothing more. Whoever writes goes by `next_number`, whoever reads by `tip`.
    """

    __slots__ = (
        "_delta", "_entries", "_form", "_grammar", "_max_bytes", "_max_entries", "_num_bytes", "_shared", "_unseen",
        "abridged", "comes_again", "earlier", "ended", "epoch", "failure", "floor", "left", "milestone", "newest_delta",
        "num_unseen", "response_id", "restarted_at", "sealed", "stream_id", "tip",
    )  # fmt: skip

    def __init__(
        self, response_id: str, epoch: str, *, stream_id: str | None, max_bytes: int, max_entries: int
    ) -> None:
        self.response_id = response_id
        self.epoch = epoch
        self.stream_id = stream_id
        self.floor = self.tip = 0
        self.sealed = False
        self.milestone = -1
        self.abridged: Abridged | None = None
        self.newest_delta: bytes | None = None
        self._entries: list[Entry] = []
        self._delta: Event | None = None  # the last event, if it is one
        self._form: bytes | None = None  # of which `extend` makes entries, once it was called after this event
        self._shared = SharedTexts()
        self._num_bytes = 0
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._grammar = Grammar()
        self.restarted_at: int | None = None
        self.earlier: Mapping[str, int] = {}
        self.comes_again = self.left = self.ended = False
        self.failure: WireError | None = None
        self.num_unseen = 0
        self._unseen: list[Entry] | None = None  # None: nothing is withheld

    @property
    def next_number(self) -> int:
        """The number of the next event that is appended."""
        return self.tip + self.num_unseen

    @property
    def num_bytes(self) -> int:
        """The bytes held."""
        return self._num_bytes + self._shared.num_bytes

    def append(self, event: Event) -> bytes:
        """Stamp, encode, check and keep one event, and return it as bytes. Raises GrammarError, and then the log has
        not changed.
        """
        entry = self._stamp(event, self.next_number)  # before the grammar moves on: it may fail as well
        self._grammar.accept(event)
        self._keep(entry, event)
        return entry

    def extend(self, text: str) -> bytes:
        """Append the last event, a delta, once more with this text, as `append` would: the same bytes, and as legal as
        before. Only text and number are encoded. Raises ValueError when the last event is not a delta.
        """
        form = self._form
        if form is None:
            form = self._form = _form_of(self._delta)
        number = self.tip
        entry = form % (encode(text), number)
        if not text.isascii():
            entry = escape_line_ends(entry)
        self._entries.append(entry)
        self.newest_delta = entry
        self.tip = number + 1
        self._num_bytes = num_bytes = self._num_bytes + len(entry)
        if num_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._trim()
        return entry

    def append_last(self, terminal: Event) -> bytes:
        """End the log with this terminal event even where the grammar does not allow one: the last resort of a broken
        producer, because a log without an end is worse than an item without one. Also for the events before it in a log
        that was restored.
        """
        entry = self._stamp(terminal, self.next_number)
        self._grammar.abandon()
        self._keep(entry, terminal)
        return entry

    def restore(self, entries: Sequence[bytes], tip: int) -> None:
        """Take over the entries of a log that broke off, up to the number `tip`; there may be none before that. The
        grammar does not know what comes next: only `append_last` is allowed.
        """
        self._entries, self.floor = list(entries), tip - len(entries)
        self.tip, self.milestone = tip, tip - 1
        self._num_bytes = sum(map(len, entries))
        self._grammar.abandon()
        if self._num_bytes > self._max_bytes or len(entries) > self._max_entries:
            self._trim()

    def withhold(self) -> None:
        """Show readers nothing of what is appended from now on. The terminal event must be among it."""
        self._unseen = []

    def show(self) -> None:
        """Show readers what was withheld."""
        unseen, self._unseen, self.num_unseen = self._unseen, None, 0
        if unseen:
            self._entries += unseen
            self.tip += len(unseen)
            self.sealed, self.milestone = True, self.tip - 1

    def fail(self, error: WireError) -> None:
        """End the log early for its readers: they get no more entries, and are told why."""
        if error.response_id is None:
            error.response_id = self.response_id
        self.failure = error
        self.floor, self.abridged, self.newest_delta = self.tip + 1, None, None

    def stored(self) -> StoredLog:
        """Return the log as values, once it has ended: with what is withheld."""
        assert self.ended
        return StoredLog(
            self.response_id, self.epoch, self.floor, (*self._entries, *(self._unseen or ())), self.abridged,
            restarted_at=self.restarted_at, earlier=self.earlier,
        )  # fmt: skip

    def _stamp(self, event: Event, number: int) -> bytes:
        event.sequence_number = number
        event.response_id = self.response_id
        if self.stream_id is not None:
            event.stream_id = self.stream_id
        if type(event) in _DELTAS:
            encode_into(event, _buffer)
            entry = bytes(_buffer)
        else:
            event.done = type(event) in _TERMINALS
            entry = encode(event)
        return entry if entry.isascii() else escape_line_ends(entry)  # most are, and that is the fastest test

    def _keep(self, entry: bytes, event: Event) -> None:
        kept: Entry = entry
        size = len(entry)
        is_delta = type(event) in _DELTAS
        if not is_delta:
            self.ended = event.done
            if size >= _LONG:
                kept = self._shared.share(entry, getattr(event, "response", None))
                size = own_bytes(kept)
        self._delta = self._form = self.newest_delta = None
        if self._unseen is not None:
            self._unseen.append(kept)
            self.num_unseen += 1
        else:
            self._entries.append(kept)
            self.tip += 1
            if is_delta:
                self._delta, self.newest_delta = event, entry
            else:
                self.sealed = event.done
                self.milestone = event.sequence_number
        self._num_bytes += size
        if self._num_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._trim()

    def read(self, start: int, max_events: int) -> list[bytes]:
        """Return entries from number `start` on, at most `max_events`; none at the tip. Raises BelowFloor."""
        index = start - self.floor
        if index < 0 or self.failure is not None:
            raise BelowFloor(self.floor, self.failure)
        entries = self._entries[index : index + max_events]
        return list(map(whole, entries)) if self._shared.num_bytes else entries  # type: ignore[return-value]

    def _trim(self) -> None:
        """Drop what must go from the front, and some more, down to at most three quarters of the bounds: amortised O(1)
        per append.
        """
        drop, num_bytes, num_entries = 0, self._num_bytes, len(self._entries)
        max_bytes, max_entries = self._max_bytes, self._max_entries
        while drop < num_entries - 1:
            if num_bytes <= max_bytes and num_entries - drop <= max_entries:  # the rest is for the next appends
                enough = num_bytes <= max_bytes * 3 // 4 and num_entries - drop <= max_entries * 3 // 4
                if enough or drop >= _MAX_DROPPED:
                    break
            num_bytes -= own_bytes(self._entries[drop])
            drop += 1
        if self.abridged is None:
            self.abridged = Abridged()
        self.abridged.add(self._entries[:drop])
        del self._entries[:drop]
        self.floor += drop
        self._num_bytes = num_bytes


def _form_of(event: Event | None) -> bytes:
    """Return a delta as a form with places for its number and for its text. It was stamped."""
    if not isinstance(event, Delta):
        raise ValueError("the last event is not a delta")
    event = msgspec.structs.replace(event, sequence_number=0, delta="")
    if isinstance(event, OutputTextDelta):
        event.logprobs = []
    entry = escape_line_ends(encode(event)).replace(b"%", b"%%")
    head, text, rest = entry.partition(b'"delta":""')  # in a string the quotes would be escaped
    middle, number, tail = rest.partition(b'"sequence_number":0')
    assert text
    assert number
    return b'%b"delta":%%b%b"sequence_number":%%d%b' % (head, middle, tail)
