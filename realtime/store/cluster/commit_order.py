"""The order of a lease's commits: one at a time, each under the next number.

The store refuses a commit whose predecessor it does not have. So a node whose store has failed over, and has lost what
it had acknowledged, learns that with its next commit or renewal: what it would write next would follow on nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from .backend import Backend, Changes, Lease, Lost

logger = logging.getLogger("realtime.store")
T = TypeVar("T")


class Patiently(Protocol):
    """A function that repeats a call as long as the store is away. Raises Fenced."""

    def __call__(self, call: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]: ...


class CommitOrder:
    """The order of one lease's commits. `number`: of the newest that the store has acknowledged."""

    def __init__(self, backend: Backend, lease: Lease) -> None:
        self.number = 0
        self._backend = backend
        self._lease = lease
        self._lock = asyncio.Lock()
        self._is_unsure = False  # whether the next number is used

    async def run(self, call: Callable[[int], Awaitable[T]], patiently: Patiently) -> T:
        """Have `call` commit under the next number, which it is given, however often it takes. Raises what it does."""
        async with self._lock:
            if self._is_unsure:
                await patiently(self._use_up)
                self.number += 1
            self._is_unsure = True
            try:
                found: T = await patiently(lambda: call(self.number + 1))
            except Lost:
                logger.error("the store has lost what it had acknowledged: node=%s begins again", self._lease.node)
                raise
            self.number += 1
            self._is_unsure = False
            return found

    async def _use_up(self) -> None:
        """Commit nothing under a number of which nobody knows whether it was used: then it is, whatever still comes."""
        await self._backend.commit(Changes(fence=self._lease, number=self.number + 1))
