"""The signal that a response is to end early, and a way for its task to wait without missing it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .endings import Ended, Failed, Steered, Stop


class StopSignal:
    """One response's signal. `stop`: the request; None while the response may run on. `steering`: a successor waits for
    a safe point to take over at. `asked`: either of the two.
    """

    def __init__(self) -> None:
        self.stop: Stop | Failed | None = None
        self.steering = self.asked = False
        self._woken = False  # something that the task waits for has happened
        self._waiter: asyncio.Future[None] | None = None  # that the task awaits
        self._task: asyncio.Task[object] | None = None  # to be interrupted
        self._interrupted = False

    @property
    def stopped(self) -> bool:
        """Return whether a stop was requested."""
        return self.stop is not None

    def ask(self, stop: Stop | Failed) -> None:
        """Request the end. The first request wins, but a cancel or interrupt overrides a steer."""
        self.asked = True
        if self.stop is None or isinstance(self.stop, Steered):
            self.stop = stop
            self.wake()
        if self._task is not None and not self._interrupted:  # once: what it does then must not be interrupted as well
            self._interrupted = True
            self._task.cancel()

    def steer(self) -> None:
        """Have a successor wait for a safe point."""
        self.steering = self.asked = True

    def check(self) -> None:
        """Raise Ended if the response is to end."""
        if self.stop is not None:
            raise Ended(self.stop)

    def wake(self) -> None:
        """Wake the task: what it waits for has happened."""
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait for `wake`, or for a request to end."""
        if not self._woken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._woken = False

    def interrupts(self) -> _Interrupts:
        """Let a request to end interrupt the body: whatever it awaits is cancelled, and Ended is raised. Code that
        waits need not know of stops, and code that cleans up does so as for any cancellation. Raises Ended.
        """
        return _Interrupts(self)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Keep a request to end from interrupting the body. Call `check` afterwards."""
        task, self._task = self._task, None
        try:
            yield
        finally:
            self._task = task


class _Interrupts:
    """A body that a request to end interrupts. A class, because a generator costs each response twice as much."""

    __slots__ = ("_cancelling", "_signal", "_task")

    def __init__(self, signal: StopSignal) -> None:
        self._signal = signal

    async def __aenter__(self) -> None:
        signal = self._signal
        signal.check()
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        signal._task = task

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        signal, task = self._signal, self._task
        if not signal._interrupted:
            signal._task = None
            return
        try:
            if error is None or isinstance(error, Exception):  # which is nobody's then
                with suppress(asyncio.CancelledError):  # it was requested in the task's own step: taken now, not later
                    await asyncio.sleep(0)
            elif not isinstance(error, asyncio.CancelledError):
                return
        finally:
            signal._task = None
        if task.uncancel() > self._cancelling:  # somebody else has cancelled the task as well
            raise asyncio.CancelledError
        signal.check()
