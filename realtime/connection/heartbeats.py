"""The times of a connection's heartbeats. Pure."""

from __future__ import annotations

from . import refusals


class Heartbeats:
    """Heartbeats every `seconds`; 0: never. `wanted`: false for a client that does not understand them, for which none
    is ever due.
    """

    __slots__ = ("_wanted", "due_at", "seconds")

    def __init__(self, seconds: float, *, wanted: bool) -> None:
        self.seconds = seconds
        self.due_at: float | None = None
        self._wanted = wanted

    def schedule(self, now: float) -> None:
        """Schedule the next one an interval from now."""
        self.due_at = now + self.seconds if self._wanted and self.seconds > 0 else None

    def take(self, now: float) -> bool:
        """Return whether one is due, and schedule the next one if so."""
        if self.due_at is None or now < self.due_at:
            return False
        self.schedule(now)
        return True

    def stop(self) -> None:
        """Stop: the socket is gone."""
        self.due_at = None


def check_interval(seconds: float | None) -> None:
    """Check an interval; None is no request. Raises WireError for one that is too short."""
    if seconds is not None and 0 < seconds < 1:
        raise refusals.heartbeat_interval()
