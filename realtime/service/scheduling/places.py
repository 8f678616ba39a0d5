"""Places of the waiting responses: how many are likely to run before each, and how long that may take. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from .accounts import Accounts
from .forecast import Runs, Waits, waits
from .limits import Limits
from .plan import plan
from .room import Holding
from .waiting import Waiting

LOOK_SECONDS = 1.0  # that a place is told for at most, before it is worked out anew
_PLANNED_AT_ONCE = 16  # that wait or run, beside which each new one is given a place in a plan of its own
_SECONDS_PER_PLANNED = 2e-4  # with more, a plan is kept for this long for each


class Place(NamedTuple):
    """A place in the queue: how many are likely to run before it, and after how many seconds it runs; None: unknown."""

    num_ahead: int
    seconds: float | None


class Places:
    """The places of all waiting responses. They may be a moment old if it takes long to compute them."""

    def __init__(self, waiting: Waiting, accounts: Accounts, limits: Limits) -> None:
        self._waiting = waiting
        self._accounts = accounts
        self._limits = limits
        self._places: dict[str, Place] = {}  # by response id, as they were worked out last
        self._last = Place(0, None)  # of them, the one behind all others
        self._planned_at = -math.inf
        self._planned_of = -1  # the state of what waits then

    def of(self, response_id: str, running: Collection[Holding], now: float) -> Place | None:
        """Return its place in the queue; None: it does not wait."""
        if response_id not in self._waiting.tickets:
            return None
        places = self._planned(running, now)
        if (found := places.get(response_id)) is not None:
            return found
        last = self._last  # it has come since: the queue is as much longer
        longer = len(self._waiting) / len(places)
        return Place(len(self._waiting) - 1, None if last.seconds is None else last.seconds * longer)

    def _planned(self, running: Collection[Holding], now: float) -> dict[str, Place]:
        num_more = len(self._waiting) + len(running) - _PLANNED_AT_ONCE
        age, kept = now - self._planned_at, max(0, num_more) * _SECONDS_PER_PLANNED
        if age >= LOOK_SECONDS or (age >= kept and self._planned_of != self._waiting.changes):
            self._places = self._new_plan(running, now)
            self._last = next(reversed(self._places.values()))
            self._planned_at, self._planned_of = now, self._waiting.changes
        return self._places

    def _new_plan(self, running: Collection[Holding], now: float) -> dict[str, Place]:
        accounts, lines = self._accounts, self._waiting.lines
        order = plan(lines, accounts.tenants, accounts.classes, accounts.cost_of)
        seconds: Sequence[float | None] = [None] * len(order)
        if accounts.means.known:
            runs = [_runs(one, now) for one in running]
            following = [Waits(ticket.tenant, accounts.num_new(ticket), ticket.max_output) for ticket in order]
            most = {tenant: self._limits.likely_most_of(tenant) for tenant in lines}
            seconds = waits(following, runs, self._limits.places, most, accounts.means)
        places = map(Place, range(len(order)), seconds)
        return dict(zip((ticket.response_id for ticket in order), places, strict=True))


def _runs(one: Holding, now: float) -> Runs:
    num_output = one.used.num_output if one.used is not None else 0
    return Runs(one.ticket.tenant, one.seconds(now), num_output, one.ticket.max_output)
