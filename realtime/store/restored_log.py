"""The log of a response whose process ended while it ran: it has what was stored, and goes on behind that. Pure.

Whoever makes the response again makes the same events again from the first one on: they are compared with what is there
to the byte, and what comes behind them is new. So the log itself shows whether all that it was made of is as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from realtime.wire.events import Event
from realtime.wire.grammar import Grammar

from .event_log import EventLog


class Diverged(Exception):
    """What was made again is not what is there, from this number on. The log has not changed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"event {number} is another one than it was")
        self.number = number


class RestoredLog(EventLog):
    """See the module. `stored_tip`: the number behind what was stored. `replayed`: how many events were made again."""

    __slots__ = ("_past", "replayed", "stored_tip")

    def __init__(
        self, response_id: str, epoch: str, entries: Sequence[bytes], *, stream_id: str | None, max_bytes: int,
        max_entries: int,
    ) -> None:  # fmt: skip
        """entries: all that were stored, from number 0 on."""
        super().__init__(response_id, epoch, stream_id=stream_id, max_bytes=max_bytes, max_entries=max_entries)
        self.restore(entries, len(entries))
        self._grammar = Grammar()
        self._past: Sequence[bytes] = entries
        self.stored_tip = len(entries)
        self.replayed = 0

    @property
    def caught_up(self) -> bool:
        """Return whether all that was stored has been made again."""
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
