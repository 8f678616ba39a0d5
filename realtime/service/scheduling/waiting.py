"""The waiting tickets: a line for each tenant, and a count for each class. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection

from realtime.runs.job import ServiceClass

from .accounts import Accounts
from .line import Line
from .tickets import Ticket


class Waiting:
    """The waiting tickets. `tickets`: by response id. `lines`: by tenant; none is empty."""

    def __init__(self, accounts: Accounts) -> None:
        self.tickets: dict[str, Ticket] = {}
        self.lines: dict[str, Line] = {}
        self.num_by: Counter[ServiceClass] = Counter()
        self.changes = 0  # how often something has come or gone
        self._accounts = accounts
        self._number = 0  # of the newest that came
        self._expiries: list[tuple[float, str]] = []  # a heap; of some that have left as well
        self._overdue: dict[str, None] = {}  # that have waited long enough, the first of them first

    def __len__(self) -> int:
        return len(self.tickets)

    def num_of(self, tenant: str) -> int:
        """Return how many of a tenant's tickets wait."""
        line = self.lines.get(tenant)
        return 0 if line is None else len(line)

    def add(self, ticket: Ticket, number: int | None = None) -> None:
        """Add a ticket behind the others. `number`: the one that it had before; then it keeps its old position."""
        if number is None:
            self._number += 1
            number = self._number
        self.changes += 1
        self.tickets[ticket.response_id] = ticket
        self._accounts.tenants.join(ticket.tenant)
        self._accounts.classes.join(ticket.service_class)
        self.num_by[ticket.service_class] += 1
        self.lines.setdefault(ticket.tenant, Line(self._accounts.is_warm)).add(number, ticket)
        if ticket.expires_at is not None:
            heapq.heappush(self._expiries, (ticket.expires_at, ticket.response_id))

    def pass_by(self, ticket: Ticket) -> int:
        """Note a ticket that runs at once, while nobody waits: as if it had been added and taken. Return its number."""
        self._number += 1
        self.changes += 1
        self._accounts.tenants.pass_by(ticket.tenant)
        self._accounts.classes.pass_by(ticket.service_class)
        return self._number

    def take(self, ticket: Ticket, busy: Collection[str]) -> int:
        """Take a ticket that runs, and return its number. `busy`: groups in which one runs."""
        number = self.lines[ticket.tenant].take(ticket, busy)
        self._left(ticket)
        return number

    def remove(self, response_id: str) -> None:
        """Remove a ticket if it waits."""
        ticket = self.tickets.get(response_id)
        if ticket is not None:
            self.lines[ticket.tenant].remove(ticket)
            self._left(ticket)

    def overdue(self, now: float) -> list[str]:
        """Return the tickets that have waited long enough, until they leave."""
        while (expiry := self.next_expiry()) is not None and expiry <= now:
            self._overdue[heapq.heappop(self._expiries)[1]] = None
        return list(self._overdue)

    def next_expiry(self) -> float | None:
        """Return when the next ticket will have waited long enough."""
        while self._expiries:
            expires_at, response_id = self._expiries[0]
            ticket = self.tickets.get(response_id)
            if ticket is not None and ticket.expires_at == expires_at:  # what was put aside waits for ever
                return expires_at
            heapq.heappop(self._expiries)
        return None

    def _left(self, ticket: Ticket) -> None:
        """Note that a ticket has left its line."""
        self.changes += 1
        del self.tickets[ticket.response_id]
        self._overdue.pop(ticket.response_id, None)
        if not self.lines[ticket.tenant]:
            del self.lines[ticket.tenant]
            self._accounts.tenants.leave(ticket.tenant)
        self.num_by[ticket.service_class] -= 1
        if not self.num_by[ticket.service_class]:
            del self.num_by[ticket.service_class]
            self._accounts.classes.leave(ticket.service_class)
