"""Who stops a response, and that its task misses nothing while it waits."""

from __future__ import annotations

import asyncio

import pytest

from realtime.runs.endings import Cancelled, Ended, Interrupted, Steered, Stop
from realtime.runs.stop_signal import StopSignal
from tests.support.event_loop import nothing_left

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


async def test_work_that_is_not_stopped_has_its_result_or_its_error() -> None:
    async def fail() -> None:
        raise ValueError("it")

    async def work() -> int:
        await asyncio.sleep(0)
        return 5

    signal = StopSignal()
    assert await signal.unless_stopped(work()) == 5
    with pytest.raises(ValueError, match="it"):
        await signal.unless_stopped(fail())


async def test_work_is_cancelled_by_a_stop_and_has_let_go_when_that_returns() -> None:
    signal = StopSignal()
    seen: list[str] = []

    async def work() -> int:
        seen.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("let go")
        return 5

    waiting = asyncio.create_task(signal.unless_stopped(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    signal.ask(CANCELLED)
    assert await waiting is None
    assert seen == ["began", "let go"]


async def test_an_error_in_what_was_stopped_is_nobodys() -> None:
    signal = StopSignal()

    async def work() -> str:
        signal.ask(CANCELLED)
        raise ValueError("too late")

    assert await signal.unless_stopped(work()) is None
