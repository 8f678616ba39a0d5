"""Who stops a response, and that its task misses nothing while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from realtime.runs.endings import Cancelled, Ended, Interrupted, Steered, Stop
from realtime.runs.stop_signal import StopSignal
from tests.support.event_loop import nothing_left
from tests.support.jobs import turns_until

__all__ = ["nothing_left"]
CANCELLED = Cancelled("cancelled")


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ([CANCELLED, Interrupted()], CANCELLED),
        ([Interrupted(), CANCELLED], Interrupted()),
        ([Steered(), CANCELLED], CANCELLED),
        ([Steered(), Interrupted(), CANCELLED], Interrupted()),
        ([CANCELLED, Steered()], CANCELLED),
    ],
)
def test_the_first_request_wins_but_anything_overrides_a_steer(asked: list[Stop], holds: Stop) -> None:
    signal = StopSignal()
    for stop in asked:
        signal.ask(stop)
    assert signal.stop == holds


def test_check_raises_what_was_asked_for() -> None:
    signal = StopSignal()
    signal.check()
    assert not signal.stopped
    signal.ask(CANCELLED)
    with pytest.raises(Ended) as ended:
        signal.check()
    assert ended.value.outcome is CANCELLED


async def test_a_wake_before_the_wait_is_not_missed_and_counts_once() -> None:
    signal = StopSignal()
    signal.wake()
    await signal.wait()
    waiting = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    signal.ask(CANCELLED)
    await waiting


async def interrupted(signal: StopSignal, work: Awaitable[object]) -> object:
    async with signal.interrupts():
        return await work


async def test_what_is_not_stopped_has_its_result_or_its_error() -> None:
    async def fail() -> None:
        raise ValueError("it")

    signal = StopSignal()
    assert await interrupted(signal, asyncio.sleep(0, 5)) == 5
    with pytest.raises(ValueError, match="it"):
        await interrupted(signal, fail())


async def test_a_stop_cancels_what_is_awaited_which_cleans_up_before() -> None:
    signal, seen = StopSignal(), list[str]()

    async def work() -> None:
        seen.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("let go")

    waiting = asyncio.create_task(interrupted(signal, work()))
    await turns_until(lambda: seen)
    signal.ask(Steered())
    signal.ask(CANCELLED)  # what overrides it does not interrupt the cleaning
    with pytest.raises(Ended) as ended:
        await waiting
    assert ended.value.outcome is CANCELLED
    assert seen == ["began", "let go"]
    assert not waiting.cancelling()


async def test_a_stop_before_the_beginning_begins_nothing() -> None:
    signal = StopSignal()
    signal.ask(CANCELLED)
    began = []
    with pytest.raises(Ended):
        async with signal.interrupts():
            began.append(1)
    assert not began


@pytest.mark.parametrize("fails", [False, True])
async def test_a_stop_that_comes_of_the_work_itself_ends_it_and_is_not_left_over(fails: bool) -> None:
    async def work() -> None:
        signal.ask(CANCELLED)
        if fails:
            raise ValueError("too late: nobody's")

    signal = StopSignal()
    with pytest.raises(Ended):
        await interrupted(signal, work())
    await asyncio.sleep(0)  # or the cancellation would come here
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_who_is_cancelled_by_others_as_well_is_cancelled() -> None:
    signal = StopSignal()
    waiting = asyncio.create_task(interrupted(signal, asyncio.Event().wait()))
    await asyncio.sleep(0)
    signal.ask(CANCELLED)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_must_not_be_interrupted_is_not() -> None:
    signal, go = StopSignal(), asyncio.Event()

    async def work() -> str:
        with signal.uninterrupted():
            await go.wait()
        signal.check()
        return "never"

    waiting = asyncio.create_task(interrupted(signal, work()))
    await asyncio.sleep(0)
    signal.ask(CANCELLED)
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(Ended):
        await waiting
