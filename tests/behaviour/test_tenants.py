"""Every operation on something of another tenant's: it does not exist, and nothing happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import say
from realtime.server.routes import OPERATIONS
from realtime.settings.fields import Settings
from tests.behaviour.test_items import Turns
from tests.support.http import http
from tests.support.server import changed, running
from tests.support.steps import begin, finish, make_keys, take_all
from tests.support.transcript import assert_error

PATH = "/v1/responses"
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/responses": {"input": "x", "previous_response_id": "{response_id}"},
    "POST /v1/responses/compact": {"model": "starter", "previous_response_id": "{response_id}"},
    "POST /v1/responses/input_tokens": {"input": "x", "previous_response_id": "{response_id}"},
    "POST /v1/conversations/{conversation_id}": {"metadata": {"a": "b"}},
    "POST /v1/conversations/{conversation_id}/items": {"items": [{"role": "user", "content": "x"}]},
}
ANSWER = {"type": "function_call_output", "call_id": "c", "output": "x"}
TABLE = [
    (operation.method, operation.path, BODIES.get(f"{operation.method} {operation.path}"))
    for operation in OPERATIONS
    if "_id}" in operation.path or f"{operation.method} {operation.path}" in BODIES
]
MORE: list[tuple[str, str, Any]] = [
    ("POST", PATH, {"input": "x", "conversation": "{conversation_id}"}),
    ("POST", f"{PATH}/input_tokens", {"input": "x", "conversation": "{conversation_id}"}),
    ("POST", PATH, {"input": [{"type": "item_reference", "id": "{item_id}"}]}),
    ("GET", f"{PATH}/{{response_id}}?stream=true", None),
]
SOCKET: list[dict[str, Any]] = [
    {"type": "response.create", "input": "x", "previous_response_id": "{response_id}"},
    {"type": "response.create", "input": "x", "conversation": "{conversation_id}"},
    {"type": "response.cancel", "response_id": "{response_id}"},
    {"type": "response.cancel", "response_id": "{response_id}", "through": 1},
    {"type": "response.interrupt", "response_id": "{response_id}"},
    {"type": "response.resume", "response_id": "{response_id}"},
    {"type": "response.detach", "response_id": "{response_id}"},
    {"type": "response.steer", "previous_response_id": "{response_id}", "input": "x"},
    {"type": "response.inject", "response_id": "{response_id}", "input": [ANSWER]},
]


def filled(value: Any, names: dict[str, str]) -> Any:
    """The value with the ids in the places of their names."""
    text = json.dumps(value)
    for name, name_value in names.items():
        text = text.replace(f"{{{name}}}", name_value)
    return json.loads(text)


def plain(text: str, names: dict[str, str]) -> Any:
    """An answer without what is different in any two answers."""
    for name in names.values():
        text = text.replace(name, "X")
    answer = json.loads(text)
    return {name: value for name, value in answer.items() if name not in ("sequence_number", "event_id")}


async def test_what_is_another_tenants_does_not_exist(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada", "eve")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    script = Turns(("done",), *[("word ",) * 10_000] * 2)
    async with (
        running(script, settings, tick_seconds=None) as server,
        http(server, keys["ada"]) as ada,
        http(server, keys["eve"]) as eve,
        server.client(key=keys["ada"]) as socket,
        server.client(key=keys["eve"]) as eves,
    ):
        made = (await ada.post("/v1/conversations", json={"items": [{"role": "user", "content": "x"}]})).json()["id"]
        page = (await ada.get(f"/v1/conversations/{made}/items")).json()
        running_id = await begin(socket)
        stored = asyncio.create_task(take_all(socket, running_id))
        await finish(server)
        await stored
        finished_id, running_id = running_id, await begin(socket)
        for response_id in (finished_id, running_id):
            foreign = {"response_id": response_id, "conversation_id": made, "item_id": page["first_id"]}
            unknown = {name: f"{value[:6]}{'0' * 32}" for name, value in foreign.items()}
            for method, path, body in [*TABLE, *MORE]:
                answers = []
                for names in (foreign, unknown):
                    answer = await eve.request(method, path.format(**names), json=filled(body, names) if body else None)
                    assert 400 <= answer.status_code < 500, (method, path, answer.text)
                    answers.append((answer.status_code, plain(answer.text, names)))
                assert answers[0] == answers[1], (method, path)
            for event in SOCKET:
                told = []
                for names in (foreign, unknown):
                    await eves.connection.send(json.dumps(filled(event, names)))
                    told.append(plain(await eves.receive_raw(), names))
                assert told[0] == told[1], event
                assert told[0]["type"] in ("error", "response.steer.failed", "response.inject.failed")
        assert (await ada.get(f"/v1/conversations/{made}/items")).json() == page
        assert (await ada.get(f"{PATH}/{running_id}")).json()["status"] == "in_progress"
        assert (await ada.get(f"{PATH}/{finished_id}")).json()["status"] == "completed"


def test_the_table_has_every_operation_on_something_that_is_owned() -> None:
    assert len(TABLE) >= 12


async def salts(settings: Settings, *keys: str | None) -> list[list[str | None]]:
    """The salts of the engine's requests: for each key an answer, one with the client's own salt, and a compaction."""
    seen: list[str | None] = []

    def script(request: EngineRequest) -> tuple[str, ...]:
        seen.append(request.cache_salt)
        return ("done",)

    told = []
    history = [{"role": role, "content": "word " * 400} for role in ("user", "assistant") * 4]
    async with running(script, settings, max_model_len=2000) as server:
        for key in keys:
            seen.clear()
            async with http(server, key) as client:
                for body in ({"input": "x"}, {"input": "x", "cache_salt": "mine"}):
                    assert (await client.post(PATH, json=body)).status_code == 200
                answer = await client.post(f"{PATH}/compact", json={"model": "starter", "input": history})
                assert answer.status_code == 200, answer.text
            told.append(list(seen))
    return told


async def test_tenants_do_not_share_the_prefix_cache(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada", "eve")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    ada, again, eve = await salts(settings, keys["ada"], keys["ada"], keys["eve"])
    plain, own, *compacted = ada
    assert ada == again
    assert set(compacted) == {plain}, "all that is generated for her goes the same way"
    assert None not in ada
    assert plain != own
    assert not {*ada} & {*eve}


async def test_the_operator_may_have_tenants_share_the_prefix_cache(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada", "eve")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"), share_prefix_cache=True)
    for plain, own, *compacted in await salts(settings, *keys.values()):
        assert (plain, own, set(compacted)) == (None, "mine", {None})


async def test_without_keys_the_salt_is_the_clients() -> None:
    ((plain, own, *compacted),) = await salts(changed(), None)
    assert (plain, own, set(compacted)) == (None, "mine", {None})


async def test_one_tenant_may_not_take_all_places(tmp_path: Path) -> None:
    """A tenant that asks for much waits and is then refused, while another is served at once."""
    keys = make_keys(tmp_path / "keys.json", "greedy", "other")
    settings = changed(
        api_keys_file=str(tmp_path / "keys.json"), max_running_responses=2, max_waiting_responses=2, max_connections=6
    )
    async with (
        running(say("a"), settings, tick_seconds=None) as server,
        server.client(key=keys["greedy"]) as greedy,
        server.client(key=keys["other"]) as other,
    ):
        await greedy.send("response.create", input="hi", stream_id="a")
        assert (await greedy.receive())["type"] == "response.created"
        await greedy.send("response.create", input="hi", stream_id="b")
        while (event := await greedy.receive())["type"] != "response.queued":
            pass
        assert event["stream_id"] == "b", "though a place is free"
        await greedy.send("response.create", input="hi", stream_id="c")
        refused = await greedy.receive()
        assert_error(refused, "too_many_queued_requests", 429, retry=True)
        assert refused["error"]["retry_after"] >= 1
        await other.send("response.create", input="hi")
        assert [(await other.receive())["type"] for _ in "ab"] == ["response.created", "response.in_progress"]


async def test_one_tenant_may_not_take_all_connections(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "greedy", "other")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"), max_connections=4)
    async with running(say("a"), settings) as server, contextlib.AsyncExitStack() as open_sockets:
        for _ in "ab":
            await open_sockets.enter_async_context(server.client(key=keys["greedy"]))
        with pytest.raises(InvalidStatus) as refused:
            await open_sockets.enter_async_context(server.client(key=keys["greedy"]))
        assert refused.value.response.status_code == 429
        assert json.loads(refused.value.response.body)["error"]["code"] == "too_many_queued_requests"
        assert "retry-after" in refused.value.response.headers
        async with server.client(key=keys["other"]) as other:
            assert (await other.create())[-1]["type"] == "response.completed"
