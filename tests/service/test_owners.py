"""Owners are looked up together: few look-ups for many that wait, and nobody's answer is older than its question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from realtime.service.owners import Owners
from realtime.store.cluster.membership import Owner
from realtime.wire.errors import WireError, store_unavailable


class Store:
    """A membership whose look-ups are answered when the test says so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self._answers: list[asyncio.Future[None]] = []

    async def owners_of(self, names: Sequence[str]) -> list[Owner | None]:
        self.asked.append(list(names))
        self._answers.append(asyncio.get_running_loop().create_future())
        await self._answers[-1]
        return [Owner(name, len(self.asked)) if name != "nobody" else None for name in names]

    async def answer(self, error: Exception | None = None) -> None:
        """Answer the look-up that is on its way, and let what comes of it happen."""
        answer = self._answers[-1]
        answer.set_exception(error) if error is not None else answer.set_result(None)
        await turns()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def owners(store: Any) -> Owners:
    return Owners(store)


async def test_what_is_asked_meanwhile_goes_with_the_next_look_up() -> None:
    store = Store()
    asking = owners(store)
    first = asyncio.create_task(asking.owner_of("x"))
    await turns()
    others = [asyncio.create_task(asking.owner_of(name)) for name in ("x", "y", "nobody", "y")]
    await turns()
    assert store.asked == [["x"]]
    await store.answer()
    assert await first == Owner("x", 1)
    assert store.asked == [["x"], ["x", "y", "nobody"]]
    await store.answer()
    assert await asyncio.gather(*others) == [Owner("x", 2), Owner("y", 2), None, Owner("y", 2)]
    assert len(store.asked) == 2, "nobody asks any more"


async def test_a_look_up_that_fails_fails_for_those_who_asked_and_no_others() -> None:
    store = Store()
    asking = owners(store)
    first = asyncio.create_task(asking.owner_of("x"))
    await turns()
    second = asyncio.create_task(asking.owner_of("y"))
    await turns()
    await store.answer(store_unavailable())
    with pytest.raises(WireError):
        await first
    await store.answer()
    assert await second == Owner("y", 2)


async def test_who_stops_waiting_takes_nobody_along() -> None:
    store = Store()
    asking = owners(store)
    waiting = [asyncio.create_task(asking.owner_of("x")) for _ in range(2)]
    await turns()
    waiting[0].cancel()
    await turns()
    await store.answer()
    assert await waiting[1] == Owner("x", 1)
    assert waiting[0].cancelled()
