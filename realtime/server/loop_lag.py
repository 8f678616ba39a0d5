"""How late the event loop is: everything that this process sends waits for it."""

from __future__ import annotations

import asyncio

from realtime.observability.instruments import Distribution

_INTERVAL_SECONDS = 0.1


class LoopLag:
    """Has itself called at fixed times, from `start` to `stop`, and notes by how much it was missed."""

    def __init__(self, seconds: Distribution) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        due = self._loop.time() + _INTERVAL_SECONDS
        self._timer = self._loop.call_at(due, self._look, due)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due: float) -> None:
        self._seconds.observe(max(0.0, self._loop.time() - due))
        self.start()
