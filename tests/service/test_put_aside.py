"""A batch answer is put aside for an interactive one: its client sees a pause, and whatever happens in it, the answer
is the one that it would have been. The engine is scripted, and its steps are the test's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from realtime.engine.scripted import Script, say
from realtime.runs.run import Run
from realtime.service.principal import LOCAL
from realtime.settings.fields import Settings
from realtime.settings.tenants import TenantLimits
from realtime.store.records import Source
from realtime.wire.requests import StopKind
from tests.support.jobs import make_request
from tests.support.restarts import House, events_of, house, texts_of, tip_of
from tests.support.server import changed

from .test_going_on import CASES, WORDS, Case

FLEX, PRIORITY = {"service_tier": "flex"}, {"service_tier": "priority"}


def settings(**more: Any) -> Settings:
    """One place, and a tenant that may ask for each tier."""
    tenants = {"local": TenantLimits(tiers=("priority", "flex"))}
    return changed(max_running_responses=1, tenants=tenants, **more)


@contextlib.asynccontextmanager
async def one_place(path: Path, script: Script, **options: Any) -> AsyncIterator[House]:
    async with house(path, script, settings=settings(), **options) as here:
        yield here


def shape(source: Source) -> Any:
    """What two runs of the same request have in common."""
    events = [(one["type"], one["sequence_number"], one.get("delta"), one.get("logprobs")) for one in events_of(source)]
    assert source.turn is not None
    return events, source.response.usage, list(source.turn.token_ids)


async def put_aside(here: House, run: Run) -> Run:
    """Ask for something interactive; return it when the engine has it, in the place of this one."""
    other = await here.create(make_request("quick!", **PRIORITY))
    assert here.service.queue.scheduler.is_put_aside(run.response_id)
    return other


async def kept(here: House, run: Run) -> Source:
    await here.finish()
    return await here.find(run.response_id)


@pytest.mark.parametrize("name", CASES)
async def test_wherever_it_is_put_aside_the_answer_is_what_it_would_have_been(tmp_path: Path, name: str) -> None:
    case: Case = CASES[name]
    request = case.request()
    request.service_tier = None if request.background else "flex"
    async with one_place(tmp_path / "store.db", case.script, **case.options) as here:
        uncut = await kept(here, await here.create(msgspec.structs.replace(request)))
        expected, num_puts = shape(uncut), 0
        for ticks in (0, 1, 3, 5):
            run = await here.create(msgspec.structs.replace(request))
            await here.say(ticks)
            if run.over:
                break
            other = await here.create(make_request("quick!", **PRIORITY))
            num_puts += (was_put := here.service.queue.scheduler.is_put_aside(run.response_id))
            tip = run.log.tip
            await here.say(1)
            assert not was_put or run.log.tip == tip, "a pause"
            assert shape(await kept(here, run)) == expected, ticks
            assert (await here.find(run.response_id)).response.recovery is UNSET, "nothing had to be recovered"
            assert (await here.find(other.response_id)).response.status == "completed"
        assert bool(num_puts) == (name != "image"), "it would have to be looked at again"


async def test_who_looks_on_is_told_and_the_pause_is_measured(tmp_path: Path) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS)) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)

        def pulse() -> Any:
            return here.service.heartbeat([run.response_id]).responses[0]

        assert (pulse().num_ahead, pulse().put_aside) == (None, UNSET)
        await put_aside(here, run)
        told = pulse()
        assert (told.status, told.num_ahead, told.put_aside) == ("in_progress", 0, True)
        assert told.usage.output_tokens == 2
        shown = await here.service.show(LOCAL, run.response_id)
        assert shown.status == "in_progress"
        assert here.service.held.num_admitted == 1
        await here.finish()
        assert not {event["type"] for event in events_of(await here.find(run.response_id))} & {"response.failed"}
        metrics = "".join(here.service.observer.service.aside_seconds.lines())
        assert 'realtime_response_put_aside_seconds_count{class="batch"} 1.0' in metrics
        assert 'realtime_response_put_aside_seconds_count{class="default"} 0.0' in metrics


@pytest.mark.parametrize("how", ["cancel", "interrupt", "steer"])
async def test_a_stop_in_the_pause_ends_it_at_once_and_nobody_else(tmp_path: Path, how: StopKind) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS)) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        other = await put_aside(here, run)
        await here.service.stop(LOCAL, run.response_id, how, delivered=run.log.tip)
        await here.settle()
        assert run.over
        assert not other.over
        response = run.response
        assert response.usage is not None
        assert response.usage.output_tokens == 2
        if how == "cancel":
            receipt = response.cancel
            assert not isinstance(receipt, msgspec.UnsetType)
            assert (receipt.tokens_generated, receipt.tokens_delivered, receipt.abort_ms) == (2, 2, 0.0)
        assert here.service.queue.scheduler.num_waiting == 0
        assert texts_of(await kept(here, other)) == "".join(WORDS)


async def test_a_cancel_while_the_engine_lets_go_has_its_receipt(tmp_path: Path) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS), abort_ticks=3) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        other = await here.create(make_request("quick!", **PRIORITY))
        assert not here.service.queue.scheduler.is_put_aside(run.response_id), "not yet"
        assert not other.has_begun
        await here.service.stop(LOCAL, run.response_id, "cancel")
        await here.say(3)
        receipt = run.response.cancel
        assert not isinstance(receipt, msgspec.UnsetType)
        assert receipt.tokens_generated == 2
        assert receipt.abort_ms > 0
        assert texts_of(await kept(here, other)) == "".join(WORDS)


async def test_who_waited_is_gone_before_the_engine_has_let_go(tmp_path: Path) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS), abort_ticks=3) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        other = await here.create(make_request("quick!", **PRIORITY))
        await here.service.stop(LOCAL, other.response_id, "cancel")
        assert texts_of(await kept(here, run)) == "".join(WORDS)


@pytest.mark.parametrize("moment", ["while it lets go", "in the pause", "behind it"])
async def test_the_engine_may_die(tmp_path: Path, moment: str) -> None:
    ticks = 3 if moment == "while it lets go" else 0
    async with one_place(tmp_path / "store.db", say(*WORDS), abort_ticks=ticks) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        other = await here.create(make_request("quick!", **PRIORITY))
        if moment == "behind it":
            await here.say(len(WORDS) + 1)
            assert other.over
            assert not here.service.queue.scheduler.is_put_aside(run.response_id)
        here.engine.kill()
        await asyncio.sleep(0.01)  # the next one is started without a wait
        for one in (run, other):
            assert texts_of(await kept(here, one)) == "".join(WORDS)
        recovery = (await here.find(run.response_id)).response.recovery
        assert (recovery is UNSET) == (moment != "behind it"), "the engine did not have it"


async def test_an_engine_of_another_kind_does_not_go_on(tmp_path: Path) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS)) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        other = await put_aside(here, run)
        here._options["name"] = "another"
        here.engine.kill()
        for one in (run, other):
            failed = (await kept(here, one)).response
            assert failed.status == "failed"
            assert failed.recovery.reason == "model_changed"  # type: ignore[union-attr]


async def test_a_drain_waits_for_it(tmp_path: Path) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS)) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        await put_aside(here, run)
        drained = asyncio.create_task(here.service.drain())
        source = await kept(here, run)
        await drained
        assert texts_of(source) == "".join(WORDS)


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("letting_go", [False, True])
async def test_the_next_process_goes_on_with_it(tmp_path: Path, planned: bool, letting_go: bool) -> None:
    path = tmp_path / "store.db"
    async with one_place(path, say(*WORDS), waits=True, abort_ticks=3 * letting_go) as here:
        run = await here.create(make_request("hi", **FLEX))
        await here.say(2)
        other = await here.create(make_request("quick!", **PRIORITY))
        assert here.service.queue.scheduler.is_put_aside(run.response_id) != letting_go
        here.flush()
        if planned:
            await here.service.shutdown(leave=True)
        else:
            await here.die()
    assert tip_of(path) > 0
    async with one_place(path, say(*WORDS)) as here:
        for one in (run, other):
            source = await kept(here, one)
            assert source.response.status == "completed"
            assert texts_of(source) == "".join(WORDS)


async def test_in_a_conversation_the_next_response_waits_for_its_end(tmp_path: Path) -> None:
    async with one_place(tmp_path / "store.db", say(*WORDS)) as here:
        conversation = here.service.conversations.create(LOCAL, [], {})
        ref: dict[str, Any] = {"conversation": conversation.id}
        first = await here.create(make_request("one", **FLEX, **ref))
        await here.say(2)
        second = await here.create(make_request("two", **PRIORITY, **ref))
        third = await here.create(make_request("three", **PRIORITY))
        order: Sequence[Run] = (third, first, second)
        while here.runs:
            here.engine.step()
            await here.settle()
            over = [one for one in order if one.over]
            assert over == list(order[: len(over)])


async def test_of_two_that_could_only_the_one_that_goes_on_exactly_is_put_aside(tmp_path: Path) -> None:
    async with house(
        tmp_path / "store.db", say(*WORDS), settings=changed(settings(), max_running_responses=2), seeds_are_free=False
    ) as here:
        exact = await here.create(make_request("hi", temperature=0.0, **FLEX))
        await here.create(make_request("hi", temperature=1.0, **FLEX))
        await put_aside(here, exact)
        await here.create(make_request("quick!", **PRIORITY))
        assert here.service.queue.scheduler.waiting_by_class[-1] == 1, "the other one stays"  # type: ignore[index]
