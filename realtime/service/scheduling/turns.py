"""Turns: the choice of the next response. Pure.

The virtual token counters choose first the class, then the tenant. Within a tenant it is first come, first served,
except that cached prefixes go first. A response that was put aside for long enough goes before all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from .accounts import Accounts
from .groups import Groups
from .limits import Limits
from .put_aside import PutAside
from .room import Occupancy
from .tickets import Ticket
from .waiting import Waiting


class Turns:
    """The choice of the next response. Only reads the other parts, and changes nothing."""

    def __init__(
        self, waiting: Waiting, aside: PutAside, groups: Groups, accounts: Accounts, limits: Limits
    ) -> None:  # fmt: skip
        self._waiting = waiting
        self._aside = aside
        self._groups = groups
        self._accounts = accounts
        self._limits = limits

    def next(self, occupancy: Occupancy, now: float, promised: Mapping[str, Ticket] | None = None) -> Ticket | None:
        """Return the ticket whose turn it is, given what runs; None if nobody may run now. `promised`: those that have
        got their turn already, and count as running.
        """
        promised = promised or {}
        if occupancy.num >= self._limits.places or len(self._waiting) <= len(promised):
            return None
        for response_id in self._aside.overdue(now):
            ticket = self._waiting.tickets[response_id]
            if response_id not in promised and self._may(ticket, occupancy, now):
                return ticket if occupancy.fits(ticket) else None
        tenants, classes = self._accounts.tenants, self._accounts.classes
        heads = [(classes[one.service_class], one.service_class, tenants[one.tenant], number, one)
                 for number, one in self._heads(occupancy, promised, now)]  # fmt: skip
        if not heads:
            return None
        ticket = min(heads)[-1]
        return ticket if occupancy.fits(ticket) else None

    def may_begin(self, ticket: Ticket, occupancy: Occupancy, now: float) -> bool:
        """Return whether a newcomer may run now, if nobody waits."""
        has_place = occupancy.num < self._limits.places
        return has_place and self._may(ticket, occupancy, now) and occupancy.fits(ticket)

    def waited(self, tenant: str, occupancy: Occupancy, now: float) -> float | None:
        """Return for how many seconds the first ticket of a tenant has waited for nothing but a place of that tenant.
        None: no ticket waits so.
        """
        line = self._waiting.lines.get(tenant)
        if line is None or occupancy.num >= self._limits.places:
            return None
        places = (line.first(service_class, self._groups.busy) for service_class in line.classes())
        found = [place.ticket for place in places if place is not None]
        ready = [one.asked_at for one in found if self._has_room(one, occupancy) and occupancy.fits(one)]
        return now - min(ready) if ready else None

    def _heads(
        self, occupancy: Occupancy, promised: Mapping[str, Ticket], now: float
    ) -> Iterator[tuple[int, Ticket]]:  # fmt: skip
        """Yield the next tickets of each tenant that may run one more."""
        busy: Collection[str] = self._groups.busy
        if promised:
            busy = {*busy, *(one.group for one in promised.values() if one.group is not None)}
        for tenant, line in self._waiting.lines.items():
            if occupancy.num_of(tenant) >= self._limits.most_of(tenant):
                continue
            for service_class in line.classes():
                place = line.first(service_class, busy, promised)
                if place is not None and self._may(place.ticket, occupancy, now):
                    yield place

    def _may(self, ticket: Ticket, occupancy: Occupancy, now: float) -> bool:
        """Return whether its own tenant may run it."""
        tenant = ticket.tenant
        has_slot = self._limits.may_run(tenant, occupancy.num_of(tenant), now - ticket.asked_at)
        return has_slot and self._has_room(ticket, occupancy)

    def _has_room(self, ticket: Ticket, occupancy: Occupancy) -> bool:
        return occupancy.tenant_may(ticket, self._limits.share)
