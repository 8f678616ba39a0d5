"""Look-ups that wait, fail, or bring what is no longer true; stores that can't write: what the service makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.scripted import ScriptedEngine, say
from realtime.engine.supervisor import SupervisedEngine
from realtime.service.patience import Patience
from realtime.service.principal import LOCAL
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import ItemReference
from realtime.wire.requests import Through
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_request, turns_until, user
from tests.support.slow_store import Gate, assert_nothing_left, slow_stores

__all__ = ["nothing_left"]
LATE = pytest.mark.parametrize("asks_first", [False, True], ids=["asks late", "answers late"])
E = ErrorCode
Call = Callable[["Slow"], Coroutine[Any, Any, Any]]


class Slow:
    """A service on slow stores, with a response `done` and a conversation that holds something."""

    def __init__(self, service: Service, gate: Gate) -> None:
        self.service = service
        self.gate = gate
        self.trouble: str | None = None
        self.conversation = service.conversations.create(LOCAL, [user("before")], {}).id
        [self.item] = gate.memory.conversations._tenants["local"].conversations[self.conversation]._entries
        self.done = ""

    async def create(self, **members: Any) -> Any:
        return await self.service.create(LOCAL, make_request(**members), None, native=True)

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.create_task(work)

    async def at(self, name: str | None = None, number: int = 1) -> None:
        await turns_until(lambda: self.gate.num_waiting(name) == number)


@contextlib.asynccontextmanager
async def slow(**members: Any) -> AsyncIterator[Slow]:
    settings = ResponseSettings(**members)
    stores, gate = slow_stores(settings)
    engine = SupervisedEngine(lambda: ScriptedEngine(say("one"), tick_seconds=0))
    await engine.start()
    service = Service(
        engine,
        lambda loaded: ChatDialect(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer)),
        settings,
        stores,
        trouble=lambda: here.trouble,
    )
    here = Slow(service, gate)
    here.done = (await here.create()).response_id
    await turns_until(lambda: not service.num_running)
    try:
        yield here
        gate.open()
        await service.drain()
        assert_nothing_left(service, gate)
    finally:
        await service.shutdown()
        await engine.shutdown()


async def refusal(work: Any) -> ErrorCode:
    with pytest.raises(WireError) as refused:
        await work
    return refused.value.code


async def raises_oserror(work: Any) -> None:
    with pytest.raises(OSError, match=r"gone|broken"):
        await work


# -- the same request, sent several times at once


def orders() -> Iterator[random.Random]:
    for seed in range(40):
        yield random.Random(seed)


@LATE
async def test_tries_of_one_request_at_once_make_one_run_in_any_order_of_answers(asks_first: bool) -> None:
    for rng in orders():
        async with slow() as here:
            here.gate.asks_first = asks_first
            here.gate.hold()
            tries = [here.begin(here.create(request_id="r")) for _ in range(3)]
            while not all(one.done() for one in tries):
                for _ in range(rng.randint(0, 3)):
                    await asyncio.sleep(0)
                if here.gate.waiting:
                    here.gate.let_go(index=rng.randrange(len(here.gate.waiting)))
            assert len({one.result().response_id for one in tries}) == 1
            assert len(here.gate.memory.requests) == 1


@LATE
@pytest.mark.parametrize("name", ["requests.find", "requests.claim"])
@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_when_one_try_comes_to_nothing_another_one_still_starts_it(name: str, how: str, asks_first: bool) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold(name)
        first, second = (here.begin(here.create(request_id="r")) for _ in range(2))
        await here.at(name)
        if how == "fails":
            here.gate.fail()
            await raises_oserror(first)
        else:
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        await here.at(name)
        assert not here.service.num_running
        here.gate.open()
        started = await second
        assert list(here.service.registry.running) == [started.response_id]
        assert (await here.create(request_id="r")) is started


async def test_tries_of_different_requests_do_not_wait_for_each_other() -> None:
    async with slow() as here:
        here.gate.hold("requests.find")
        stuck = here.begin(here.create(request_id="a"))
        await here.at("requests.find")
        here.gate.hold_if(lambda name: False)
        await here.create(request_id="b")
        await here.create()
        assert not stuck.done()
        here.gate.open()
        await stuck
        assert not here.service._creation._tries, "no lock outlives the tries"


async def test_a_retry_does_not_attach_to_what_was_deleted_while_it_looked() -> None:
    async with slow() as here:
        held = await here.create(request_id="r")
        await turns_until(lambda: not here.service.num_running)
        here.gate.asks_first = True
        for name in ("responses.get", "responses.read"):
            here.gate.hold(name)
            again = here.begin(here.create(request_id="r"))
            await here.at(name)
            here.service.registry.delete(held.response_id)
            here.gate.open()
            new = await again
            assert new.response_id != held.response_id
            assert not new.over
            held = new
            await turns_until(lambda: not here.service.num_running)


# -- what has gone when the look-up is answered

CREATES: dict[str, tuple[str, dict[str, Any]]] = {
    "previous": ("responses.get", {"previous_response_id": "done"}),
    "previous, items": ("responses.find_item", {"previous_response_id": "done", "reference": True}),
    "previous, claim": ("requests.claim", {"previous_response_id": "done", "request_id": "r"}),
    "conversation": ("conversations.get", {"conversation": "conversation"}),
    "conversation, items": ("responses.find_item", {"conversation": "conversation", "reference": True}),
    "conversation, claim": ("requests.claim", {"conversation": "conversation", "request_id": "r"}),
}


def create_after(here: Slow, members: dict[str, Any]) -> Coroutine[Any, Any, Any]:
    members = dict(members)
    reference = members.pop("reference", False)
    for name in ("previous_response_id", "conversation"):
        if name in members:
            members[name] = getattr(here, members[name])
    request = make_request(**members)
    if reference:
        request.items.append(ItemReference(id=here.item))
    return here.service.create(LOCAL, request, None, native=True)


@LATE
@pytest.mark.parametrize(("name", "members"), CREATES.values(), ids=CREATES)
async def test_a_create_does_not_go_on_from_what_was_deleted_while_it_looked(
    name: str, members: dict[str, Any], asks_first: bool
) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold(name)
        creating = here.begin(create_after(here, members))
        await here.at(name)
        if "conversation" in members:
            here.gate.hold_if(lambda name: False)
            await here.service.conversations.delete(LOCAL, here.conversation)
            code = E.CONVERSATION_NOT_FOUND
        else:
            here.service.registry.delete(here.done)
            code = E.PREVIOUS_RESPONSE_NOT_FOUND
        here.gate.open()
        assert await refusal(creating) is code
        assert not here.service.num_running


@pytest.mark.parametrize("members", [{"reference": True}, {"request_id": "r"}], ids=["items", "claim"])
async def test_a_create_finds_a_conversation_full_that_was_filled_while_it_looked(members: dict[str, Any]) -> None:
    async with slow(max_conversation_items=2) as here:
        here.gate.hold("responses.find_item", "requests.claim")
        creating = here.begin(create_after(here, {"conversation": "conversation", **members}))
        await here.at()
        await here.service.conversations.add_items(LOCAL, here.conversation, [user("more")])
        here.gate.open()
        assert await refusal(creating) is E.CONVERSATION_FULL


@LATE
async def test_a_conversation_that_is_given_up_while_a_create_looks_for_it_is_not_found(asks_first: bool) -> None:
    async with slow(max_conversation_store_bytes=4000, max_conversation_bytes=4000) as here:
        here.gate.asks_first = asks_first
        here.gate.hold("conversations.get")
        creating = here.begin(here.create(conversation=here.conversation))
        await here.at()
        here.service.conversations.create(LOCAL, [user("x" * 4000)], {})
        here.gate.open()
        assert await refusal(creating) is E.CONVERSATION_NOT_FOUND


OPERATIONS: dict[str, Call] = {
    "retrieve": lambda here: here.service.conversations.retrieve(LOCAL, here.conversation),
    "update": lambda here: here.service.conversations.update(LOCAL, here.conversation, {"a": "b"}),
    "delete": lambda here: here.service.conversations.delete(LOCAL, here.conversation),
    "add": lambda here: here.service.conversations.add_items(LOCAL, here.conversation, [user("more")]),
    "list": lambda here: here.service.conversations.list_items(LOCAL, here.conversation),
    "item": lambda here: here.service.conversations.retrieve_item(LOCAL, here.conversation, here.item),
    "remove": lambda here: here.service.conversations.delete_item(LOCAL, here.conversation, here.item),
    "count": lambda here: here.service.counting.count(LOCAL, make_request(conversation=here.conversation)),
}


@LATE
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("others", [0, 1], ids=["the only one", "one of two"])
async def test_what_is_done_to_a_conversation_that_was_deleted_meanwhile_is_refused(
    operation: Call, asks_first: bool, others: int
) -> None:
    async with slow() as here:
        for _ in range(others):
            here.service.conversations.create(LOCAL, [], {})
        here.gate.asks_first = asks_first
        here.gate.hold("conversations.get")
        doing = here.begin(operation(here))
        await here.at()
        here.gate.hold_if(lambda name: False)
        await here.service.conversations.delete(LOCAL, here.conversation)
        here.gate.open()
        assert await refusal(doing) is E.CONVERSATION_NOT_FOUND


ASKED: dict[str, Call] = {
    "resume": lambda here: here.service.resume(LOCAL, here.done, -1, None),
    "retrieve": lambda here: here.service.retrieve(LOCAL, here.done),
    "stop": lambda here: here.service.stop(LOCAL, here.done, "cancel"),
    "cancel": lambda here: here.service.cancel(LOCAL, here.done),
    "delete": lambda here: here.service.delete(LOCAL, here.done),
}


@LATE
@pytest.mark.parametrize("name", ["responses.get", "responses.read"])
@pytest.mark.parametrize("asked", ASKED, ids=ASKED)
async def test_what_is_asked_of_a_response_that_was_deleted_meanwhile_is_refused(
    asked: str, name: str, asks_first: bool
) -> None:
    if name == "responses.read" and asked != "resume":
        return  # the log is looked up for nothing else
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold(name)
        asking = here.begin(ASKED[asked](here))
        await here.at()
        here.service.registry.delete(here.done)
        here.gate.open()
        assert await refusal(asking) is E.RESPONSE_NOT_FOUND


# -- a store that can't be written any more when the look-up is answered: a node has lost its lease, say

CHANGES: dict[str, Call] = {
    **{name: OPERATIONS[name] for name in ("update", "delete", "add", "remove")},
    "fork": lambda here: here.service.conversations.fork(LOCAL, here.conversation, None),
    "delete a response": ASKED["delete"],
    "truncate": lambda here: here.service.truncate(LOCAL, here.done, Through(2)),
}


STARTING = {what: create for what, create in CREATES.items() if what != "previous, items"}  # that finds no such item


@LATE
@pytest.mark.parametrize(("name", "members"), STARTING.values(), ids=STARTING)
async def test_nothing_starts_that_can_not_be_written_any_more(
    name: str, members: dict[str, Any], asks_first: bool
) -> None:
    """Its events would go nowhere, and whoever has it next does not know of it."""
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold(name)
        creating = here.begin(create_after(here, members))
        await here.at(name)
        here.gate.trouble = "node a has no lease"
        here.gate.open()
        assert await refusal(creating) is E.STORE_UNAVAILABLE
        assert not here.service.num_running


@LATE
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_no_change_is_confirmed_that_can_not_be_written_any_more(change: Call, asks_first: bool) -> None:
    async with slow() as here:
        conversation = here.gate.memory.conversations._tenants["local"].conversations[here.conversation]
        before = (conversation.items(), dict(conversation.metadata), here.gate.memory.conversations.num_bytes)
        here.gate.asks_first = asks_first
        here.gate.hold()
        changing = here.begin(change(here))
        await here.at()
        here.gate.trouble = "node a has no lease"
        here.gate.open()
        assert await refusal(changing) is E.STORE_UNAVAILABLE
        assert (conversation.items(), conversation.metadata, here.gate.memory.conversations.num_bytes) == before
        record = await here.gate.memory.responses.get(here.done, 0.0)
        assert record is not None
        assert record.response.output == (await here.service.show(LOCAL, here.done)).output
        assert not record.response.truncated


# -- the engine and the end, while something is looked up


@pytest.mark.parametrize("members", [{}, {"request_id": "r"}], ids=["alone", "claimed"])
async def test_an_engine_that_dies_while_a_create_looks_is_told_and_nothing_starts(members: dict[str, Any]) -> None:
    async with slow() as here:
        here.gate.hold("responses.get", "requests.claim")
        creating = here.begin(here.create(previous_response_id=here.done, **members))
        await here.at("responses.get")
        here.trouble = "The engine is away."
        here.gate.open()
        assert await refusal(creating) is E.ENGINE_UNAVAILABLE
        assert not here.service.num_running
        here.trouble = None
        await here.create(**members)


async def test_an_engine_that_becomes_ready_while_a_create_looks_is_used() -> None:
    async with slow() as here:
        here.trouble = "The engine is away."
        here.gate.hold("requests.find")
        creating = here.begin(here.create(request_id="r"))
        await here.at()
        here.trouble = None
        here.gate.open()
        assert not (await creating).over


@pytest.mark.parametrize("members", [{}, {"request_id": "r"}], ids=["alone", "claimed"])
async def test_what_was_looking_when_a_drain_began_is_not_started(members: dict[str, Any]) -> None:
    async with slow() as here:
        here.gate.hold("responses.get", "requests.claim")
        creating = here.begin(here.create(previous_response_id=here.done, **members))
        await here.at()
        await here.service.drain()  # waits for nothing that has not started
        here.gate.open()
        assert await refusal(creating) is E.SERVER_DRAINING


EVERYTHING: dict[str, Call] = {
    **OPERATIONS,
    **ASKED,
    "create": lambda here: here.create(previous_response_id=here.done),
    "claim": lambda here: here.create(request_id="r"),
}


@LATE
@pytest.mark.parametrize("call", EVERYTHING.values(), ids=EVERYTHING)
async def test_a_store_that_does_not_answer_holds_nobody_forever(call: Call, asks_first: bool) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold()
        here.service._patience._seconds = 0.0
        assert await refusal(call(here)) is E.SERVER_IS_OVERLOADED
        assert not here.service.num_running


@LATE
async def test_a_claim_that_takes_too_long_is_given_back_and_those_behind_it_go_on(asks_first: bool) -> None:
    async with slow() as here:
        here.gate.asks_first = asks_first
        here.gate.hold("requests.claim")
        first = here.begin(here.create(request_id="r"))
        await here.at("requests.claim")
        second = here.begin(here.create(request_id="r"))
        await asyncio.sleep(0)
        next(iter(here.service._patience._waits)).reschedule(0.0)
        over, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        here.gate.open()
        for one in over:
            assert await refusal(one) is E.SERVER_IS_OVERLOADED
        [left] = {first, second} - over
        assert (await left).response_id


@pytest.mark.parametrize("call", EVERYTHING.values(), ids=EVERYTHING)
async def test_a_service_that_ends_waits_for_no_look_up(call: Call) -> None:
    async with slow() as here:
        here.gate.hold()
        asking = here.begin(call(here))
        await here.at()
        await here.service.shutdown()
        await turns_until(asking.done)
        assert await refusal(asking) is E.SERVER_IS_OVERLOADED
        later = here.begin(call(here))
        await turns_until(later.done)
        assert await refusal(later) in (E.SERVER_IS_OVERLOADED, E.SERVER_DRAINING)


@pytest.mark.parametrize("call", EVERYTHING.values(), ids=EVERYTHING)
async def test_a_look_up_that_its_store_cancels_has_failed(call: Call) -> None:
    async with slow() as here:
        here.gate.hold()
        asking = here.begin(call(here))
        await here.at()
        here.gate.fail(error=asyncio.CancelledError())
        with pytest.raises(RuntimeError, match="cancelled a look-up"):
            await asking


@pytest.mark.parametrize("call", EVERYTHING.values(), ids=EVERYTHING)
async def test_whoever_is_cancelled_while_it_looks_is_cancelled(call: Call) -> None:
    async with slow() as here:
        here.gate.hold()
        asking = here.begin(call(here))
        await here.at()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_service_may_end_again_while_a_look_up_takes_its_leave() -> None:
    """A drain that is over ends the service, and so does the end of the process: none may fail for what is left."""
    patience, leaving, left = Patience(10), asyncio.Event(), asyncio.Event()

    async def look_up() -> None:
        async with patience.bound():
            try:
                await asyncio.Event().wait()
            finally:
                leaving.set()
                await left.wait()  # a store that gives back what it holds

    looking = asyncio.create_task(look_up())
    await asyncio.sleep(0)
    patience.end()
    await leaving.wait()
    patience.end()
    left.set()
    assert await refusal(looking) is E.SERVER_IS_OVERLOADED


async def test_a_timeout_of_the_stores_own_is_its_own_error() -> None:
    patience = Patience(10)
    with pytest.raises(TimeoutError):
        async with patience.bound():
            raise TimeoutError


# -- stores that fail


@pytest.mark.parametrize("call", EVERYTHING.values(), ids=EVERYTHING)
async def test_a_look_up_that_fails_leaves_nothing_and_works_the_next_time(call: Call) -> None:
    async with slow() as here:
        here.gate.hold()
        asking = here.begin(call(here))
        await here.at()
        here.gate.fail()
        await raises_oserror(asking)
        here.gate.open()
        with contextlib.suppress(WireError):
            await call(here)


@pytest.mark.parametrize("name", ["responses.open", "responses.append"])
async def test_a_response_of_which_no_journal_can_be_begun_does_not_start(name: str) -> None:
    async with slow(max_running_responses=1, max_waiting_responses=0) as here:
        here.gate.broken = {name}
        await raises_oserror(here.create(request_id="r", conversation=here.conversation))
        here.gate.broken.clear()
        assert await here.create(request_id="r", conversation=here.conversation)


async def test_a_store_that_can_neither_open_nor_delete_holds_no_place() -> None:
    async with slow(max_running_responses=1, max_waiting_responses=0) as here:
        here.gate.broken = {"responses.open", "responses.delete"}
        await raises_oserror(here.create(request_id="r"))
        here.gate.broken.clear()
        assert await here.create(request_id="r")


async def test_a_store_that_can_not_append_costs_the_response_that_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    async with slow(max_running_responses=1) as here:
        failed = await here.create(request_id="r")
        waiting = await here.create()
        here.service.follow(LOCAL, failed, lambda: here.gate.broken.clear() if failed.over else None)
        here.gate.broken = {"responses.append"}
        await turns_until(lambda: failed.over)
        assert failed.response.status == "failed"
        assert failed.response.error.code == "server_error"
        assert [record.getMessage().split()[0] for record in caplog.records if record.exc_info] == ["run"]
        caplog.clear()
        again = await here.create(request_id="r")
        await here.service.drain()
        assert (waiting.response.status, again.response.status) == ("completed", "completed")


@pytest.mark.parametrize("name", ["responses.seal", "conversations.respond"])
async def test_a_response_that_can_not_be_kept_is_lost_and_no_other(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with slow(max_running_responses=1) as here:
        lost = await here.create(request_id="r", conversation=here.conversation)
        waiting = await here.create()
        woken: list[bool] = []
        here.service.follow(LOCAL, lost, lambda: woken.append(lost.over))
        here.gate.broken = {name}
        await turns_until(lambda: lost.over)
        await turns_until(lambda: not here.service.queue.scheduler.num_waiting)
        here.gate.broken.clear()
        assert woken[-1], "its readers are told of the end"
        assert not len(here.gate.memory.requests)
        assert lost.response.status == "completed"
        assert await refusal(here.service.retrieve(LOCAL, lost.response_id)) is E.RESPONSE_NOT_FOUND
        assert [record.getMessage().split(" response_id")[0] for record in caplog.records] == ["response not kept"]
        caplog.clear()
        await turns_until(lambda: waiting.over)
        assert waiting.response.status == "completed"
        assert (await here.create(request_id="r")) is not lost
        here.gate.memory.responses.delete(lost.response_id)  # a journal that nobody could end


async def test_a_response_that_is_deleted_while_it_runs_leaves_no_journal() -> None:
    async with slow() as here:
        held = await here.create(request_id="r")
        await here.service.delete(LOCAL, held.response_id)
        await here.service.drain()
        assert held.over
        assert not here.gate.memory.responses._tips
