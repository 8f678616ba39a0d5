"""Whether a response is to end before its own end, and why; and how its task waits without missing that."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .endings import Steered, Stop

T = TypeVar("T")


class Stopping:
    """One response's. `stop`: what was asked for; None while it may go on."""

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self._signal = asyncio.Event()  # something that the task waits for has happened

    @property
    def stopped(self) -> bool:
        """Somebody wants it to end."""
        return self.stop is not None

    def ask(self, stop: Stop) -> None:
        """Have it end. The first who asks counts; one that comes while a successor is about to take over means that as
        well.
        """
        if self.stop is None or isinstance(self.stop, Steered):
            self.stop = stop
            self.wake()

    def wake(self) -> None:
        """Something has happened."""
        self._signal.set()

    async def wait(self) -> None:
        """Until something has happened: `wake`, or a wish to end."""
        await self._signal.wait()
        self._signal.clear()

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of the work, or None when the response is to end; then the work has been cancelled."""
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
