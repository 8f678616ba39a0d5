"""Wait for what was written until now to be committed."""

from __future__ import annotations

import asyncio

from realtime.store.base import Batches, store_unavailable


async def committed(batches: Batches | None) -> None:
    """Return when everything is committed that was written before the call. None: everything is at once. Raises
    WireError when it is given up.
    """
    if batches is None or batches.settled:
        return
    batches.hurry()
    number, given_up, reached = batches.collecting, batches.given_up, asyncio.Event()

    def look() -> None:
        if batches.committed >= number or batches.settled or batches.given_up != given_up:
            reached.set()

    batches.on_commit.append(look)
    try:
        await reached.wait()
    finally:
        batches.on_commit.remove(look)
    if batches.given_up != given_up:
        raise store_unavailable()
