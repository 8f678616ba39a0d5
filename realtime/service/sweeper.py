"""The sweeper: makes the store of responses drop what has expired, even while nobody uses the store."""

from __future__ import annotations

import logging
from collections.abc import Callable

from realtime.runs.audience import CallLater, Timer

from .timers import call_later

MIN_SECONDS = 1.0  # between a look and the next: what expires in between goes together
RETRY_SECONDS = 10.0

logger = logging.getLogger("realtime.service")


class Sweeper:
    """One timer, for the earliest known expiry. Times are the store's, in unix seconds."""

    def __init__(
        self,
        sweep: Callable[[float], float | None],
        clock: Callable[[], float],
        call_later: CallLater = call_later,
    ) -> None:
        """sweep: see ResponseStore."""
        self._sweep = sweep
        self._clock = clock
        self._call_later = call_later
        self._timer: Timer | None = None
        self._due_at = 0.0  # what the timer is for
        self._stopped = False

    def expect(self, expires_at: float) -> None:
        """Note that something expires then."""
        if self._stopped or (self._timer is not None and self._due_at <= expires_at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_at = expires_at
        self._timer = self._call_later(max(expires_at - self._clock(), MIN_SECONDS), self._look)

    def stop(self) -> None:
        """Stop the timer for good."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = self._clock()
        try:
            due_at = self._sweep(now)
        except Exception:  # a store that can't write: what has expired is not given out in the meantime
            logger.exception("responses not swept")
            due_at = now + RETRY_SECONDS
        if due_at is not None:
            self.expect(due_at)
