"""The lag of the event loop: everything that this process sends waits for it."""

from __future__ import annotations

import asyncio
import time

from realtime.observability.instruments import Distribution

_INTERVAL_SECONDS = 0.1


class LoopLag:
    """Has itself called at fixed times, from `start` to `stop`, and notes by how much it was missed."""

    def __init__(self, seconds: Distribution) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = time.monotonic()  # the loop's own clock stands still for a turn of it
        self._latest = 0.0

    def start(self) -> None:
        """Begin."""
        self._due = time.monotonic() + _INTERVAL_SECONDS
        self._timer = self._loop.call_later(_INTERVAL_SECONDS, self._look)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def seconds(self) -> float:
        """By how much the loop was late when it was looked at last, or is now, if that is more."""
        return max(self._latest, time.monotonic() - self._due)

    def _look(self) -> None:
        self._latest = max(0.0, time.monotonic() - self._due)
        self._seconds.observe(self._latest)
        self.start()
