"""The line of one tenant's waiting tickets: by class, in order of arrival, but cached prefixes go first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from realtime.runs.job import ServiceClass

from .tickets import Ticket

MAX_PASSED = 8  # continuations that may pass a cold prompt of their own tenant


class _Place(NamedTuple):
    number: int  # grows with each that comes, of all tenants
    ticket: Ticket


class Line:
    """One tenant's line. `is_warm`: whether the prefix that a ticket continues is likely to be cached."""

    def __init__(self, is_warm: Callable[[Ticket], bool]) -> None:
        self._is_warm = is_warm
        self._places: dict[ServiceClass, dict[str, _Place]] = {}
        self._continuing: dict[ServiceClass, dict[str, _Place]] = {}  # of these, those that may be warm
        self._passed: dict[str, int] = {}  # response id -> how many have passed it

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def classes(self) -> Iterator[ServiceClass]:
        """Yield the classes in which a ticket waits."""
        return iter(self._places)

    def add(self, number: int, ticket: Ticket) -> None:
        """Add a ticket, behind those of its class with a smaller number."""
        place = _Place(number, ticket)
        _insert(self._places, place)
        if ticket.prefixes:
            _insert(self._continuing, place)

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket that waits no longer."""
        _take_out(self._places, ticket)
        if ticket.prefixes:
            _take_out(self._continuing, ticket)
        self._passed.pop(ticket.response_id, None)

    def first(
        self, service_class: ServiceClass, busy: Container[str], but: Container[str] = frozenset()
    ) -> _Place | None:
        """Return the next ticket of a class. `busy`: groups in which one runs. `but`: responses to skip."""

        def may_run(place: _Place) -> bool:
            ticket = place.ticket
            return ticket.response_id not in but and (ticket.group is None or ticket.group not in busy)

        oldest = next(filter(may_run, self._places.get(service_class, {}).values()), None)
        if oldest is None or self._passed.get(oldest.ticket.response_id, 0) >= MAX_PASSED:
            return oldest
        continuing = self._continuing.get(service_class, {}).values()
        return next((place for place in continuing if may_run(place) and self._is_warm(place.ticket)), oldest)

    def take(self, ticket: Ticket, busy: Container[str]) -> int:
        """Take a ticket that runs, and note that it passed earlier ones that could have run. Return its number."""
        number = self._places[ticket.service_class][ticket.response_id].number
        for place in self._places[ticket.service_class].values():
            if place.ticket is ticket:
                break
            if place.ticket.group is None or place.ticket.group not in busy:
                self._passed[place.ticket.response_id] = self._passed.get(place.ticket.response_id, 0) + 1
        self.remove(ticket)
        return number

    def planned(self, service_class: ServiceClass) -> list[_Place]:
        """Return all tickets of a class, in the order in which they are likely to run."""
        places = self._places.get(service_class, {}).values()
        return sorted(places, key=lambda place: (not self._is_warm(place.ticket), place.number))


def _insert(lines: dict[ServiceClass, dict[str, _Place]], place: _Place) -> None:
    """Insert a place behind those of its class with a smaller number."""
    service_class = place.ticket.service_class
    places = lines.setdefault(service_class, {})
    is_last = not places or next(reversed(places.values())).number < place.number
    places[place.ticket.response_id] = place
    if not is_last:  # it has waited before
        lines[service_class] = dict(sorted(places.items(), key=lambda one: one[1].number))


def _take_out(lines: dict[ServiceClass, dict[str, _Place]], ticket: Ticket) -> None:
    """Remove a ticket from its class, and with the last one the class."""
    places = lines[ticket.service_class]
    del places[ticket.response_id]
    if not places:
        del lines[ticket.service_class]
