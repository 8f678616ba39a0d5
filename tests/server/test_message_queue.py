"""A queue of messages with one taker."""

from __future__ import annotations

import asyncio

import pytest

from realtime.server.message_queue import MessageQueue


async def test_messages_come_in_order_whether_the_taker_waits_or_not() -> None:
    queue = MessageQueue[int]()
    taker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    for number in range(3):
        queue.put_nowait(number)
    assert await taker == 0
    assert not queue.empty()
    assert [await queue.get(), await queue.get()] == [1, 2]
    assert queue.empty()


async def test_a_taker_that_gives_up_takes_nothing() -> None:
    queue = MessageQueue[str]()
    taker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait("kept")
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    queue.put_nowait("next")
    assert [await queue.get(), await queue.get()] == ["kept", "next"]
