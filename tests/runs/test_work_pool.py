"""Threads for long work: fair, bounded, given up by whoever is cancelled, and never in the way of the event loop."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from realtime.runs.work_pool import IsWanted, WorkPool
from realtime.wire.errors import ErrorCode, WireError
from tests.support.event_loop import nothing_left
from tests.support.jobs import turns_until
from tests.support.patience import SECONDS

__all__ = ["nothing_left"]


@pytest.fixture
async def pool() -> AsyncIterator[WorkPool]:
    pool = WorkPool(1, 60)
    yield pool
    pool.close()


class Held:
    """Work that goes on until it is let go, or until it is told that nobody wants it."""

    def __init__(self, result: object = "done") -> None:
        self.began, self.ended, self.go = threading.Event(), threading.Event(), threading.Event()
        self.result = result
        self.gave_up = False

    def __call__(self, is_wanted: IsWanted) -> object:
        self.began.set()
        while is_wanted() and not self.go.wait(0.001):
            pass
        self.gave_up = not is_wanted()
        self.ended.set()
        return self.result


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - a thread is waited for
        await asyncio.sleep(0.001)


async def test_work_is_done_in_another_thread_and_its_result_comes_back(pool: WorkPool) -> None:
    assert await pool.run("t", lambda _: threading.get_ident()) != threading.get_ident()


class Panic(BaseException):
    """As a library in Rust raises one."""


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(ValueError("x"), ValueError), (TimeoutError("its own"), TimeoutError), (StopIteration(), RuntimeError),
     (Panic(), RuntimeError), (SystemExit(), RuntimeError)],
    ids=repr,
)  # fmt: skip
async def test_errors_come_back_and_end_no_thread(pool: WorkPool, raised: BaseException, seen: type) -> None:
    def fail(_: IsWanted) -> None:
        raise raised

    with pytest.raises(seen):
        await pool.run("t", fail)
    assert await pool.run("t", lambda _: 5) == 5
    assert len(pool._threads) == 1


async def test_who_is_cancelled_waits_for_nothing_and_the_work_is_told(pool: WorkPool) -> None:
    held = Held()
    task = asyncio.create_task(pool.run("t", held))
    await until(held.began.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(held.ended.is_set)
    assert held.gave_up
    assert await pool.run("t", lambda _: 5) == 5


async def test_abandoned_work_keeps_its_place_until_it_stops(pool: WorkPool) -> None:
    stubborn, go = threading.Event(), threading.Event()

    def work(_: IsWanted) -> None:
        stubborn.set()
        assert go.wait(SECONDS)

    task = asyncio.create_task(pool.run("t", work))
    await until(stubborn.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    following = asyncio.create_task(pool.run("t", lambda _: 5))
    await turns_until(lambda: pool.num_waiting)
    go.set()
    assert await following == 5


async def test_abandoned_work_that_waits_never_begins(pool: WorkPool) -> None:
    held, waiting = Held(), Held()
    first = asyncio.create_task(pool.run("t", held))
    await until(held.began.is_set)
    second = asyncio.create_task(pool.run("t", waiting))
    await turns_until(lambda: pool.num_waiting)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert pool.num_waiting == 0
    held.go.set()
    assert await first == "done"
    assert not waiting.began.is_set()


async def test_a_place_that_is_given_in_the_turn_of_a_cancel_is_given_on(pool: WorkPool) -> None:
    held = Held()
    first = asyncio.create_task(pool.run("t", held))
    await until(held.began.is_set)
    second = asyncio.create_task(pool.run("t", lambda _: "second"))
    third = asyncio.create_task(pool.run("t", lambda _: "third"))
    await turns_until(lambda: pool.num_waiting == 2)
    first.cancel()
    second.cancel()
    assert await third == "third"
    assert await asyncio.gather(first, second, return_exceptions=True)


async def test_tenants_take_turns(pool: WorkPool) -> None:
    order: list[str] = []
    held = Held()
    tasks = [asyncio.create_task(pool.run("a", held))]
    await until(held.began.is_set)
    for tenant in "aaab":
        work: Any = lambda _, tenant=tenant: order.append(tenant)  # noqa: E731
        tasks.append(asyncio.create_task(pool.run(tenant, work)))
    await turns_until(lambda: pool.num_waiting == 4)
    held.go.set()
    await asyncio.gather(*tasks)
    assert order.index("b") <= 1


async def test_what_takes_too_long_is_told_so_and_given_up() -> None:
    pool, held = WorkPool(1, 0.02), Held()
    with pytest.raises(WireError, match=r"longer than the 0\.02 seconds") as refused:
        await pool.run("t", held)
    assert refused.value.code is ErrorCode.INVALID_PROMPT
    await until(held.ended.is_set)
    assert held.gave_up
    pool.close()


async def test_who_waits_too_long_is_told_to_come_back() -> None:
    pool, held = WorkPool(1, 60), Held()
    first = asyncio.create_task(pool.run("t", held))
    await until(held.began.is_set)
    pool._max_seconds = 0.02
    with pytest.raises(WireError, match="did not leave room") as refused:
        await pool.run("t", lambda _: None)
    assert (refused.value.code, refused.value.retry_after) == (ErrorCode.SERVER_IS_OVERLOADED, 0.02)
    held.go.set()
    assert await first == "done"
    pool.close()


async def test_more_than_may_wait_is_refused_at_once() -> None:
    pool, held = WorkPool(1, 60, max_waiting=1), Held()
    tasks = [asyncio.create_task(pool.run("t", held))]
    await until(held.began.is_set)
    tasks.append(asyncio.create_task(pool.run("t", lambda _: "done")))
    await turns_until(lambda: pool.num_waiting)
    with pytest.raises(WireError, match="too much work is waiting") as refused:
        await pool.run("t", lambda _: None)
    assert refused.value.code is ErrorCode.SERVER_IS_OVERLOADED
    held.go.set()
    assert await asyncio.gather(*tasks) == ["done", "done"]
    pool.close()


async def test_several_pieces_of_work_have_one_place_and_others_wait(pool: WorkPool) -> None:
    async with pool.place("t", heavy=True) as place:
        assert [await place.run(lambda _, index=index: index) for index in range(3)] == [0, 1, 2]  # type: ignore[misc]
        other = asyncio.create_task(pool.run("u", lambda _: "other"))
        await turns_until(lambda: pool.num_waiting)
    assert await other == "other"


async def test_the_threads_end_with_the_pool_and_hold_nothing_that_is_done() -> None:
    pool = WorkPool(2, 60)

    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    assert await pool.run("t", lambda _, big=big: big) is big  # type: ignore[misc]
    del big
    await until(lambda: gone() is None)  # the thread lets go of it a little later
    threads = list(pool._threads)
    pool.close()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
