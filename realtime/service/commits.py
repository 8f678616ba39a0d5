"""Wait for what was written until now to be committed."""

from __future__ import annotations

import asyncio

from realtime.store.base import Batches


async def committed(batches: Batches | None) -> None:
    """Return when everything is committed that was written before the call. None: everything is at once."""
    if batches is None or batches.settled:
        return
    number, reached = batches.collecting, asyncio.Event()

    def look() -> None:
        if batches.committed >= number or batches.settled:
            reached.set()

    batches.on_commit.append(look)
    try:
        await reached.wait()
    finally:
        batches.on_commit.remove(look)
