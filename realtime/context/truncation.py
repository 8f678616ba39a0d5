"""A search for how much of a history fits, from its sizes and with few attempts. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class FewestLeftOut:
    """The search for the fewest of the oldest exchanges to leave out. It begins where `size` is kept, and doubles or
    halves that until it has found both too much and little enough: so nothing is attempted that is much larger than
    what fits.

    next: how many to leave out in the next attempt; None at the end.
    """

    def __init__(self, sizes: Sequence[int], size: int) -> None:
        """sizes: the sizes without the 0, 1, 2 ... oldest exchanges, in any unit."""
        self._sizes = sizes
        self._too_few = -1
        self._enough = len(sizes)
        self.next: int | None = self._down_to(size)

    def tell(self, *, fits: bool) -> None:
        """Report how the attempt went."""
        assert self.next is not None
        if fits:
            self._enough = self.next
        else:
            self._too_few = self.next
        self.next = self._choose()

    def _choose(self) -> int | None:
        few, enough = self._too_few, self._enough
        if enough - few <= 1:
            return None
        if few < 0:  # whatever was attempted fits
            return min(self._down_to(2 * self._sizes[enough]), enough - 1)
        if enough == len(self._sizes):  # nothing does
            return max(self._down_to(self._sizes[few] // 2), few + 1)
        return (few + enough) // 2

    def _down_to(self, size: int) -> int:
        """Return how many to leave out so that this size, or the least possible one, is left."""
        return min(bisect_left(self._sizes, -size, key=int.__neg__), len(self._sizes) - 1)
