"""Large messages are decoded one in a turn of the event loop; small ones wait for nobody."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

from realtime.server.large_messages import LARGE_BYTES, LargeMessages


async def decoded_in(messages: LargeMessages, sizes: list[int]) -> list[int]:
    """The turn of the loop in which each of these, which come together, may be decoded."""
    turns = itertools.count()
    now = 0

    async def count() -> None:
        nonlocal now
        while True:
            now = next(turns)
            await asyncio.sleep(0)

    async def decode(size: int) -> int:
        await messages.wait(size)
        return now

    counting = asyncio.create_task(count())
    try:
        return await asyncio.gather(*map(decode, sizes))
    finally:
        counting.cancel()


async def test_no_two_large_messages_are_decoded_in_one_turn_of_the_loop() -> None:
    turns = await decoded_in(LargeMessages(), [LARGE_BYTES] * 8)
    assert max(Counter(turns).values()) == 1
    assert turns == sorted(turns), "whoever comes first is first"


async def test_small_messages_wait_for_nobody() -> None:
    turns = await decoded_in(LargeMessages(), [*[LARGE_BYTES] * 3, *[LARGE_BYTES - 1] * 3])
    assert turns[3:] == [0, 0, 0]


async def test_one_that_gives_up_takes_nobodys_turn() -> None:
    messages = LargeMessages()
    waiting = [asyncio.create_task(messages.wait(LARGE_BYTES)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [task.cancelled() for task in waiting] == [False, True, False]
