"""A door writes at most once per tick of the event loop."""

from __future__ import annotations

import asyncio

from realtime.server.flusher import Flusher


async def test_a_flusher_flushes_once_a_tick_however_often_it_is_woken() -> None:
    flushed: list[int] = []
    flusher = Flusher(lambda: flushed.append(1))
    for _ in range(3):
        flusher.wake()
    assert flushed == [], "what the loop is doing is done first"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert flushed == [1]


async def test_a_flush_may_ask_for_the_next_one() -> None:
    flushed: list[int] = []

    def flush() -> None:
        flushed.append(1)
        if len(flushed) < 3:
            flusher.wake()

    flusher = Flusher(flush)
    flusher.wake()
    for number in range(1, 4):
        await asyncio.sleep(0)
        assert len(flushed) == number, "one in each tick"
    await asyncio.sleep(0)
    assert len(flushed) == 3


async def test_a_stopped_flusher_does_nothing_more_even_when_it_was_woken_before() -> None:
    flushed: list[int] = []
    flusher = Flusher(lambda: flushed.append(1))
    flusher.wake()
    flusher.stop()
    await asyncio.sleep(0)
    flusher.wake()
    await asyncio.sleep(0)
    assert flushed == []
