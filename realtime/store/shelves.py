"""The lists of a store in memory: what it holds, on one shelf for each thing that is asked for, oldest first. Pure.

A page costs what is looked at for it, which is bounded, however much there is. What leaves a shelf is struck out later,
many at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence

import msgspec

MAX_LOOKED_AT = 1000  # for one page
_MIN_STRUCK = 64  # that have left a shelf, before they are cleared away


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something stands in every list that it is in. `begun_at`: unix nanoseconds, made unique."""

    begun_at: int
    id: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is wanted: at most `limit` entries behind the place `after`, in this order."""

    after: Place | None = None
    limit: int
    newest_first: bool = True

    def holds(self, place: Place) -> bool:
        """Whether a place is behind `after`."""
        return self.after is None or (place < self.after if self.newest_first else place > self.after)


class _Shelf:
    __slots__ = ("num_held", "places")

    def __init__(self) -> None:
        self.places: list[Place] = []  # in order; also of some that have left
        self.num_held = 0


class Shelves:
    """`holds` says whether what was put at a place is still there."""

    def __init__(self, holds: Callable[[Place], bool]) -> None:
        self._holds = holds
        self._shelves: dict[Hashable, _Shelf] = {}

    def __len__(self) -> int:
        return len(self._shelves)

    def put(self, place: Place, keys: Iterable[Hashable]) -> None:
        """Put something on these shelves. It is on none of them."""
        for key in keys:
            shelf = self._shelves.setdefault(key, _Shelf())
            index = bisect_left(shelf.places, place)
            if index == len(shelf.places) or shelf.places[index] != place:  # else it had left and comes back
                shelf.places.insert(index, place)
            shelf.num_held += 1

    def take(self, keys: Iterable[Hashable]) -> None:
        """Note that something has left these shelves; it is not held any more."""
        for key in keys:
            shelf = self._shelves[key]
            shelf.num_held -= 1
            if not shelf.num_held:
                del self._shelves[key]
            elif len(shelf.places) > 2 * shelf.num_held + _MIN_STRUCK:
                shelf.places = [place for place in shelf.places if self._holds(place)]

    def page(
        self, keys: Sequence[Hashable], span: Span, wanted: Callable[[Place], bool]
    ) -> tuple[list[Place], Place | None]:
        """Return the places that are wanted from the shortest of these shelves, and the last one that was looked at if
        there may be more behind it. Not more than MAX_LOOKED_AT are looked at.
        """
        shelves = [self._shelves.get(key) for key in keys]
        if None in shelves:
            return [], None
        places = min((shelf.places for shelf in shelves if shelf is not None), key=len)
        found: list[Place] = []
        near = _behind(places, span)
        for place in near:
            if self._holds(place) and wanted(place):
                found.append(place)
                if len(found) == span.limit:
                    return found, None if len(near) < MAX_LOOKED_AT and place is near[-1] else place
        return found, None if len(near) < MAX_LOOKED_AT else near[-1]


def _behind(places: Sequence[Place], span: Span) -> Sequence[Place]:
    """Return the next places to look at, in order."""
    after = span.after
    if span.newest_first:
        end = len(places) if after is None else bisect_left(places, after)
        return places[max(end - MAX_LOOKED_AT, 0) : end][::-1]
    start = 0 if after is None else bisect_right(places, after)
    return places[start : start + MAX_LOOKED_AT]
