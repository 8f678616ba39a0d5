"""Look-ups that do not wait, for tests of what looks up: a store in memory answers within the call."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import TypeVar

T = TypeVar("T")


def at_once(look_up: Awaitable[T]) -> T:
    """Return the result of a look-up that does not wait; one that does fails the test."""
    assert isinstance(look_up, Coroutine)
    try:
        look_up.send(None)
    except StopIteration as over:
        value: T = over.value
        return value
    raise AssertionError("it waits")


async def no_sleep(seconds: float) -> None:
    """Go on at once: a test has no time."""
