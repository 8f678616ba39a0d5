"""Who may run next: a bound on running and on waiting responses, first come first served. Pure.

The service offers every response here before it reaches the engine and reports when one is over. One tenant has at
most its share of the running and of the waiting places, so some may stay free while it waits. Tickets of one group (the
responses of one conversation) run one after another, in the order in which they came.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from typing import NamedTuple

import msgspec

from .tenant_share import TenantShare, everything, places_of

_SMOOTHING = 0.2  # weight of the newest duration in the running mean


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One response that wants to run."""

    response_id: str
    tenant: str
    priority: int = 0
    group: str | None = None  # of those with the same one, one runs at a time


class _Admitted(NamedTuple):
    """One that runs, and since when."""

    tenant: str
    at: float


class Full(Exception):
    """Neither a slot nor a place in the queue; `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class GroupFull(Full):
    """As many of this group wait as may."""


class TenantFull(Full):
    """The tenant has its share of the places; others may still be served."""


class Scheduler:
    """Admission. `now` is any monotonic clock in seconds."""

    def __init__(
        self,
        *,
        max_running: int,
        max_waiting: int,
        max_waiting_in_group: int = 64,
        tenant_share: TenantShare = everything,
    ) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._max_waiting_in_group = max_waiting_in_group
        self._tenant_share = tenant_share
        self._group_of: dict[str, str] = {}  # response id -> group, of those that have one
        self._sizes: Counter[str] = Counter()  # group -> how many run or wait
        self._busy: set[str] = set()  # groups of which one runs
        self._running: dict[str, _Admitted] = {}
        self._running_of: Counter[str] = Counter()  # tenant -> how many of it run
        self._waiting_of: Counter[str] = Counter()  # ... wait
        self._waiting: OrderedDict[str, Ticket] = OrderedDict()
        self._mean_seconds = 1.0

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def offer(self, ticket: Ticket, now: float, *, accepted: bool = False) -> bool:
        """True: run now. False: queued, `finish` will name it. `accepted`: it has had its place before. Raises Full."""
        num_before = self._sizes[ticket.group] if ticket.group is not None else 0
        if num_before > self._max_waiting_in_group and not accepted:
            raise GroupFull(max(1.0, math.ceil(self._mean_seconds * num_before)))
        has_slot = self._has_slot(ticket.tenant)
        # In a group the ones before it come first. Who else waits waits for its group, or has its share.
        runs = len(self._running) < self._max_running and has_slot and not num_before
        if not runs and not accepted:
            self._check_queue(ticket.tenant, has_slot=has_slot)
        if ticket.group is not None:
            self._group_of[ticket.response_id] = ticket.group
            self._sizes[ticket.group] += 1
        if runs:
            self._admit(ticket, now)
        else:
            self._waiting[ticket.response_id] = ticket
            self._waiting_of[ticket.tenant] += 1
        return runs

    def finish(self, response_id: str, now: float) -> list[str]:
        """A response is over, or gave up waiting; returns the ids that may run from now on."""
        self._stop_waiting(response_id)
        over = self._running.pop(response_id, None)
        if over is not None:
            _less(self._running_of, over.tenant)
            self._mean_seconds += _SMOOTHING * (now - over.at - self._mean_seconds)
        self._leave_group(response_id, was_running=over is not None)
        admitted = []
        while len(self._running) < self._max_running and (chosen := self._next()) is not None:
            self._stop_waiting(chosen.response_id)
            self._admit(chosen, now)
            admitted.append(chosen.response_id)
        return admitted

    def position(self, response_id: str) -> int | None:
        """How many wait before it; None when it does not wait."""
        for index, waiting in enumerate(self._waiting):
            if waiting == response_id:
                return index
        return None

    def _next(self) -> Ticket | None:
        """The one that has waited longest of those whose group is free and whose tenant has not its share yet."""
        waiting, full = self._waiting.values(), self._tenants_with_their_share()
        return next((one for one in waiting if one.group not in self._busy and one.tenant not in full), None)

    def _tenants_with_their_share(self) -> set[str]:
        most = places_of(self._tenant_share(), self._max_running)
        return {tenant for tenant, count in self._running_of.items() if count >= most}

    def _has_slot(self, tenant: str) -> bool:
        return self._running_of[tenant] < places_of(self._tenant_share(), self._max_running)

    def _check_queue(self, tenant: str, *, has_slot: bool) -> None:
        """Refuse one more that waits if there is no place for it. `has_slot`: its tenant could have it run."""
        is_full = len(self._waiting) >= self._max_waiting
        share = self._tenant_share()
        has_place = self._waiting_of[tenant] < places_of(share, self._max_waiting)
        if share < 1 and (not has_place or (is_full and not has_slot)):
            raise TenantFull(self._retry_after(places_of(share, self._max_running)))
        if is_full:
            raise Full(self._retry_after(self._max_running))

    def _stop_waiting(self, response_id: str) -> None:
        ticket = self._waiting.pop(response_id, None)
        if ticket is not None:
            _less(self._waiting_of, ticket.tenant)

    def _admit(self, ticket: Ticket, now: float) -> None:
        self._running[ticket.response_id] = _Admitted(ticket.tenant, now)
        self._running_of[ticket.tenant] += 1
        if ticket.group is not None:
            self._busy.add(ticket.group)

    def _leave_group(self, response_id: str, *, was_running: bool) -> None:
        group = self._group_of.pop(response_id, None)
        if group is None:
            return
        self._sizes[group] -= 1
        if not self._sizes[group]:
            del self._sizes[group]
        if was_running:
            self._busy.discard(group)

    def _retry_after(self, num_slots: int) -> float:
        """When a place in the queue should be free: the queue moves one place each mean/slots seconds."""
        return max(1.0, math.ceil(self._mean_seconds / num_slots))


def _less(counts: Counter[str], name: str) -> None:
    """One less, and no entry for none: names come and go."""
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
