"""A bound on how long one call's look-ups may take: a store that does not answer must not hold its callers forever."""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, TypeVar

from realtime.wire.errors import ErrorCode, WireError

T = TypeVar("T")


class Patience:
    """A bound on look-ups: `seconds` for each caller, and none at all once the service has ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: set[asyncio.Timeout] = set()

    @contextlib.asynccontextmanager
    async def bound(self) -> AsyncIterator[None]:
        """Cancel the body when it takes too long, and raise WireError.

        A look-up that its store cancels has failed: the caller was not cancelled, and has to be answered.
        """
        timeout = asyncio.timeout(self._seconds)
        try:
            async with timeout:
                self._waits.add(timeout)
                try:
                    yield
                except asyncio.CancelledError as cancelled:
                    _check_is_ours(cancelled)
                    raise
                finally:
                    self._waits.discard(timeout)
        except TimeoutError:
            if not timeout.expired():  # a timeout of the store's own
                raise
            text = "The store did not answer in time: try again later."
            raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=self._seconds) from None

    async def bounded(self, look_ups: Coroutine[Any, Any, T]) -> T:
        """Return the result of these look-ups, with the same bound. Those that wait for nothing cost no timer."""
        try:
            waits_for = look_ups.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        except asyncio.CancelledError as cancelled:
            _check_is_ours(cancelled)
            raise
        async with self.bound():
            return await _rest(look_ups, waits_for)

    def end(self) -> None:
        """Stop all waiting, now and later: the service has ended."""
        self._seconds = 0.0
        for timeout in self._waits:
            if not timeout.expired():  # one that has may still be here, while the store takes its leave
                timeout.reschedule(0.0)


def _check_is_ours(cancelled: asyncio.CancelledError) -> None:
    """Raise RuntimeError if nobody has cancelled the caller."""
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise RuntimeError("a store has cancelled a look-up") from cancelled


@types.coroutine
def _rest(begun: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Await a coroutine that has begun, and waits for this."""
    step: Callable[[Any], Any]
    given: Any
    while True:
        try:
            sent = yield waits_for
        except GeneratorExit:
            begun.close()
            raise
        except BaseException as error:
            step, given = begun.throw, error
        else:
            step, given = begun.send, sent
        try:
            waits_for = step(given)
        except StopIteration as done:
            result: T = done.value
            return result
