"""The messages of one socket on their way to the application, which is the only one that takes them.

`asyncio.Queue` serves any number of takers and bounds: four deques, 3 KiB for a socket that says nothing.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class MessageQueue(Generic[T]):
    """As much of `asyncio.Queue` as a socket needs. Few wait in it: reading is paused while one does."""

    __slots__ = ("_messages", "_taker")

    def __init__(self) -> None:
        self._messages: list[T] = []
        self._taker: asyncio.Future[None] | None = None  # waits for a message

    def put_nowait(self, message: T) -> None:
        """Add a message."""
        self._messages.append(message)
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    async def get(self) -> T:
        """Take the oldest message, once there is one."""
        while not self._messages:
            self._taker = asyncio.get_running_loop().create_future()
            try:
                await self._taker
            finally:
                self._taker = None
        return self._messages.pop(0)

    def qsize(self) -> int:
        """Return how many messages wait."""
        return len(self._messages)

    def empty(self) -> bool:
        """Return whether no message waits."""
        return not self._messages
