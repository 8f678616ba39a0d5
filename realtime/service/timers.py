"""Calls that come later, for what has one timer of its own; a test gives another `CallLater` and lets the time pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from realtime.runs.audience import Timer


def call_later(seconds: float, call: Callable[[], None]) -> Timer:
    """Make a call after so many seconds on the running loop, whichever that is by then. A `CallLater`."""
    return asyncio.get_running_loop().call_later(seconds, call)
