"""The signal that a response is to end before its own end, and how its task waits without missing it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .endings import Ended, Steered, Stop

T = TypeVar("T")


class StopSignal:
    """One response's signal. `stop`: what was asked for; None while the response may go on. `steering`: a successor
    waits for a safe point to take over at.
    """

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self.steering = False
        self._woken = asyncio.Event()  # something that the task waits for has happened

    @property
    def stopped(self) -> bool:
        """Whether somebody wants the response to end."""
        return self.stop is not None

    def ask(self, stop: Stop) -> None:
        """Request the end. The first request wins, but a cancel or interrupt overrides a steer."""
        if self.stop is None or isinstance(self.stop, Steered):
            self.stop = stop
            self.wake()

    def check(self) -> None:
        """Raise Ended if the response is to end."""
        if self.stop is not None:
            raise Ended(self.stop)

    def wake(self) -> None:
        """Wake the task: something that it waits for has happened."""
        self._woken.set()

    async def wait(self) -> None:
        """Wait for `wake`, or for a request to end."""
        await self._woken.wait()
        self._woken.clear()

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of the work, or None when the response is to end; then the work has been cancelled."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self.wake())
        try:
            while not task.done() and not self.stopped:
                await self.wait()
        finally:
            task.cancel()  # nothing happens if it is done
            await asyncio.wait({task})
        if task.cancelled():
            return None
        failed = task.exception()  # asked for also when nobody wants it, or asyncio complains
        if self.stopped:
            return None
        if failed is not None:
            raise failed
        return task.result()
