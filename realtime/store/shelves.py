"""The lists of a store in memory: its entries, on one shelf for each property that can be asked for, oldest first.
Pure.

The work for a page is bounded, however many entries there are. An entry that leaves a shelf is struck out, and cleared
away later, many at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")

MAX_LOOKED_AT = 1000  # for one page
_MIN_STRUCK = 64  # that have left a shelf, before they are cleared away


class Place(msgspec.Struct, frozen=True, order=True):
    """The place of an entry in every list that it is in. `begun_at`: unix nanoseconds, made unique."""

    begun_at: int
    id: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted part of a list: at most `limit` entries after the place `after`, in this order."""

    after: Place | None = None
    limit: int
    newest_first: bool = True

    def holds(self, place: Place) -> bool:
        """Return whether a place is after `after`."""
        return self.after is None or (place < self.after if self.newest_first else place > self.after)

    def page(self, found: Mapping[Place, T], looked_until: Place | None) -> tuple[list[T], Place | None]:
        """Return the page of these entries, and the place after which the next one begins. `looked_until`: the last
        place that was looked at, if there may be more after it.
        """
        places, more = sorted(found, reverse=self.newest_first), looked_until
        if looked_until is not None:
            places = [one for one in places if (one >= looked_until if self.newest_first else one <= looked_until)]
        if len(places) > self.limit:
            places, more = places[: self.limit], places[self.limit - 1]
        return [found[place] for place in places], more


class _Shelf:
    __slots__ = ("places", "struck")

    def __init__(self) -> None:
        self.places: list[Place] = []  # in order; also of some that have left
        self.struck: set[Place] = set()  # those


class Shelves:
    """The lists of a store in memory."""

    def __init__(self) -> None:
        self._shelves: dict[Hashable, _Shelf] = {}

    def __len__(self) -> int:
        return len(self._shelves)

    def put(self, place: Place, keys: Iterable[Hashable]) -> None:
        """Put an entry on these shelves. It is on none of them yet."""
        for key in keys:
            shelf = self._shelves.setdefault(key, _Shelf())
            if place in shelf.struck:
                shelf.struck.remove(place)
            else:
                insort(shelf.places, place)

    def take(self, place: Place, keys: Iterable[Hashable]) -> None:
        """Take an entry from these shelves. It is on all of them."""
        for key in keys:
            shelf = self._shelves[key]
            shelf.struck.add(place)
            if len(shelf.struck) == len(shelf.places):
                del self._shelves[key]
            elif len(shelf.struck) > len(shelf.places) // 2 + _MIN_STRUCK:
                shelf.places = [one for one in shelf.places if one not in shelf.struck]
                shelf.struck.clear()

    def page(
        self, keys: Sequence[Hashable], span: Span, wanted: Callable[[Place], bool]
    ) -> tuple[list[Place], Place | None]:
        """Return the wanted places from the shortest of these shelves, and the last place that was examined if there
        may be more after it. Examines at most MAX_LOOKED_AT.
        """
        if not all(key in self._shelves for key in keys):
            return [], None
        shelf = min((self._shelves[key] for key in keys), key=lambda shelf: len(shelf.places))
        found: list[Place] = []
        near = _behind(shelf.places, span)
        for place in near:
            if place not in shelf.struck and wanted(place):
                found.append(place)
                if len(found) == span.limit:
                    return found, None if len(near) < MAX_LOOKED_AT and place is near[-1] else place
        return found, None if len(near) < MAX_LOOKED_AT else near[-1]


def _behind(places: Sequence[Place], span: Span) -> Sequence[Place]:
    """Return the next places to examine, in order."""
    after = span.after
    if span.newest_first:
        end = len(places) if after is None else bisect_left(places, after)
        return places[max(end - MAX_LOOKED_AT, 0) : end][::-1]
    start = 0 if after is None else bisect_right(places, after)
    return places[start : start + MAX_LOOKED_AT]
