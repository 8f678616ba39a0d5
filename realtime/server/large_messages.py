"""Turns for large messages, whoever sends them.

Decoding one holds the event loop for up to some tens of milliseconds. If several come at once, each would hold it in
the same turn of the loop, and everybody else would wait for them all.
"""

from __future__ import annotations

import asyncio

LARGE_BYTES = 256 * 1024  # takes about a millisecond


class LargeMessages:
    """The turns for large messages. One for all doors."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def wait(self, num_bytes: int) -> None:
        """Wait until this message may be decoded, which must happen before the next `await`."""
        if num_bytes >= LARGE_BYTES:
            async with self._turn:
                await asyncio.sleep(0)  # who waits for the lock goes on in the turn of the loop that follows
