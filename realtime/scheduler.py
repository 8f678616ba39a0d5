"""Who may run next: a bound on running and on waiting responses, first come first served. Pure.

The service offers every response here before it reaches the engine and reports when one is over. Tickets carry the
tenant and a priority already, so that fair queueing can replace the order in `_next` without a change elsewhere.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import msgspec

_SMOOTHING = 0.2  # weight of the newest duration in the running mean


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One response that wants to run."""

    response_id: str
    tenant: str
    priority: int = 0


class Full(Exception):
    """Neither a slot nor a place in the queue; `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class Scheduler:
    """Admission. `now` is any monotonic clock in seconds."""

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
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
        if len(self._running) < self._max_running and not self._waiting:
            self._running[ticket.response_id] = now
            return True
        if len(self._waiting) >= self._max_waiting:
            raise Full(self._retry_after())
        self._waiting[ticket.response_id] = ticket
        return False

    def finish(self, response_id: str, now: float) -> list[str]:
        """A response is over, or gave up waiting; returns the ids that may run from now on."""
        self._waiting.pop(response_id, None)
        admitted_at = self._running.pop(response_id, None)
        if admitted_at is not None:
            self._mean_seconds += _SMOOTHING * (now - admitted_at - self._mean_seconds)
        admitted = []
        while self._waiting and len(self._running) < self._max_running:
            chosen = self._next()
            self._running[chosen.response_id] = now
            admitted.append(chosen.response_id)
        return admitted

    def position(self, response_id: str) -> int | None:
        """How many wait before it; None when it does not wait."""
        for index, waiting in enumerate(self._waiting):
            if waiting == response_id:
                return index
        return None

    def _next(self) -> Ticket:
        return self._waiting.popitem(last=False)[1]

    def _retry_after(self) -> float:
        """When a place in the queue should be free: the queue moves one place each mean/slots seconds."""
        return max(1.0, math.ceil(self._mean_seconds / self._max_running))
