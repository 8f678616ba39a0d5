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
        self._passed: dict[str, int] = {}  # response id -> how many have passed it

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def classes(self) -> Iterator[ServiceClass]:
        """Yield the classes in which a ticket waits."""
        return iter(self._places)

    def add(self, number: int, ticket: Ticket) -> None:
        """Add a ticket, behind those of its class with a smaller number."""
        places = self._places.setdefault(ticket.service_class, {})
        is_last = not places or next(reversed(places.values())).number < number
        places[ticket.response_id] = _Place(number, ticket)
        if not is_last:  # it has waited before
            self._places[ticket.service_class] = dict(sorted(places.items(), key=lambda one: one[1].number))

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket that waits no longer."""
        places = self._places[ticket.service_class]
        del places[ticket.response_id]
        self._passed.pop(ticket.response_id, None)
        if not places:
            del self._places[ticket.service_class]

    def first(
        self, service_class: ServiceClass, busy: Container[str], but: Container[str] = frozenset()
    ) -> _Place | None:
        """Return the next ticket of a class. `busy`: groups in which one runs. `but`: responses to skip."""
        oldest: _Place | None = None
        for place in self._places.get(service_class, {}).values():
            if place.ticket.response_id in but or (place.ticket.group is not None and place.ticket.group in busy):
                continue
            if oldest is None:
                oldest = place
                if self._passed.get(place.ticket.response_id, 0) >= MAX_PASSED:
                    return place
            if self._is_warm(place.ticket):
                return place
        return oldest

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
        """Yield all tickets of a class, in the order in which they are likely to run."""
        places = self._places.get(service_class, {}).values()
        return sorted(places, key=lambda place: (not self._is_warm(place.ticket), place.number))
