"""Catching up with merged deltas: for how long a reader that asked for it gets runs of deltas as one. Pure."""

from __future__ import annotations

from realtime.store.event_log import Log
from realtime.store.merging import Merger

FAR = 64  # events behind the tip; from there on everything up to the tip is merged
_MAX_BLOCKS = 64  # of what a log has abridged, at a time


class CatchUp:
    """One reader's progress. Deltas are merged up to the number `until`, then passed on as they come, until the reader
    is far behind again. So the data that waits for it is never much more than its text, however slow it is.
    """

    __slots__ = ("_merger", "_until")

    def __init__(self, until: int) -> None:
        self._merger = Merger()
        self._until = until

    @property
    def held(self) -> int | None:
        """The number of the first entry that was taken and has not come out yet."""
        return self._merger.held

    def take(self, entries: list[bytes], first: int, tip: int) -> list[bytes]:
        """Pass on the entries that were read from number `first` on, of a log up to `tip`."""
        if tip - first > FAR:
            self._until = tip
        num_merged = self._until - first
        if num_merged <= 0:
            return entries
        out = self._merger.put(entries[:num_merged])
        if num_merged <= len(entries):
            out += self._merger.flush()
            out += entries[num_merged:]
        return out

    def take_abridged(self, log: Log, first: int) -> tuple[list[bytes], int]:
        """Read below the floor of a log: return the abridged events, and the number to continue from."""
        assert log.abridged is not None
        entries, behind = log.abridged.read(first, _MAX_BLOCKS)
        self._until = log.tip
        return self._merger.put(entries), behind
