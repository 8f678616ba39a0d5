"""Pressure: the share of its time that the event loop needs for the engine's steps, which decides when to write less
often. Pure.

A write costs as much as the rest of a token's way together. So in a server that can't keep up the write is what can be
done less often: two steps in one write need half of the writes. Until then every step is written at once.
"""

from __future__ import annotations

MAX_HOLD_SECONDS = 0.020  # after which what was held is written, whatever the pressure
BUSY = 0.9  # of the time between two steps: from here on their work takes longer than they do
EASED = 0.4  # below what is left of BUSY without most of the writes; so that holding does not end itself
MEMORY_SECONDS = 0.1  # a single slow step is not pressure


class Pressure:
    """A measure of how long the work of each step takes, in seconds of any clock that does not go back."""

    __slots__ = ("_before", "gap", "high", "share")

    def __init__(self) -> None:
        self.share = 0.0  # of its time that goes to steps, of late: 0..1
        self.high = False
        self.gap = float("inf")  # seconds from one step to the next, of late
        self._before: tuple[float, float] | None = None  # the beginning and the end of the step before

    def observe(self, began: float, ended: float) -> None:
        """Note the work of a step, from the first thing that it woke to the last write."""
        if self._before is not None and began > self._before[0]:
            gap = began - self._before[0]
            busy = min(1.0, (self._before[1] - self._before[0]) / gap)
            self.gap = gap if self.gap == float("inf") else self.gap + (gap - self.gap) / 8
            self.share += (busy - self.share) * gap / (gap + MEMORY_SECONDS)
        self._before = began, ended
        self.high = self.share > (EASED if self.high else BUSY)


def may_hold(held_since: float | None, now: float, next_in: float, max_hold: float = MAX_HOLD_SECONDS) -> bool:
    """Decide, under pressure, whether a write that may wait is held for one more step; it has been held since then. It
    is held if another step comes in time, in `next_in` seconds: waiting for none would save no write.
    """
    return now + next_in <= (now if held_since is None else held_since) + max_hold
