"""Patience: how often something failed in a row, when to retry it, and when to give up. Pure."""

from __future__ import annotations

import random

from .policy import Policy


class Patience:
    """The failures of one thing: the socket of a client, or the request of one response."""

    __slots__ = ("_attempts", "_until", "retry_at", "troubled_since")

    def __init__(self) -> None:
        self.retry_at = 0.0  # not earlier
        self.troubled_since: float | None = None  # failures, and no progress since
        self._attempts = 0
        self._until = 0.0  # go on at least so long

    def failed(self, now: float, retry_after: float | None, policy: Policy, rng: random.Random) -> bool:
        """Count a failure and set `retry_at`. Return whether waiting for that is still worthwhile."""
        if self.troubled_since is None:
            self.troubled_since = now
        self.retry_at = now + policy.delay_seconds(self._attempts, retry_after, rng)
        self._attempts += 1
        return self.retry_at <= max(self.troubled_since + policy.max_retry_seconds, self._until)

    def last_until(self, until: float) -> None:
        """Don't give up before this time."""
        self._until = max(self._until, until)

    def progress(self) -> None:
        """Count from zero again."""
        self._attempts = 0
        self._until = 0.0
        self.troubled_since = None
