"""Calls at a later time, for objects with one timer of their own. A test passes another `CallLater` and advances the
time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from realtime.runs.audience import Timer


def call_later(seconds: float, call: Callable[[], None]) -> Timer:
    """Make a call after so many seconds, on the loop that runs then. A `CallLater`."""
    return asyncio.get_running_loop().call_later(seconds, call)
