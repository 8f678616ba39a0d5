"""Who may run next: fair shares of tokens between tenants, by class, within what the engine can hold. Pure.

The service offers every response here before it reaches the engine and reports when one is over. Which tenant is next
is the word of its virtual token counter (`scheduling.counters`), and which class that of another one; within a tenant
it is first come, first served, but for what the prefix cache has. Tickets of one group (the responses of one
conversation) run one after another, in the order in which they came. Limits and weights are asked for with each
decision, so that a change counts from then on.

Whoever calls asks `next_deadline` afterwards, and calls `handle_deadline` when it has come.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.settings.tenants import UNLIMITED, TenantLimits

from .scheduling.allowances import Allowance, Allowances
from .scheduling.classes import SHARES
from .scheduling.counters import Counters
from .scheduling.forecast import Means, Runs, Waits, waits
from .scheduling.line import Line
from .scheduling.plan import plan
from .scheduling.prefixes import Prefixes
from .scheduling.room import Holding, Occupancy
from .scheduling.tickets import Ticket, Used
from .tenant_share import TenantShare, everything, places_of

__all__ = ["Due", "Full", "GroupFull", "Place", "Prices", "RateLimited", "Scheduler", "TenantFull", "Ticket", "Used"]

K = TypeVar("K")

LOOK_SECONDS = 1.0  # between two looks at what the engine can hold and at the limits, while something waits
_PLANNED_AT_ONCE = 64  # that wait, of which each new one is given a place in a plan of its own
_SECONDS_PER_PLANNED = 2e-4  # with more, a plan is kept for this long for each
_SETTLED_AT_ONCE = 16  # that run, of which each is charged what it has used before each decision
_SECONDS_PER_SETTLED = 2e-4  # with more, as long for each lies between two such looks: a bounded part of a core
_NOTHING = (0.0, 0)


class Full(Exception):
    """Neither a slot nor a place in the queue; `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class GroupFull(Full):
    """As many of this group wait as may."""


class TenantFull(Full):
    """The tenant has its share of the places; others may still be served."""


class RateLimited(Full):
    """The tenant has used up what it may take in a minute."""


class Prices(msgspec.Struct, frozen=True):
    """What a token costs its tenant: one of a prompt that is read, and one that is generated."""

    input: float = 1.0
    output: float = 2.0

    def of(self, used: Used) -> float:
        """The service that this is. What the cache had was not read."""
        return self.input * (used.num_input - used.num_cached) + self.output * used.num_output


class Place(NamedTuple):
    """A place in the queue: how many are likely to run before it, and after how many seconds it is; None: who knows."""

    num_ahead: int
    seconds: float | None


class Due(NamedTuple):
    """What has come of a deadline: those that may run from now on, and those that have waited long enough."""

    admitted: list[str]
    expired: list[str]


class Scheduler:
    """See the module. `now` is any monotonic clock in seconds.

    tenant_share: what of the places one tenant may have. limits_of: what else one may take. used: what a running
    response has used until now; None: nothing is known of it. capacity: what the engine can hold.
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
    ) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._max_waiting_in_group = max_waiting_in_group
        self._tenant_share = tenant_share
        self._limits_of = limits_of
        self._used = used
        self._capacity = capacity
        self._prices = prices or Prices()
        self._group_of: dict[str, str] = {}  # response id -> group, of those that have one
        self._sizes: Counter[str] = Counter()  # group -> how many run or wait
        self._busy: set[str] = set()  # groups of which one runs
        self._running: dict[str, Holding] = {}
        self._running_of: Counter[str] = Counter()  # tenant -> how many of it run
        self._waiting: dict[str, Ticket] = {}  # in the order in which they came
        self._lines: dict[str, Line] = {}  # tenant -> what waits of it; none is empty
        self._tenants: Counters[str] = Counters(lambda tenant: self._limits_of(tenant).weight)
        self._classes: Counters[ServiceClass] = Counters(SHARES.__getitem__)
        self._waiting_by: Counter[ServiceClass] = Counter()
        self.minutes = Allowances()
        self._prefixes = Prefixes()
        self._means = Means()
        self._occupancy = Occupancy(capacity, self._means)
        self._adds_up = True  # nothing has changed what the occupancy is made of
        self._settled_at = -math.inf
        self._number = 0  # of the newest that came
        self._now = -math.inf  # of the newest call
        self._places_of: dict[str, Place] = {}  # response id -> its place, as it was worked out last
        self._planned_at = -math.inf
        self._plan_holds = False  # nothing has come or gone since

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def waiting_by_class(self) -> dict[ServiceClass, int]:
        """How many wait of each."""
        return {one: self._waiting_by[one] for one in ServiceClass}

    def served(self, tenant: str) -> float:
        """The service that a tenant has had, by its weight, lifted after each pause."""
        return self._tenants[tenant]

    # -- what happens

    def offer(self, ticket: Ticket, now: float, *, accepted: bool = False) -> bool:
        """True: run now. False: queued, `finish` or a deadline will name it. `accepted`: it has had its place before.
        Raises Full.
        """
        self._settle(now)
        num_before = self._sizes[ticket.group] if ticket.group is not None else 0
        if num_before > self._max_waiting_in_group and not accepted:
            raise GroupFull(max(1.0, math.ceil(self._means.seconds * num_before)))
        limits = self._limits_of(ticket.tenant)
        wait = self.minutes.wait(ticket.tenant, limits, ticket.num_input, now)
        if wait > 0 and not accepted:
            raise RateLimited(max(1.0, math.ceil(wait)))
        if ticket.group is not None:
            self._group_of[ticket.response_id] = ticket.group
            self._sizes[ticket.group] += 1
        self._join(ticket)
        # In a group the ones before it come first. Who else waits waits for its group, its share, or for room.
        runs = not num_before and self._next(now) is ticket
        if runs:
            self._admit(ticket, now)
        elif not accepted:
            try:
                self._check_queue(ticket)
            except Full:
                self._stop_waiting(ticket.response_id)
                self._leave_group(ticket.response_id, was_running=False)
                raise
        if not accepted:
            self.minutes.take_request(ticket.tenant, limits, now)
        return runs

    def finish(self, response_id: str, now: float, used: Used | None = None) -> list[str]:
        """A response is over, or gave up waiting; returns the ids that may run from now on. `used`: by it, in all."""
        self._settle(now)
        self._stop_waiting(response_id)
        over = self._running.pop(response_id, None)
        if over is not None:
            self._occupancy.remove(over)
            _less(self._running_of, over.ticket.tenant)
            self._pay(over, used or over.used or Used(), now)
            self._note(over, now)
        self._leave_group(response_id, was_running=over is not None)
        return self._fill(now)

    def next_deadline(self, now: float) -> float | None:
        """When `handle_deadline` is to be called; None: not before something happens."""
        if not self._waiting:
            return None
        expiries = (one.expires_at for one in self._waiting.values() if one.expires_at is not None)
        return min((now + LOOK_SECONDS, *expiries))

    def handle_deadline(self, now: float, read: Iterable[str] = ()) -> Due:
        """Look who may run, and who has waited long enough: the latter wait on until `finish` is called for them.
        `read`: responses of which the engine has read a prompt since the last call.
        """
        self._settle(now)
        for response_id in read:
            self._update(response_id, now)
        expired = [one.response_id for one in self._waiting.values() if _has_expired(one, now)]
        return Due(self._fill(now), [name for name in expired if name in self._waiting])

    # -- what is asked

    def position(self, response_id: str) -> int | None:
        """How many are likely to run before it; None when it does not wait."""
        place = self.place(response_id, self._now)
        return None if place is None else place.num_ahead

    def place(self, response_id: str, now: float) -> Place | None:
        """Its place in the queue; None when it does not wait."""
        if response_id not in self._waiting:
            return None
        places = self._planned(now)
        if (found := places.get(response_id)) is not None:
            return found
        last = max(places.values())  # it has come since: the queue is as much longer
        longer = len(self._waiting) / len(places)
        return Place(len(self._waiting) - 1, None if last.seconds is None else last.seconds * longer)

    def allowances(self, tenant: str, now: float) -> list[Allowance]:
        """What is left of a tenant's minute."""
        return self.minutes.show(tenant, self._limits_of(tenant), now)

    # -- who is next

    def _next(self, now: float) -> Ticket | None:
        """The one whose turn it is; None if nobody may run now."""
        if len(self._running) >= self._places or not self._waiting:
            return None
        if not self._adds_up:
            self._occupancy.add_up(self._running.values(), now)
            self._adds_up = True
        heads = [(self._classes[one.service_class], one.service_class, self._tenants[one.tenant], number, one)
                 for number, one in self._heads()]  # fmt: skip
        if not heads:
            return None
        ticket = min(heads)[-1]
        return ticket if self._occupancy.fits(ticket) else None

    def _heads(self) -> Iterator[tuple[int, Ticket]]:
        """The next ones of each tenant that may have one more run."""
        share = self._tenant_share()
        for tenant, line in self._lines.items():
            if self._running_of[tenant] >= self._most_of(tenant):
                continue
            for service_class in line.classes():
                place = line.first(service_class, self._busy)
                if place is not None and self._occupancy.tenant_may(place.ticket, share):
                    yield place

    def _fill(self, now: float) -> list[str]:
        admitted = []
        while (chosen := self._next(now)) is not None:
            self._admit(chosen, now)
            admitted.append(chosen.response_id)
        return admitted

    @property
    def _places(self) -> int:
        most = self._capacity().max_requests
        return min(self._max_running, most) if most else self._max_running

    def _most_of(self, tenant: str) -> int:
        """How many of a tenant may run at once."""
        own = self._limits_of(tenant).max_running
        share = places_of(self._tenant_share(), self._places)
        return share if own is None else min(share, own)

    def _is_warm(self, ticket: Ticket) -> bool:
        return self._prefixes.any_of(ticket.prefixes)

    # -- who pays

    def _settle(self, now: float) -> None:
        """Charge what has been used since the last decision; of many that run since a moment ago."""
        self._now = now
        num_more = len(self._running) - _SETTLED_AT_ONCE
        if num_more > 0 and now - self._settled_at < num_more * _SECONDS_PER_SETTLED:
            return
        self._settled_at, self._adds_up = now, num_more > 0 and self._adds_up
        owed: dict[tuple[str, ServiceClass], tuple[float, int]] = {}
        for response_id, one in self._running.items():
            used = self._used(response_id)
            if used is None or used == one.used:
                if one.num_reading and self._adds_up:
                    self._occupancy.update(one, now)  # it may be busy elsewhere
                continue
            whose = one.ticket.tenant, one.ticket.service_class
            service, num_tokens = owed.get(whose, _NOTHING)
            more_service, more_tokens = self._take_in(one, used, now)
            owed[whose] = service + more_service, num_tokens + more_tokens
            if self._adds_up:
                self._occupancy.update(one, now)
        for (tenant, service_class), (service, num_tokens) in owed.items():
            self._charge(tenant, service_class, service, num_tokens, now)

    def _update(self, response_id: str, now: float) -> None:
        """Charge what one has used since it was looked at, and count what it holds now."""
        one, used = self._running.get(response_id), self._used(response_id)
        if one is not None and used is not None and used != one.used:
            self._pay(one, used, now)
            self._occupancy.update(one, now)

    def _pay(self, one: Holding, used: Used, now: float) -> None:
        """Charge what one has used until now."""
        service, num_tokens = self._take_in(one, used, now)
        self._charge(one.ticket.tenant, one.ticket.service_class, service, num_tokens, now)

    def _take_in(self, one: Holding, used: Used, now: float) -> tuple[float, int]:
        """Note what one has used until now, and return what of it has not been charged: service, and tokens."""
        if used.num_output and (one.used is None or not one.used.num_output):
            self._means.note_read(used.num_input - used.num_cached, now - one.at)
        service, num_tokens = self._prices.of(used), used.num_input + used.num_output
        owed = service - one.paid, num_tokens - one.counted
        one.used, one.paid, one.counted = used, service, num_tokens
        return owed

    def _charge(self, tenant: str, service_class: ServiceClass, service: float, num_tokens: int, now: float) -> None:
        self._tenants.charge(tenant, service)
        self._classes.charge(service_class, service)
        self.minutes.take_tokens(tenant, self._limits_of(tenant), num_tokens, now)

    def _note(self, over: Holding, now: float) -> None:
        """Learn from one that is over."""
        used = over.used or Used()
        self._means.note(over.ticket.tenant, now - over.at, used)
        if len(self._running) <= _SETTLED_AT_ONCE:
            self._adds_up = False
        if used.num_output:
            self._prefixes.note(over.ticket.leaves, used.num_input + used.num_output, self._capacity().kv_tokens)

    # -- who waits

    def _check_queue(self, ticket: Ticket) -> None:
        """Refuse one more that waits if there is no place for it. It has been counted."""
        is_full = len(self._waiting) > self._max_waiting
        share, own = self._tenant_share(), self._limits_of(ticket.tenant).max_waiting
        num_waiting, most = len(self._lines[ticket.tenant]), self._most_of(ticket.tenant)
        has_slot = self._running_of[ticket.tenant] < most
        has_place = num_waiting <= places_of(share, self._max_waiting)
        if own is not None and num_waiting > own:
            raise TenantFull(self._retry_after(most))
        if share < 1 and (not has_place or (is_full and not has_slot)):
            raise TenantFull(self._retry_after(most))
        if is_full:
            raise Full(self._retry_after(self._places))

    def _join(self, ticket: Ticket) -> None:
        self._number += 1
        self._plan_holds = False
        self._waiting[ticket.response_id] = ticket
        self._tenants.join(ticket.tenant)
        self._classes.join(ticket.service_class)
        self._waiting_by[ticket.service_class] += 1
        self._lines.setdefault(ticket.tenant, Line(self._is_warm)).add(self._number, ticket)

    def _stop_waiting(self, response_id: str) -> None:
        ticket = self._waiting.get(response_id)
        if ticket is not None:
            self._lines[ticket.tenant].remove(ticket)
            self._left(ticket)

    def _left(self, ticket: Ticket) -> None:
        """A ticket has left its line."""
        self._plan_holds = False
        del self._waiting[ticket.response_id]
        if not self._lines[ticket.tenant]:
            del self._lines[ticket.tenant]
            self._tenants.leave(ticket.tenant)
        _less(self._waiting_by, ticket.service_class)
        if not self._waiting_by[ticket.service_class]:
            self._classes.leave(ticket.service_class)

    def _admit(self, ticket: Ticket, now: float) -> None:
        self._lines[ticket.tenant].take(ticket, self._busy)
        self._left(ticket)
        self._running[ticket.response_id] = holding = Holding(ticket, now)
        self._occupancy.add(holding, now)
        self._running_of[ticket.tenant] += 1
        holding.paid, holding.counted = self._prices.input * self._num_new(ticket), ticket.num_input
        self._charge(ticket.tenant, ticket.service_class, holding.paid, holding.counted, now)
        if ticket.group is not None:
            self._busy.add(ticket.group)

    def _leave_group(self, response_id: str, *, was_running: bool) -> None:
        group = self._group_of.pop(response_id, None)
        if group is None:
            return
        _less(self._sizes, group)
        if was_running:
            self._busy.discard(group)

    # -- what they are told

    def _planned(self, now: float) -> dict[str, Place]:
        """The places of all that wait; those of a moment ago if it takes long to work them out."""
        age, kept = now - self._planned_at, max(0, len(self._waiting) - _PLANNED_AT_ONCE) * _SECONDS_PER_PLANNED
        if age >= LOOK_SECONDS or (age >= kept and not self._plan_holds):
            self._places_of, self._planned_at, self._plan_holds = self._new_plan(now), now, True
        return self._places_of

    def _new_plan(self, now: float) -> dict[str, Place]:
        order = plan(self._lines, self._tenants, self._classes, self._cost_of)
        seconds: Sequence[float | None] = [None] * len(order)
        if self._means.known:
            running = [Runs(one.ticket.tenant, now - one.at) for one in self._running.values()]
            waiting = [Waits(ticket.tenant, self._num_new(ticket)) for ticket in order]
            most = {tenant: self._most_of(tenant) for tenant in self._lines}
            seconds = waits(waiting, running, self._places, most, self._means)
        places = map(Place, range(len(order)), seconds)
        return dict(zip((ticket.response_id for ticket in order), places, strict=True))

    def _cost_of(self, ticket: Ticket) -> float:
        """What a response is likely to cost."""
        output = self._means.output_of(ticket.tenant)
        if ticket.max_output is not None:
            output = min(output, ticket.max_output)
        return self._prices.input * self._num_new(ticket) + self._prices.output * output

    def _num_new(self, ticket: Ticket) -> float:
        """Tokens of its prompt that are likely to be read, and not to come from the cache."""
        return ticket.num_input * self._means.new_of(ticket.tenant)

    def _retry_after(self, num_slots: int) -> float:
        """When a place in the queue should be free: the queue moves one place each mean/slots seconds."""
        return max(1.0, math.ceil(self._means.seconds / num_slots))


def _has_expired(ticket: Ticket, now: float) -> bool:
    return ticket.expires_at is not None and ticket.expires_at <= now


def _less(counts: Counter[K], name: K) -> None:
    """One less, and no entry for none: names come and go."""
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
