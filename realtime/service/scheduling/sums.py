"""Sums that several nodes add to, by name, by which they exchange usage. Pure.

A node reports its usage since the last exchange, and takes the other nodes' usage from the sums. It never reports less
than nothing: usage that is given back is held until more has come. So a sum that is smaller than before has begun
again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

_FORGET_AFTER = 120  # exchanges in which nothing was had here: then nobody asks for what others have
_MAX_NAMES = 4096  # in one exchange; those that were quiet for longest are left out


class Sums:
    """One node's view of the sums. `counts_first`: the value of a sum when a name is first asked for is recent usage,
    and counts; otherwise counting begins there.
    """

    def __init__(self, *, counts_first: bool) -> None:
        self._counts_first = counts_first
        self._untold: dict[str, float] = {}
        self._quiet: dict[str, int] = {}  # exchanges since something was had here
        self._seen: dict[str, int] = {}  # the sums, as of the last exchange

    def to_tell(self, had: Mapping[str, float], also: Collection[str] = ()) -> dict[str, int]:
        """Return what to add to the sums. `had`: here, since the last call. `also`: names to ask for in any case."""
        for name, number in had.items():
            self._untold[name] = self._untold.get(name, 0.0) + number
        self._quiet = {name: number + 1 for name, number in self._quiet.items() if number < _FORGET_AFTER}
        self._quiet.update(dict.fromkeys((*had, *also), 0))
        if len(self._quiet) > _MAX_NAMES:
            busiest = sorted(self._quiet, key=self._quiet.__getitem__)[:_MAX_NAMES]
            self._quiet = {name: self._quiet[name] for name in busiest}
        self._untold = {name: number for name, number in self._untold.items() if name in self._quiet}
        return {name: max(0, math.floor(self._untold.get(name, 0.0))) for name in self._quiet}

    def take(self, told: Mapping[str, int], sums: Mapping[str, int]) -> dict[str, int]:
        """Return what was had elsewhere since the last exchange. `told`: what this one added to these sums."""
        found = {}
        for name, total in sums.items():
            if told[name]:
                self._untold[name] -= told[name]
            before, others = self._seen.get(name), total - told[name]
            if before is None:
                others = others if self._counts_first else 0
            elif others >= before:  # else it has begun again
                others -= before
            if others > 0:
                found[name] = others
        self._seen = dict(sums)
        return found
