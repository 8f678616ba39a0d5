"""The time that a store takes to answer, apart from other work on this machine."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

_TRIES = 5


async def shortest(ask: Callable[[], Awaitable[object]]) -> float:
    """Ask some times, and return the seconds of the shortest one."""
    found = float("inf")
    for _ in range(_TRIES):
        began = time.perf_counter()
        await ask()
        found = min(found, time.perf_counter() - began)
    return found
