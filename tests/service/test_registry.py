"""The registry of responses: who may see which, while it runs, when it is kept, and when it was deleted."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.runs.run import Run
from realtime.service.registry import Registry
from realtime.store.memory.responses import MemoryResponses
from realtime.store.records import Record, Replay
from realtime.wire.errors import ErrorCode, WireError
from tests.support.at_once import at_once
from tests.support.jobs import make_job, make_request, make_run, make_serving
from tests.support.responses import PLENTY

NOW = 1000.0


def refusal(look_up: Coroutine[Any, Any, Any]) -> ErrorCode:
    with pytest.raises(WireError) as caught:
        at_once(look_up)
    return caught.value.code


async def kept(*, store: bool = True, keep_seconds: float = 10.0) -> tuple[Registry, Run]:
    """A registry with one response, `resp_0` of the tenant `t`, that has run to its end and is kept."""
    registry, run = await running(store=store)
    await run.start(admitted=True)
    del registry.running[run.response_id]
    assert registry.keep(run, keep_seconds, NOW)
    return registry, run


async def running(*, store: bool = True) -> tuple[Registry, Run]:
    """A registry with one response that has not begun."""
    serving, _ = await make_serving(say("one"), tick_seconds=0)
    job = make_job(make_request(store=store))
    job.response.store = store
    run = make_run(job, serving)
    registry = Registry(MemoryResponses(max_bytes=PLENTY), 600)
    registry.running[run.response_id] = run
    return registry, run


async def test_a_running_response_is_its_tenants_alone() -> None:
    registry, run = await running()
    for find in (registry.find, registry.find_source, registry.find_running, registry.find_retrievable):
        assert at_once(find("t", "resp_0", NOW)) is run
        assert refusal(find("u", "resp_0", NOW)) is ErrorCode.RESPONSE_NOT_FOUND
        assert refusal(find("t", "resp_1", NOW)) is ErrorCode.RESPONSE_NOT_FOUND
    assert refusal(registry.find_turn("t", "resp_0", NOW)) is ErrorCode.PREVIOUS_RESPONSE_IN_PROGRESS
    assert refusal(registry.find_turn("u", "resp_0", NOW)) is ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND


async def test_a_kept_response_is_a_record_and_can_be_read_and_continued() -> None:
    registry, run = await kept()
    assert isinstance(at_once(registry.find("t", "resp_0", NOW)), Record)
    source = at_once(registry.find_source("t", "resp_0", NOW))
    assert isinstance(source, Replay)
    assert source.log.read(0, PLENTY) == run.log.read(0, PLENTY)
    assert (source.response, source.turn, source.output, source.input, source.over) == (
        run.response, run.turn, run.output, run.input, True,
    )  # fmt: skip
    assert at_once(registry.find_turn("t", "resp_0", NOW)) is run.turn
    assert refusal(registry.find_running("t", "resp_0", NOW)) is ErrorCode.RESPONSE_ALREADY_COMPLETED
    assert refusal(registry.find("u", "resp_0", NOW)) is ErrorCode.RESPONSE_NOT_FOUND
    assert refusal(registry.find_turn("u", "resp_0", NOW)) is ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND


async def test_a_kept_response_lives_as_long_as_it_was_to_be_kept() -> None:
    registry, _ = await kept(keep_seconds=10.0)
    at_once(registry.find("t", "resp_0", NOW + 9.9))
    assert refusal(registry.find("t", "resp_0", NOW + 10)) is ErrorCode.RESPONSE_NOT_FOUND
    assert at_once(registry.get("resp_0", NOW + 10)) is None


async def test_what_was_not_to_be_stored_can_be_resumed_and_nothing_else() -> None:
    registry, _ = await kept(store=False)
    at_once(registry.find_source("t", "resp_0", NOW))
    assert refusal(registry.find_retrievable("t", "resp_0", NOW)) is ErrorCode.RESPONSE_NOT_FOUND
    assert refusal(registry.find_turn("t", "resp_0", NOW)) is ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND


async def test_a_deleted_response_does_not_exist_for_anybody() -> None:
    registry, run = await kept()
    registry.delete("resp_0")
    for find in (registry.find, registry.find_source, registry.find_running, registry.find_retrievable):
        assert refusal(find("t", "resp_0", NOW)) is ErrorCode.RESPONSE_NOT_FOUND
    assert run.turn is not None
    with pytest.raises(WireError) as caught:
        registry.current_turn(run.turn)
    assert caught.value.code is ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND


async def test_a_response_that_is_deleted_while_it_runs_is_not_kept() -> None:
    registry, run = await running()
    registry.delete("resp_0")
    assert refusal(registry.find("t", "resp_0", NOW)) is ErrorCode.RESPONSE_NOT_FOUND
    assert at_once(registry.get("resp_0", NOW)) is run, "who follows it still gets the end"
    await run.start(admitted=True)
    del registry.running["resp_0"]
    assert not registry.keep(run, 10.0, NOW)
    assert at_once(registry.get("resp_0", NOW)) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (600, "kept for 10 minutes"), (60, "kept for 1 minute "), (1, "kept for 1 second "),
        (90, "kept for 90 seconds"), (0.5, "kept for 0.5 seconds"), (7200, "kept for 2 hours"),
        (604_800, "kept for 7 days"), (0, "are not kept"),
    ],
)  # fmt: skip
def test_who_continues_what_is_gone_is_told_how_long_responses_are_kept(seconds: float, said: str) -> None:
    registry = Registry(MemoryResponses(max_bytes=PLENTY), seconds)
    with pytest.raises(WireError) as caught:
        at_once(registry.find_turn("t", "resp_0", NOW))
    assert caught.value.message.startswith("Previous response with id 'resp_0' not found. ")
    assert said in caught.value.message


async def test_what_is_not_committed_is_not_remembered_as_gone_when_it_is_given_up() -> None:
    """The store has it still: then this node, too, says so."""
    registry, run = await kept()
    record = await registry.store.get(run.response_id, NOW)
    assert record is not None
    log = await registry.store.read(run.response_id, NOW)
    assert log is not None
    registry.delete(run.response_id)
    registry.store.seal(record, log, NOW)
    assert refusal(registry.find("t", run.response_id, NOW)) is ErrorCode.RESPONSE_NOT_FOUND
    registry.lose()
    assert await registry.find("t", run.response_id, NOW) is not None
