"""The running responses: what they have used, and what they hold. Pure.

While few run, all of them are examined before each decision. With more, they are examined less often, so that this
takes a bounded part of a core; a response that starts or ends in between is counted by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, ValuesView

from realtime.runs.usage import Used

from .accounts import Accounts
from .limits import Limits
from .room import Holding, Occupancy

_SETTLED_AT_ONCE = 4  # of which each is charged what it has used before each decision
_SECONDS_PER_SETTLED = 1e-3  # with more, as long for each lies between two such looks


class Running:
    """The running responses. used_by: what a running response has used so far; None: nothing is known of it."""

    def __init__(self, accounts: Accounts, limits: Limits, used_by: Callable[[str], Used | None]) -> None:
        self._accounts = accounts
        self._used_by = used_by
        self._holdings: dict[str, Holding] = {}
        self._occupancy = Occupancy(limits.capacity, accounts.means)
        self._adds_up = True  # nothing has changed what the occupancy is made of
        self._settled_at = -math.inf

    def __len__(self) -> int:
        return len(self._holdings)

    def values(self) -> ValuesView[Holding]:
        """Return them all."""
        return self._holdings.values()

    def occupancy(self, now: float) -> Occupancy:
        """Return what they hold together."""
        if not self._adds_up:
            self._occupancy.add_up(self._holdings.values(), now)
            self._adds_up = True
        return self._occupancy

    def num_of(self, tenant: str) -> int:
        """Return how many of a tenant's responses run."""
        return self._occupancy.num_of(tenant)

    def add(self, one: Holding, now: float) -> None:
        """Add a response."""
        self._holdings[one.ticket.response_id] = one
        self._occupancy.add(one, now)

    def remove(self, response_id: str) -> Holding | None:
        """Remove a response; None: it did not run."""
        one = self._holdings.pop(response_id, None)
        if one is not None:
            self._occupancy.remove(one)
            if len(self._holdings) <= _SETTLED_AT_ONCE:
                self._adds_up = False
        return one

    def settle(self, now: float) -> None:
        """Charge usage since the last look, unless many run and the last look was a moment ago."""
        num_more = len(self._holdings) - _SETTLED_AT_ONCE
        if num_more > 0 and now - self._settled_at < num_more * _SECONDS_PER_SETTLED:
            return
        self._settled_at, self._adds_up = now, num_more > 0 and self._adds_up
        changed = self._accounts.settle(self._holdings.values(), self._used_by, now)
        if self._adds_up:
            for one in changed:
                self._occupancy.update(one, now)
            for one in self._holdings.values():
                if one.num_reading:  # it may be busy elsewhere
                    self._occupancy.update(one, now)

    def look_at(self, response_id: str, now: float) -> None:
        """Charge one response's usage since the last look, and update what it holds."""
        one, used = self._holdings.get(response_id), self._used_by(response_id)
        if one is not None and used is not None and used != one.used:
            self._accounts.pay(one, used, now)
            self._occupancy.update(one, now)
