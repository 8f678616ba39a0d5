"""A run's life without a service: that it waits, ends exactly once, and what it leaves."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import Any

import msgspec
import pytest

from realtime.engine.scripted import say
from realtime.runs.endings import Cancelled, Ending
from realtime.runs.life import IllegalTransition
from realtime.runs.run import Run
from realtime.store.conversations import Conversation
from realtime.wire.response import CancelReceipt
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_job, make_request, make_run, make_serving, turns_until

__all__ = ["nothing_left"]


def kinds(run: Run) -> list[str]:
    events = [json.loads(entry) for entry in run.log.read(0, 1 << 20)]
    return [event["type"].removeprefix("response.") for event in events]


async def test_a_life_from_the_beginning_to_the_end() -> None:
    serving, _ = await make_serving(say("one ", "two"), tick_seconds=0)
    ended: list[Run] = []
    job = make_job()
    before = msgspec.json.encode(job.response)
    run = make_run(job, serving, ended)
    woken: list[int] = []
    run.audience.follow(lambda: woken.append(run.log.tip))
    await run.start(admitted=True)
    assert kinds(run)[:2] == ["created", "in_progress"]
    assert kinds(run)[-1] == "completed"
    assert (run.over, ended, run.response.status) == (True, [run], "completed")
    assert woken[-1] == run.log.tip
    assert run.turn is not None
    assert [len(run.turn.input), len(run.turn.output)] == [1, 1]
    assert msgspec.json.encode(job.response) == before, "a job is not written to"


async def test_it_waits_for_its_place_and_is_given_it_once() -> None:
    serving, engine = await make_serving(say("one"), tick_seconds=0)
    run = make_run(make_job(), serving)
    task = run.start(admitted=False)
    for _ in range(5):
        await asyncio.sleep(0)
    assert kinds(run) == ["created", "queued"]
    assert engine.stats().num_running == engine.stats().num_waiting == 0
    run.admit()
    with pytest.raises(IllegalTransition, match="is admitted can't become admitted"):
        run.admit()
    await task
    assert run.response.status == "completed"


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_a_cancel_while_it_waits_ends_it_and_in_a_conversation_leaves_no_turn(in_conversation: bool) -> None:
    serving, _ = await make_serving(say("one"))
    conversation = Conversation("conv_1", "t", 0, {}) if in_conversation else None
    run = make_run(make_job(conversation=conversation), serving)
    task = run.start(admitted=False)
    run.cancel(Cancelled("cancelled"))
    await task
    assert kinds(run) == ["created", "queued", "incomplete"]
    assert (run.turn is None) == in_conversation


async def test_what_is_in_its_conversation_when_it_starts_is_its_history() -> None:
    serving, _ = await make_serving(say("one"), tick_seconds=0)
    conversation = Conversation("conv_1", "t", 0, {})
    run = make_run(make_job(conversation=conversation), serving)
    task = run.start(admitted=False)
    await asyncio.sleep(0)
    said = make_request("said meanwhile").items
    conversation.post(said, said, lambda prefix: f"{prefix}_1", 0)
    run.admit()
    await task
    assert run.started_from is not None
    assert run.started_from is conversation.turn
    assert run.response.usage is not None
    assert run.response.usage.input_tokens > len("said meanwhile")


async def test_the_engine_has_let_go_before_the_terminal_event() -> None:
    serving, engine = await make_serving(say("one ", "two"), abort_ticks=1)
    run = make_run(make_job(), serving)
    task = run.start(admitted=True)
    await turns_until(lambda: engine._held)
    engine.step()
    run.cancel(Cancelled("cancelled"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not run.over
    engine.step()
    await task
    assert (run.over, engine._held) == (True, {})
    run.cancel(Cancelled("too late"))
    assert isinstance(run.response.cancel, CancelReceipt)
    assert run.response.cancel.tokens_generated == 1


async def test_a_task_that_is_cancelled_still_ends_its_log() -> None:
    serving, engine = await make_serving(say("one"))
    run = make_run(make_job(), serving)
    task = run.start(admitted=True)
    await turns_until(lambda: engine._held)
    task.cancel()
    await task
    assert (kinds(run)[-1], engine._held) == ("failed", {})


async def test_a_bug_in_the_ending_still_ends_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Ending, items: Any) -> Any:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Ending, "seen", broken)
    serving, _ = await make_serving(say("one"), tick_seconds=0)
    ended: list[Run] = []
    run = make_run(make_job(), serving, ended)
    await run.start(admitted=True)
    assert (kinds(run)[-1], run.turn, ended) == ("failed", None, [run])
    assert "a bug of ours" in caplog.text
    caplog.clear()


async def test_a_successor_takes_over_at_once_where_nothing_is_called() -> None:
    serving, engine = await make_serving(say(*"abcdef"))
    run = make_run(make_job(), serving)
    task = run.start(admitted=True)
    await turns_until(lambda: engine._held)
    engine.step(2)
    run.stop("steer")
    await task
    assert run.response.incomplete_details is not None
    assert run.response.incomplete_details.reason == "steered"
    run.stop("steer")  # over: nothing to take over
    assert run.turn is not None


async def test_a_run_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    """A cycle keeps the whole of a response until a collection, and makes that one longer for all others."""
    serving, _ = await make_serving(say("one"), tick_seconds=0)
    ended: list[Run] = []
    run = make_run(make_job(), serving, ended)
    gc.disable()
    try:
        await run.start(admitted=True)
        parts: list[weakref.ref[Any]] = [weakref.ref(part) for part in (run, run.stages, run.audience)]
        del run, ended[:]
        await asyncio.sleep(0)  # the task lets go of it
        assert [part() for part in parts] == [None, None, None]
    finally:
        gc.enable()
