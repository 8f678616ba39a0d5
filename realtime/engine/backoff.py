"""Backoff: the wait before something is tried again. Pure."""

from __future__ import annotations

import msgspec


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """The waits between starts in a row that each follow a death or a failure."""

    first_seconds: float = 0.5
    factor: float = 2.0
    max_seconds: float = 30.0
    jitter: float = 0.2  # up to this share more, so that many servers don't start in step
    healthy_seconds: float = 60.0  # an engine that served this long begins a new row

    def seconds(self, attempt: int) -> float:
        """The wait before attempt 0, 1, 2 ..., without jitter."""
        return min(self.max_seconds, self.first_seconds * self.factor ** min(attempt, 64))
