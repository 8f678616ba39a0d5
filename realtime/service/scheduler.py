"""Who may run next: a bound on running and on waiting responses, first come first served. Pure.

The service offers every response here before it reaches the engine and reports when one is over. Tickets carry the
tenant and a priority already, so that fair queueing can replace the order in `_next` without a change elsewhere.
Tickets of one group (the responses of one conversation) run one after another, in the order in which they came.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict

import msgspec

_SMOOTHING = 0.2  # weight of the newest duration in the running mean


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One response that wants to run."""

    response_id: str
    tenant: str
    priority: int = 0
    group: str | None = None  # of those with the same one, one runs at a time


class Full(Exception):
    """Neither a slot nor a place in the queue; `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class GroupFull(Full):
    """As many of this group wait as may."""


class Scheduler:
    """Admission. `now` is any monotonic clock in seconds."""

    def __init__(self, *, max_running: int, max_waiting: int, max_waiting_in_group: int = 64) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._max_waiting_in_group = max_waiting_in_group
        self._group_of: dict[str, str] = {}  # response id -> group, of those that have one
        self._sizes: Counter[str] = Counter()  # group -> how many run or wait
        self._busy: set[str] = set()  # groups of which one runs
        self._running: dict[str, float] = {}  # response id -> when it was admitted
        self._waiting: OrderedDict[str, Ticket] = OrderedDict()
        self._mean_seconds = 1.0

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def offer(self, ticket: Ticket, now: float) -> bool:
        """True: run now. False: queued, `finish` will name it. Raises Full."""
        num_before = self._sizes[ticket.group] if ticket.group is not None else 0
        if num_before > self._max_waiting_in_group:
            raise GroupFull(max(1.0, math.ceil(self._mean_seconds * num_before)))
        runs = len(self._running) < self._max_running and not num_before  # then whoever waits waits for its group
        if not runs and len(self._waiting) >= self._max_waiting:
            raise Full(self._retry_after())
        if ticket.group is not None:
            self._group_of[ticket.response_id] = ticket.group
            self._sizes[ticket.group] += 1
        if runs:
            self._admit(ticket, now)
        else:
            self._waiting[ticket.response_id] = ticket
        return runs

    def finish(self, response_id: str, now: float) -> list[str]:
        """A response is over, or gave up waiting; returns the ids that may run from now on."""
        self._waiting.pop(response_id, None)
        admitted_at = self._running.pop(response_id, None)
        if admitted_at is not None:
            self._mean_seconds += _SMOOTHING * (now - admitted_at - self._mean_seconds)
        self._leave_group(response_id, was_running=admitted_at is not None)
        admitted = []
        while len(self._running) < self._max_running and (chosen := self._next()) is not None:
            del self._waiting[chosen.response_id]
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
        """The one that has waited longest of those whose group is free."""
        return next((ticket for ticket in self._waiting.values() if ticket.group not in self._busy), None)

    def _admit(self, ticket: Ticket, now: float) -> None:
        self._running[ticket.response_id] = now
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

    def _retry_after(self) -> float:
        """When a place in the queue should be free: the queue moves one place each mean/slots seconds."""
        return max(1.0, math.ceil(self._mean_seconds / self._max_running))
