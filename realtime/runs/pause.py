"""The pause of an answer that was put aside for others: the run's part of it.

The scheduler decides which answer is put aside, and when it continues (`service.scheduling.put_aside`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from realtime.engine.base import EngineDead, EngineOverloaded, Sampling
from realtime.observability.observer import Observer
from realtime.store.records import Begun

from .generation import Generation
from .going_on import GoingOn, is_exact
from .job import Job
from .life import Life, State
from .stop_signal import StopSignal

_MAX_TRIES = 10  # with an engine that has no room for one that was put aside
_TRY_SECONDS = 1.0


class Pause:
    """One response's pauses. was_put_aside: called when the engine has released it. `Run.admit` ends the wait."""

    def __init__(
        self, job: Job, life: Life, stopping: StopSignal, going_on: GoingOn, observer: Observer,
        was_put_aside: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._job = job
        self._life = life
        self._stopping = stopping
        self._going_on = going_on
        self._seconds = observer.service.aside_seconds
        self._was_put_aside = was_put_aside
        self._num_tries = _MAX_TRIES  # there is nothing to be tried again before a pause

    def allows(self, wishes: Sampling, *, has_pictures: bool) -> bool:
        """Return whether an answer with this sampling can continue as if it had never been put aside. One with pictures
        can't: an engine would have to be shown them again.
        """
        return self._job.generates and self._going_on.can_go_on and is_exact(wishes) and not has_pictures

    async def wait(self, generation: Generation[Any], begun: Begun) -> None:
        """Wait for its turn, and for an engine like the one that began it. Raises Ended."""
        self._life.enter(State.PUT_ASIDE)
        began_at, resumed = time.monotonic(), False
        self._num_tries = 0
        try:
            self._was_put_aside(self._job.response_id)
            while self._life.put_aside:
                await self._stopping.wait()
            self._stopping.check()
            await self._going_on.find_engine(EngineDead("it died while an answer was put aside"), begun)
            resumed = True
        finally:
            seconds = time.monotonic() - began_at
            self._seconds.observe(seconds, self._job.service_class.label)
            if resumed:
                generation.resume(seconds)
            else:
                generation.end_aside()

    async def try_later(self, overloaded: EngineOverloaded) -> None:
        """Wait before trying again on an engine that has no room for an answer that was put aside: its client expects
        the rest. Raises this error for any other answer, and after a while.
        """
        self._num_tries += 1
        if self._num_tries > _MAX_TRIES:
            raise overloaded
        await asyncio.sleep(_TRY_SECONDS)
