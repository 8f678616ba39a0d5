"""When a connection's next heartbeat is due. Pure."""

from __future__ import annotations

from . import refusals


class Heartbeats:
    """Every `seconds`, 0: never. `wanted` is false for a client that does not understand them: none is ever due."""

    __slots__ = ("_wanted", "due_at", "seconds")

    def __init__(self, seconds: float, *, wanted: bool) -> None:
        self.seconds = seconds
        self.due_at: float | None = None
        self._wanted = wanted

    def schedule(self, now: float) -> None:
        """The next one comes an interval from now."""
        self.due_at = now + self.seconds if self._wanted and self.seconds > 0 else None

    def take(self, now: float) -> bool:
        """Return whether one is due; then the next one is scheduled."""
        if self.due_at is None or now < self.due_at:
            return False
        self.schedule(now)
        return True

    def stop(self) -> None:
        """The socket is gone."""
        self.due_at = None


def check_interval(seconds: float | None) -> None:
    """Raises WireError for an interval that is too short to be asked for; None asks for nothing."""
    if seconds is not None and 0 < seconds < 1:
        raise refusals.heartbeat_interval()
