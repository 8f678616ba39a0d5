"""A bound on how long one call's look-ups may take: a store that does not answer must not hold its callers forever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from realtime.wire.errors import ErrorCode, WireError


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
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    raise RuntimeError("a store has cancelled a look-up") from cancelled
                finally:
                    self._waits.discard(timeout)
        except TimeoutError:
            if not timeout.expired():  # a timeout of the store's own
                raise
            text = "The store did not answer in time: try again later."
            raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=self._seconds) from None

    def end(self) -> None:
        """Stop all waiting, now and later: the service has ended."""
        self._seconds = 0.0
        for timeout in self._waits:
            if not timeout.expired():  # one that has may still be here, while the store takes its leave
                timeout.reschedule(0.0)
