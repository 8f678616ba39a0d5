"""The scheduler: which response may run next. Tenants get fair shares of tokens, by class, within the engine's room.
Pure.

The service offers every response to the scheduler before it reaches the engine, and reports when a response is over.
The parts of the scheduler are in `scheduling`; this module tells them what happens. Tickets of one group (the responses
of one conversation) run one after another, in order of arrival. Limits and weights are read for each decision, so that
a change takes effect at the next one.

After each call the caller asks `next_deadline`, calls `handle_deadline` at that time, and asks `to_put_aside` for the
responses that are to make room for others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.runs.usage import UNUSED, Used
from realtime.settings.tenants import UNLIMITED, TenantLimits
from realtime.store.cluster.membership import TenantPlaces, tenant_digest

from .scheduling.accounts import Accounts, Prices
from .scheduling.allowances import Allowance, Allowances
from .scheduling.elsewhere import Elsewhere
from .scheduling.groups import Groups
from .scheduling.limits import Limits
from .scheduling.making_room import MakingRoom
from .scheduling.others import MAX_TENANTS, Others
from .scheduling.places import LOOK_SECONDS, Place, Places
from .scheduling.put_aside import AsideRules, PutAside
from .scheduling.refusals import Full, GroupFull, RateLimited, TenantFull
from .scheduling.room import Holding
from .scheduling.running import Running
from .scheduling.tickets import Ticket
from .scheduling.turns import Turns
from .scheduling.waiting import Waiting
from .tenant_share import TenantShare, everything

__all__ = [
    "LOOK_SECONDS", "AsideRules", "Due", "Full", "GroupFull", "Place", "Prices", "RateLimited", "Scheduler",
    "TenantFull", "Ticket", "Used",
]  # fmt: skip


class Due(NamedTuple):
    """The result of a deadline: the tickets that may run from now on, and those that have waited too long."""

    admitted: list[str]
    expired: list[str]


class Scheduler:
    """The scheduler of one server. `now` is any monotonic clock in seconds.

    tenant_share: the part of the places that one tenant may have. limits_of: a tenant's other limits. used: what a
    running response has used so far; None: nothing is known of it. capacity: what the engine can hold. may_put_aside:
    whether a running response can be put aside now.
    """

    def __init__(
        self,
        *,
        max_running: int,
        max_waiting: int,
        max_waiting_in_group: int = 64,
        tenant_share: TenantShare = everything,
        limits_of: Callable[[str], TenantLimits] = lambda tenant: UNLIMITED,
        used: Callable[[str], Used | None] = lambda response_id: None,
        capacity: Callable[[], Capacity] = Capacity,
        prices: Prices | None = None,
        aside_rules: AsideRules | None = None,
        may_put_aside: Callable[[str], bool] = lambda response_id: False,
    ) -> None:
        self._limits = Limits(max_running, max_waiting, max_waiting_in_group, tenant_share, limits_of, capacity)
        self._accounts = Accounts(prices or Prices(), limits_of)
        self.elsewhere = Elsewhere(self._accounts)
        self._groups = Groups()
        self._waiting = Waiting(self._accounts)
        self._running = Running(self._accounts, self._limits, used)
        self._aside = PutAside(aside_rules or AsideRules(), may_put_aside)
        self._turns = Turns(self._waiting, self._aside, self._groups, self._accounts, self._limits)
        self._making_room = MakingRoom(self._turns, self._aside, self.served)
        self._places = Places(self._waiting, self._accounts, self._limits)
        self._now = -math.inf  # of the newest call

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def waiting_by_class(self) -> dict[ServiceClass, int]:
        """Return how many wait in each class, including those that are put aside."""
        return {one: self._waiting.num_by[one] for one in ServiceClass}

    def served(self, tenant: str) -> float:
        """Return the service that a tenant has had, weighted, and lifted after each pause."""
        return self._accounts.tenants[tenant]

    # -- what happens

    def offer(self, ticket: Ticket, now: float, *, accepted: bool = False) -> bool:
        """Offer a response. Return True if it runs now; False if it waits until `finish` or a deadline names it.
        `accepted`: it has had a place before. Raises Full.
        """
        self._settle(now)
        means, allowances = self._accounts.means, self._accounts.allowances
        num_before = self._groups.size(ticket.group)
        if num_before > self._limits.max_waiting_in_group and not accepted:
            raise GroupFull(max(1.0, math.ceil(means.seconds * num_before)))
        limits = self._limits.of(ticket.tenant)
        wait = allowances.wait(ticket.tenant, limits, ticket.num_input, now)
        if wait > 0 and not accepted:
            raise RateLimited(max(1.0, math.ceil(wait)))
        self._groups.join(ticket)
        # In a group the ones before it come first. Who else waits waits for its group, its share, or for room.
        runs = self._enter(ticket, now, may_run=not num_before)
        if not runs and not accepted:
            try:
                self._check_queue(ticket.tenant)
            except Full:
                self._waiting.remove(ticket.response_id)
                self._groups.leave(ticket.response_id)
                raise
        if not accepted:
            allowances.take_request(ticket.tenant, limits, now)
        return runs

    def finish(self, response_id: str, now: float, used: Used | None = None) -> list[str]:
        """Note that a response is over, or gave up waiting. Return the ids that may run now. `used`: by it, in all."""
        self._now = now
        self._waiting.remove(response_id)
        if self._waiting.tickets:  # else nothing is decided, and the next decision charges what was used until then
            self._running.settle(now)
        over, seconds = self._running.remove(response_id), 0.0
        if over is not None:
            seconds = over.seconds(now)
        elif (over := self._aside.take(response_id, now)) is not None:
            seconds = over.ran
        if over is not None:
            self._accounts.pay(over, used or over.used or UNUSED, now)
            self._accounts.close(over, seconds, self._limits.capacity().kv_tokens)
        self._groups.leave(response_id)
        return self._fill(now)

    def to_put_aside(self, now: float) -> list[str]:
        """Name the responses to put aside for interactive ones. `was_put_aside` or `finish` follows for each."""
        num_waiting = self._waiting.num_by.get(ServiceClass.INTERACTIVE, 0)
        return [one.ticket.response_id for one in self._making_room.choose(self._running, num_waiting, now)]

    def was_put_aside(self, response_id: str, now: float) -> list[str]:
        """Note that the engine has aborted one that was named: it waits from now on. Return the ids that may
        run now.
        """
        self._settle(now)
        one = self._running.remove(response_id)
        assert one is not None, "it was named because it runs, and has not been finished"
        kept = self._aside.add(one, now)
        self._accounts.leave_cached(one, (response_id, *one.ticket.leaves), self._limits.capacity().kv_tokens)
        self._waiting.add(kept, one.number)
        return self._fill(now)

    def next_deadline(self, now: float) -> float | None:
        """Return when `handle_deadline` is due; None: not before something happens."""
        if not self._waiting.tickets:
            return None
        expiry = self._waiting.next_expiry()
        return now + LOOK_SECONDS if expiry is None else min(now + LOOK_SECONDS, expiry)

    def handle_deadline(self, now: float, read: Iterable[str] = ()) -> Due:
        """Find the responses that may run, and those that have waited too long. The latter wait until `finish` is
        called for them. `read`: responses whose prompts the engine has read since the last call.
        """
        self._settle(now)
        for response_id in read:
            self._running.look_at(response_id, now)
        admitted = self._fill(now)
        return Due(admitted, self._waiting.overdue(now))

    # -- what is asked

    def position(self, response_id: str) -> int | None:
        """Return how many are likely to run before it; None when it does not wait."""
        place = self.place(response_id, self._now)
        return None if place is None else place.num_ahead

    def place(self, response_id: str, now: float) -> Place | None:
        """Its place in the queue; None when it does not wait."""
        place = self._places.of(response_id, self._running.values(), now)
        return Place(0, 0.0) if place is not None and response_id in self._making_room.promised else place

    def is_put_aside(self, response_id: str) -> bool:
        """Return whether it was put aside and has not continued yet."""
        return response_id in self._aside

    @property
    def others(self) -> Others:
        """Return what is known of the places that tenants have on other nodes."""
        return self._limits.others

    def places_taken(self, now: float) -> list[TenantPlaces]:
        """Return the places that tenants have here whose number of places is limited; no more than the others hear."""
        occupancy, found = self._running.occupancy(now), list[TenantPlaces]()
        for tenant in {one.ticket.tenant for one in self._running.values()} | self._waiting.lines.keys():
            limits = self._limits.of(tenant)
            if limits.max_running is not None or limits.max_waiting is not None:
                waited = self._turns.waited(tenant, occupancy, now)
                num_waiting = self._num_waiting_of(tenant)
                found.append(TenantPlaces(tenant_digest(tenant), occupancy.num_of(tenant), num_waiting, waited))
        return sorted(found, key=lambda one: one.num_running + one.num_waiting, reverse=True)[:MAX_TENANTS]

    @property
    def minutes(self) -> Allowances:
        """Return the usage per minute of all tenants."""
        return self._accounts.allowances

    def allowances(self, tenant: str, now: float) -> list[Allowance]:
        """Return what is left of a tenant's limits per minute."""
        return self._accounts.allowances.show(tenant, self._limits.of(tenant), now)

    # -- how

    def _fill(self, now: float) -> list[str]:
        admitted: list[str] = []
        if not self._waiting.tickets:  # nothing is to be decided, so what runs needs no look
            return admitted
        while (chosen := self._turns.next(self._running.occupancy(now), now)) is not None:
            self._admit(chosen, now)
            admitted.append(chosen.response_id)
        return admitted

    def _enter(self, ticket: Ticket, now: float, *, may_run: bool) -> bool:
        """Let a newcomer run, if it may and it is its turn at once. Return whether it runs; else it waits."""
        occupancy = self._running.occupancy(now)
        if may_run and not self._waiting.tickets and self._turns.may_begin(ticket, occupancy, now):
            self._begin(ticket, self._waiting.pass_by(ticket), now)
            return True
        self._waiting.add(ticket)
        if not may_run or self._turns.next(occupancy, now) is not ticket:
            return False
        self._admit(ticket, now)
        return True

    def _admit(self, ticket: Ticket, now: float) -> None:
        number = self._waiting.take(ticket, self._groups.busy)
        one = self._aside.take(ticket.response_id, now)
        if one is None:
            self._begin(ticket, number, now)
        else:
            self._running.add(one, now)

    def _begin(self, ticket: Ticket, number: int, now: float) -> None:
        one = Holding(ticket, now, number=number)
        self._accounts.open(one, now)
        self._groups.run(ticket)
        self._running.add(one, now)

    def _settle(self, now: float) -> None:
        """Charge what has been used since the last decision."""
        self._now = now
        self._running.settle(now)

    def _check_queue(self, tenant: str) -> None:
        """Refuse one more waiting response if the queue is full. It has been counted already."""
        self._limits.check_queue(
            tenant,
            num_waiting=len(self._waiting) - len(self._aside),
            num_waiting_of=self._num_waiting_of(tenant),
            num_running_of=self._running.num_of(tenant),
            retry_after=self._retry_after,
        )

    def _num_waiting_of(self, tenant: str) -> int:
        return self._waiting.num_of(tenant) - self._aside.num_of(tenant)

    def _retry_after(self, num_slots: int) -> float:
        """Estimate when a place in the queue is free: the queue moves one place every mean/slots seconds."""
        return max(1.0, math.ceil(self._accounts.means.seconds / num_slots))
