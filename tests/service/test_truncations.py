"""Truncations on stores that answer late, or with what is no longer true; and of logs that are long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from realtime.context.turns import Turn
from realtime.runs.cutoff import Cutoff, Written, find_cutoff
from realtime.service import truncations
from realtime.service.list_pages import PageQuery
from realtime.service.principal import LOCAL
from realtime.service.truncations import CutResponse
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import Message, id_of
from realtime.wire.requests import Place, Through
from realtime.wire.response import Response
from tests.service.test_slow_store import LATE, Slow, create_after, refusal, slow
from tests.support.event_loop import nothing_left
from tests.support.jobs import turns_until, user
from tests.support.responses import text_in

__all__ = ["nothing_left"]
FIRST_DELTA = 4  # created, in_progress, item added, part added; the answer is "one"
CREATES: dict[str, tuple[str, dict[str, Any]]] = {
    "parent": ("responses.get", {"previous_response_id": "done"}),
    "parent, items": ("responses.find_item", {"previous_response_id": "done", "reference": True}),
    "parent, claim": ("requests.claim", {"previous_response_id": "done", "request_id": "r"}),
}


async def cut(here: Slow, response_id: str, through: int) -> Response:
    answered = await here.service.truncate(LOCAL, response_id, Through(through))
    assert isinstance(answered, CutResponse)
    return answered.response


def texts(turn: Turn | None) -> list[str]:
    items = turn.items() if turn is not None else []
    return [text_in(item) for item in items if isinstance(item, Message) and item.role == "assistant"]


async def in_conversation(here: Slow) -> str:
    response_id = str((await here.create(conversation=here.conversation)).response_id)
    await turns_until(lambda: not here.service.num_running)
    return response_id


@LATE
@pytest.mark.parametrize(("name", "members"), CREATES.values(), ids=CREATES)
async def test_a_create_goes_on_after_what_is_left_though_it_looked_before(
    name: str, members: dict[str, Any], asks_first: bool
) -> None:
    async with slow() as here:
        other = (await here.create()).response_id
        await turns_until(lambda: not here.service.num_running)
        (message,) = (await here.service.retrieve(LOCAL, other)).output
        here.item = str(id_of(message))
        here.gate.asks_first = asks_first
        here.gate.hold(name)
        create = here.begin(create_after(here, members))
        await here.at(name)
        here.gate.hold_if(lambda name: False)
        await cut(here, here.done, FIRST_DELTA - 1)
        here.gate.open()
        run = await create
        assert texts(run.job.parent) == []


@LATE
async def test_a_turn_that_the_caller_holds_itself_is_cut_too(asks_first: bool) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        record = await here.service.retrieve(LOCAL, here.done)
        assert texts(record.turn) == ["one"]
        await cut(here, here.done, -1)
        request = (await here.create()).job.request
        run = await here.service.create(LOCAL, request, record.turn, native=True)
        assert not isinstance(run, Response)
        assert texts(run.job.parent) == []  # type: ignore[attr-defined]
        assert texts(record.turn) == ["one"], "and the value that others hold is what it was"


@LATE
@pytest.mark.parametrize("name", ["responses.get", "responses.read", "conversations.get"])
async def test_of_two_truncations_that_know_nothing_of_each_other_the_shorter_holds(
    name: str, asks_first: bool
) -> None:
    for order in ((-1, 99), (99, -1)):
        async with slow() as here:
            response_id = await in_conversation(here)
            tip = (await here.service.resume(LOCAL, response_id, -1, None))[0].log.tip
            here.gate.asks_first = asks_first
            here.gate.hold(name)
            cuts = [here.begin(cut(here, response_id, min(number, tip - 1))) for number in order]
            await here.at(name, 2)
            here.gate.let_go(name)
            await turns_until(cuts[0].done)
            here.gate.open()
            for one in cuts:
                await one
            record = await here.service.retrieve(LOCAL, response_id)
            assert record.response.output == []
            assert record.response.truncated
            assert record.response.truncated.through == -1
            found = await here.service.conversations.list_items(LOCAL, here.conversation)
            assert [item.type for item in map(_brief, found.data)] == ["message", "message"]


def _brief(item: Any) -> Any:
    return type("Brief", (), {"type": item.__struct_config__.tag})


@LATE
@pytest.mark.parametrize("name", ["responses.get", "responses.read", "conversations.get"])
async def test_what_is_deleted_while_it_is_looked_up_is_not_cut(name: str, asks_first: bool) -> None:
    async with slow() as here:
        response_id = await in_conversation(here)
        before = await here.service.conversations.list_items(LOCAL, here.conversation)
        here.gate.asks_first = asks_first
        here.gate.hold(name)
        work = here.begin(cut(here, response_id, FIRST_DELTA - 1))
        await here.at(name)
        here.service.registry.delete(response_id)
        here.gate.open()
        assert await refusal(work) is ErrorCode.RESPONSE_NOT_FOUND
        assert await here.service.conversations.list_items(LOCAL, here.conversation) == before
        assert list(here.gate.memory.responses._kept) == [here.done], "nor is it kept again"


@LATE
async def test_what_goes_on_while_it_is_looked_up_is_seen(asks_first: bool) -> None:
    async with slow() as here:
        response_id = await in_conversation(here)
        here.gate.asks_first = asks_first
        here.gate.hold("conversations.get")
        work = here.begin(cut(here, response_id, FIRST_DELTA - 1))
        await here.at("conversations.get")
        here.gate.hold_if(lambda name: False)
        await here.service.conversations.add_items(LOCAL, here.conversation, [user("more")])
        here.gate.open()
        assert await refusal(work) is ErrorCode.CONVERSATION_MOVED_ON
        record = await here.service.retrieve(LOCAL, response_id)
        assert texts(record.turn)[-1:] == ["one"], "in one step or not at all"
        assert not record.response.truncated


@LATE
async def test_a_store_that_answers_with_what_it_was_shows_what_is_left(asks_first: bool) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold("responses.get")
        retrieve = here.begin(here.service.retrieve(LOCAL, here.done))
        await here.at("responses.get")
        here.gate.hold_if(lambda name: False)
        left = await cut(here, here.done, FIRST_DELTA - 1)
        here.gate.open()
        assert (await retrieve).response == left
        here.gate.hold("responses.read")
        follow = here.begin(here.service.resume(LOCAL, here.done, -1, None))
        await here.at("responses.read")
        here.gate.hold_if(lambda name: False)
        left = await cut(here, here.done, -1)
        here.gate.open()
        source, _ = await follow
        assert source.response == left


@LATE
async def test_a_list_shows_what_was_cut_while_it_was_looked_up(asks_first: bool) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold("responses.list")
        listing = here.begin(here.service.lists.responses(LOCAL, PageQuery()))
        await here.at("responses.list")
        left = await cut(here, here.done, -1)
        here.gate.open()
        (entry,) = (await listing).data
        assert entry.truncated == left.truncated


async def test_what_the_store_can_not_write_is_not_cut_for_anybody() -> None:
    async with slow() as here:
        here.gate.broken.add("responses.replace")
        with pytest.raises(OSError, match="broken"):
            await cut(here, here.done, -1)
        here.gate.broken.clear()
        record = await here.service.retrieve(LOCAL, here.done)
        assert texts(record.turn) == ["one"]


async def test_only_so_many_cuts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime.service import registry

    monkeypatch.setattr(registry, "_MAX_REMEMBERED", 3)
    async with slow() as here:
        for _ in range(6):
            response_id = (await here.create()).response_id
            await turns_until(lambda: not here.service.num_running)
            await cut(here, response_id, -1)
            await cut(here, response_id, 2)
        assert len(here.service.registry._cutoffs) == 3
        here.service.registry.delete(response_id)
        assert len(here.service.registry._cutoffs) == 2


@pytest.mark.parametrize("ended_first", [False, True])
async def test_a_long_log_is_searched_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch, ended_first: bool) -> None:
    """In the threads that tenants share by turns. What is found holds however far the response has gone meanwhile."""
    threads: list[str] = []

    def search(written: Written, place: Place) -> Cutoff:
        threads.append(threading.current_thread().name)
        return find_cutoff(written, place)

    monkeypatch.setattr(truncations, "_LONG", 0)
    monkeypatch.setattr(truncations, "find_cutoff", search)
    async with slow() as here:
        run = await here.create()
        if ended_first:
            await turns_until(lambda: run.over)
        else:
            await turns_until(lambda: run.log.tip > 1)
        left = await cut(here, run.response_id, 1)
        assert left.output == []
        assert left.truncated
        assert all(name.startswith("realtime-work") for name in threads), threads
        assert len(threads) == 1
        assert (await here.service.retrieve(LOCAL, run.response_id)).response == left
        assert texts((await here.service.retrieve(LOCAL, run.response_id)).turn) == []


async def test_a_cancel_with_a_number_that_meets_the_end_cuts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow() as here:
        run = await here.create()
        await turns_until(lambda: run.log.tip > 1)
        here.gate.hold("responses.get")
        stop = here.begin(here.service.cancel_or_truncate(LOCAL, here.done, FIRST_DELTA - 1))
        await here.at("responses.get")
        here.gate.open()
        found = await stop
        assert isinstance(found, CutResponse)
        assert (found.response.output, found.ended) == ([], None)
        with pytest.raises(WireError) as refused:
            await here.service.cancel_or_truncate(LOCAL, here.done, 99)
        assert refused.value.code is ErrorCode.CURSOR_AHEAD
        with pytest.raises(WireError) as unknown:
            await here.service.cancel_or_truncate(LOCAL, "resp_x", 1)
        assert unknown.value.code is ErrorCode.RESPONSE_NOT_FOUND
