"""The service's own decisions: what a create leaves behind when it fails, and which of several errors is told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.scripted import ScriptedEngine, say
from realtime.engine.supervisor import SupervisedEngine
from realtime.runs.run import Run
from realtime.service.principal import LOCAL
from realtime.service.run_tasks import RunTasks
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.store.memory.requests import MemoryRequests
from realtime.store.memory.stores import memory_stores
from realtime.wire.errors import ErrorCode, WireError
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_request

__all__ = ["nothing_left"]
BOTH = {"conversation": "c", "previous_response_id": "r"}
ODD = [{"type": "odd"}]


class Bug(Exception):
    """Something of ours that is broken."""


def broken(*_: Any, **__: Any) -> Any:
    raise Bug


@contextlib.asynccontextmanager
async def serving(trouble: str | None = None, **members: Any) -> AsyncIterator[Service]:
    settings = ResponseSettings(**members)
    engine = SupervisedEngine(lambda: ScriptedEngine(say("one"), tick_seconds=0))
    await engine.start()
    service = Service(
        engine,
        lambda loaded: ChatDialect(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer)),
        settings,
        memory_stores(settings),
        trouble=lambda: trouble,
    )
    try:
        yield service
        await service.drain()
    finally:
        await service.shutdown()
        await engine.shutdown()


def num_claims(service: Service) -> int:
    requests = service._stores.requests
    assert isinstance(requests, MemoryRequests)
    return len(requests)


async def create(service: Service, **members: Any) -> Any:
    return await service.create(LOCAL, make_request(**members), None, native=True)


@pytest.mark.parametrize(("where", "what"), [(RunTasks, "_new_log"), (Run, "__init__"), (Run, "start")])
async def test_a_create_that_fails_after_it_was_admitted_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch, where: type, what: str
) -> None:
    async with serving(max_running_responses=1, max_waiting_responses=0) as service:
        conversation = service.conversations.store.create("local", {}, 0)
        request = {"request_id": "again", "conversation": conversation.id}
        with monkeypatch.context() as patch:
            patch.setattr(where, what, broken)
            with pytest.raises(Bug):
                await create(service, **request)
        assert (service.num_running, service.held.num_admitted, num_claims(service)) == (0, 0, 0)
        assert conversation.num_users == 0
        held = await create(service, **request)
        await service.drain()
        assert held.response.status == "completed"


async def test_a_create_that_fails_while_others_wait_harms_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(max_running_responses=1, max_waiting_responses=5) as service:
        held = [await create(service), await create(service)]
        with monkeypatch.context() as patch:
            patch.setattr(Run, "start", broken)
            with pytest.raises(Bug):
                await create(service)
        assert (service.held.num_admitted, service.queue.scheduler.num_waiting) == (1, 1)
        await service.drain()
        assert [one.response.status for one in held] == ["completed", "completed"]


async def test_who_finds_no_place_is_told_to_come_back_and_leaves_nothing() -> None:
    async with serving(max_running_responses=1, max_waiting_responses=0) as service:
        await create(service)
        with pytest.raises(WireError) as full:
            await create(service, request_id="r")
        assert full.value.code is ErrorCode.SERVER_IS_OVERLOADED
        assert (service.num_running, num_claims(service)) == (1, 0)
        await service.drain()


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"model": "odd", "background": True, "store": False}, ErrorCode.MODEL_NOT_FOUND, "model"),
        ({"background": True, "store": False, **BOTH}, ErrorCode.INVALID_REQUEST, "background"),
        (BOTH, ErrorCode.INVALID_REQUEST, "conversation"),
        ({"conversation": "c", "tools": ODD}, ErrorCode.CONVERSATION_NOT_FOUND, "conversation"),
        ({"previous_response_id": "r", "tools": ODD}, ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND, "previous_response_id"),
    ],
)
async def test_of_several_things_that_are_wrong_the_first_one_is_told(
    members: Any, code: ErrorCode, param: str
) -> None:
    async with serving() as service:
        with pytest.raises(WireError) as error:
            await create(service, **members)
        assert (error.value.code, error.value.param) == (code, param)


async def test_a_retry_attaches_whatever_the_server_has_come_to_meanwhile() -> None:
    async with serving() as service:
        held = await create(service, request_id="r")
        await service.drain()
        with pytest.raises(WireError) as closed:
            await create(service)
        assert closed.value.code is ErrorCode.SERVER_DRAINING
        assert (await create(service, request_id="r")).response_id == held.response_id
        with pytest.raises(WireError) as conflict:
            await create(service, request_id="r", seed=5)
        assert conflict.value.code is ErrorCode.IDEMPOTENCY_CONFLICT


async def test_nothing_is_started_while_no_engine_serves() -> None:
    async with serving(trouble="The engine is away.") as service:
        with pytest.raises(WireError, match=r"The engine is away\.") as away:
            await create(service)
        assert away.value.code is ErrorCode.ENGINE_UNAVAILABLE


async def test_counting_looks_up_and_decides_as_creating_does() -> None:
    async with serving() as service:
        held = await create(service)
        await service.drain()
        alone = await service.counting.count(LOCAL, make_request())
        assert alone == held.response.usage.input_tokens
        more = make_request(previous_response_id=held.response_id)
        assert await service.counting.count(LOCAL, more) > alone
        for members, code in (
            (BOTH, ErrorCode.INVALID_REQUEST),
            ({"conversation": "c"}, ErrorCode.CONVERSATION_NOT_FOUND),
            ({"tools": ODD}, ErrorCode.INVALID_REQUEST),
        ):
            with pytest.raises(WireError) as error:
                await service.counting.count(LOCAL, make_request(**members))
            assert error.value.code is code
