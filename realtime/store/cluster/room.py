"""Room for so many calls of a kind at once: however much is looked up, what renews a lease or commits finds a free
connection.
"""

from __future__ import annotations

import asyncio

from .backend import Away


class Room:
    """Places, used as a context manager that waits for one, first come first served. Raises Away for a caller that has
    waited for so many seconds.
    """

    def __init__(self, places: int, seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._seconds = seconds

    async def __aenter__(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Away("the cluster's store has more to look up than it can") from None

    async def __aexit__(self, *_: object) -> None:
        self._places.release()
