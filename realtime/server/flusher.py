"""When a door writes: at most once per tick of the event loop, however often it is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Flusher:
    """Calls `flush` when the loop has done what it is doing. Woken by logs that have grown and by transports that have
    drained, so `wake` is on the path of every token.
    """

    __slots__ = ("_flush", "_loop", "_scheduled")

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush: Callable[[], None] | None = flush  # None: never again
        self._loop = asyncio.get_running_loop()
        self._scheduled = False

    def wake(self) -> None:
        """There may be something to write."""
        if not self._scheduled and self._flush is not None:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def stop(self) -> None:
        """Never flush again, and let go of who does."""
        self._flush = None

    def _run(self) -> None:
        self._scheduled = False
        if self._flush is not None:
            self._flush()
