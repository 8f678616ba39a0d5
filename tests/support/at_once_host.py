"""A host without a thread, for tests and simulated schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from realtime.store.cluster.hosts import Work, checked

T = TypeVar("T")


class AtOnceHost:
    """A `Host`: work is done within the call. `run`: runs work to its end. `waits`: nothing is flushed before
    `Commits.flush` is called.
    """

    lives = False

    def __init__(self, run: Callable[[Work[Any]], Any], *, waits: bool = False) -> None:
        self._run = run
        self._waits = waits

    def start(self, work: Work[None]) -> None:
        """See Host."""
        self._run(work)

    async def ask(self, work: Work[T]) -> T:
        """See Host."""
        found: T = self._run(checked(work))
        return found

    def tell(self, call: Callable[[], None]) -> None:
        """See Host."""
        call()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See Host."""
        if not self._waits:
            call()

    def finish(self, work: Work[None], seconds: float) -> None:
        """See Host."""
        self._run(work)
