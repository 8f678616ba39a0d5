"""The signal that a response is to end early, and a way for its task to wait without missing it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from .endings import Ended, Failed, Steered, Stop


class StopSignal:
    """One response's signal. `stop`: the request; None while the response may run on. `steering`: a successor waits for
    a safe point to take over at.
    """

    def __init__(self) -> None:
        self.stop: Stop | Failed | None = None
        self.steering = False
        self._woken = asyncio.Event()  # something that the task waits for has happened
        self._task: asyncio.Task[object] | None = None  # to be interrupted
        self._interrupted = False

    @property
    def stopped(self) -> bool:
        """Return whether a stop was requested."""
        return self.stop is not None

    def ask(self, stop: Stop | Failed) -> None:
        """Request the end. The first request wins, but a cancel or interrupt overrides a steer."""
        if self.stop is None or isinstance(self.stop, Steered):
            self.stop = stop
            self.wake()
        if self._task is not None and not self._interrupted:  # once: what it does then must not be interrupted as well
            self._interrupted = True
            self._task.cancel()

    def check(self) -> None:
        """Raise Ended if the response is to end."""
        if self.stop is not None:
            raise Ended(self.stop)

    def wake(self) -> None:
        """Wake the task: what it waits for has happened."""
        self._woken.set()

    async def wait(self) -> None:
        """Wait for `wake`, or for a request to end."""
        await self._woken.wait()
        self._woken.clear()

    @asynccontextmanager
    async def interrupts(self) -> AsyncIterator[None]:
        """Let a request to end interrupt the body: whatever it awaits is cancelled, and Ended is raised. Code that
        waits need not know of stops, and code that cleans up does so as for any cancellation. Raises Ended.
        """
        self.check()
        task = asyncio.current_task()
        assert task is not None
        self._task, cancelling = task, task.cancelling()
        try:
            yield
            await self._take_interruption()
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
        except Exception:
            if not self._interrupted:
                raise
            await self._take_interruption()  # and the error is nobody's
        finally:
            self._task = None
        if self._interrupted:
            if task.uncancel() > cancelling:  # somebody else has cancelled the task as well
                raise asyncio.CancelledError
            self.check()

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Keep a request to end from interrupting the body. Call `check` afterwards."""
        task, self._task = self._task, None
        try:
            yield
        finally:
            self._task = task

    async def _take_interruption(self) -> None:
        """Take a cancellation that was requested in the task's own step now, and not later."""
        if self._interrupted:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
