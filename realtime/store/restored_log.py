"""The log of a response whose process ended while it ran: it has what was stored, and continues after that. Pure.

A run that makes the response again makes the same events again, from the first one on. They are compared with the
stored ones to the byte, and the events after those are new. So the log itself shows whether everything that it was made
from is unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from realtime.wire.events import Event
from realtime.wire.grammar import Grammar

from .event_log import EventLog


class Diverged(Exception):
    """An error: the events that were made again differ from the stored ones, from this number on. The log has not
    changed.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"event {number} is another one than it was")
        self.number = number


class RestoredLog(EventLog):
    """The log of a restored response. `stored_tip`: the number after what was stored. `replayed`: how many events were
    made again.
    """

    __slots__ = ("_past", "replayed", "stored_tip")

    def __init__(
        self, response_id: str, epoch: str, entries: Sequence[bytes], *, stream_id: str | None, max_bytes: int,
        max_entries: int,
    ) -> None:  # fmt: skip
        """entries: all stored ones, from number 0 on."""
        super().__init__(response_id, epoch, stream_id=stream_id, max_bytes=max_bytes, max_entries=max_entries)
        self.restore(entries, len(entries))
        self._grammar = Grammar()
        self._past: Sequence[bytes] = entries
        self.stored_tip = len(entries)
        self.replayed = 0

    @property
    def caught_up(self) -> bool:
        """Return whether all stored events have been made again."""
        return self.replayed >= self.stored_tip

    def append(self, event: Event) -> bytes:
        """See EventLog. Raises Diverged as well."""
        number = self.replayed
        if number >= self.stored_tip:
            return super().append(event)
        entry = self._stamp(event, number)
        if entry != self._past[number]:
            raise Diverged(number)
        self._grammar.accept(event)
        self.replayed += 1
        if self.caught_up:
            self._past = ()
        return entry
