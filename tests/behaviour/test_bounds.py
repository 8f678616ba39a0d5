"""What a client can make the server keep is counted and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Pause, ScriptedTokenizer, Step, say
from realtime.service import sweeper
from realtime.store.memory.conversations import MemoryConversations
from realtime.store.memory.requests import MemoryRequests
from realtime.store.memory.responses import MemoryResponses
from tests.support.http import assert_refused, http
from tests.support.raw import RawSocket
from tests.support.server import changed, running
from tests.support.steps import engine_holds, until
from tests.support.transcript import check

PATH = "/v1/responses"


async def test_metadata_of_conversations_counts() -> None:
    """A conversation may be nothing but metadata."""
    metadata = {f"{n:02}" + "k" * 62: "v" * 512 for n in range(16)}
    size = len(msgspec.json.encode(metadata))
    async with running(settings=changed(max_conversation_bytes=65536, max_conversation_store_bytes=65536)) as server:
        store = server.gateway.service.conversations.store
        assert isinstance(store, MemoryConversations)
        async with http(server) as client:
            for _ in range(20):
                await client.post("/v1/conversations", json={"metadata": metadata})
            assert len(store) <= 65536 // size
            last = (await client.post("/v1/conversations", json={})).json()["id"]
            await client.post(f"/v1/conversations/{last}", json={"metadata": metadata})
            assert size <= store.num_bytes <= 65536
            await client.delete(f"/v1/conversations/{last}")
        held = [one for shelf in store._tenants.values() for one in shelf.conversations.values()]
        assert store.num_bytes == sum(one.num_bytes for one in held)


async def test_claims_are_forgotten_behind_those_that_last() -> None:
    """Four responses that run for ever do not keep the names of all that come after them."""

    def script(request: EngineRequest) -> Iterator[Step]:
        if "for ever" in ScriptedTokenizer().decode(request.prompt_token_ids):
            yield Pause(1 << 40)
        yield "x"

    settings = changed(retention_seconds=0.0, linger_seconds=0.0)
    async with running(script, settings, max_num_seqs=16) as server, http(server) as client:
        for n in range(4):
            await client.post(PATH, json={"input": "for ever", "background": True, "request_id": f"long {n}"})
        for n in range(40):
            await client.post(PATH, json={"input": "hi", "request_id": f"short {n}"})
        requests = server.gateway.service._stores.requests
        assert isinstance(requests, MemoryRequests)
        assert len(requests) < 20


async def test_a_flood_of_large_inputs_that_fail_is_bounded() -> None:
    settings = changed(max_log_bytes=1 << 16, max_store_bytes=1 << 20)
    async with running(settings=settings, max_model_len=1000) as server, http(server) as client:
        store = server.gateway.service._stores.responses
        assert isinstance(store, MemoryResponses)
        for _ in range(12):
            answer = await client.post(PATH, json={"input": "word " * 60_000})
            assert_refused(answer, "context_length_exceeded", 400)
        assert 0 < len(store._kept) <= 3
        assert store._num_bytes <= 1 << 20
        assert sum(len(str(kept.record.input)) for kept in store._kept.values()) <= store._num_bytes


@pytest.mark.parametrize("line", [b"X-Padding: y\r\n", b"y"], ids=["many headers", "a long one"])
async def test_a_head_without_end_is_cut_off(line: bytes) -> None:
    async with running(say("x")) as server:
        for start in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"):  # the second request of a connection as well
            sock = await RawSocket.open(server.port)
            await sock.send(start + b"GET /health HTTP/1.1\r\nHost: x\r\nX: y")
            for _ in range(200):
                await sock.send(line * (16384 // len(line)))
            if start:
                await sock.response()
            with pytest.raises((EOFError, ConnectionError)):
                await sock.some()
            sock.close()


def text_format(schema: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "n", "schema": schema}}


def strict_tool(schema: Any, **members: Any) -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": schema, "strict": True, **members}


def regex_tool(definition: str) -> dict[str, Any]:
    form = {"type": "grammar", "syntax": "regex", "definition": definition}
    return {"type": "custom", "name": "c", "format": form}


GROUPS = {"type": "string", "pattern": "(" * 60_000 + "a" + ")" * 60_000}
REPEATS = {"type": "string", "pattern": "^a{20000}$"}
IN_GROUPS = {"type": "object", "properties": {"x": GROUPS}}
CHAIN = {
    "$defs": {**{f"D{n}": {"$ref": f"#/$defs/D{n + 1}"} for n in range(20_000)}, "D20000": {"type": "integer"}},
    "$ref": "#/$defs/D0",
}
ASKED_TOO_MUCH: list[tuple[dict[str, Any], str, str]] = [
    ({"text": text_format(GROUPS)}, "text.format.schema", "4096 characters in a `pattern`"),
    ({"text": text_format(REPEATS)}, "text.format.schema", "128 repeats"),
    ({"text": text_format(CHAIN)}, "text.format.schema", "accepted"),
    ({"text": text_format({"$ref": "#"})}, "text.format.schema", "'#' leads only to itself"),
    ({"text": text_format({"type": "not-a-type"})}, "text.format.schema", "'not-a-type'"),
    ({"tools": [{"type": "web_search"}, strict_tool(IN_GROUPS)]}, "tools[1].parameters", "in a `pattern`"),
    ({"tools": [strict_tool({"type": "not-a-type"})]}, "tools[0].parameters", "'not-a-type'"),
    (
        {"tools": [strict_tool(IN_GROUPS, strict=False)], "tool_choice": "required"},
        "tools[0].parameters",
        "in a `pattern`",
    ),
    (
        {"tools": [{"type": "namespace", "name": "n", "tools": [strict_tool(IN_GROUPS)]}]},
        "tools[0].tools[0].parameters",
        "in a `pattern`",
    ),
    ({"tools": [regex_tool("\\")], "tool_choice": "required"}, "tools[0].format.definition", "backslash at its end"),
    ({"tools": [regex_tool("(" * 9000 + ")" * 9000)]}, "tools[0].format.definition", "64 levels of groups"),
    (
        {"input": [{"type": "additional_tools", "tools": [strict_tool(IN_GROUPS)]}]},
        "input[0].tools[0].parameters",
        "in a `pattern`",
    ),
    (
        {"input": [{"type": "configuration_update", "text": text_format(REPEATS)}]},
        "input[0].text.format.schema",
        "128 repeats",
    ),
]


@pytest.mark.parametrize(("members", "param", "reason"), ASKED_TOO_MUCH)
async def test_a_schema_that_no_compiler_should_see_is_refused_before_anything_starts(
    members: dict[str, Any], param: str, reason: str
) -> None:
    async with running(say("x")) as server, http(server) as over_http, server.client() as client:
        answer = await over_http.post(PATH, json={"input": "hi", **members})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("invalid_request", param)
        assert reason in error["message"]
        assert len(error["message"]) < 400
        await client.send("response.create", **{"input": "hi", **members})
        told = await client.receive()
        assert (told["type"], told["error"]["code"], told["error"]["param"]) == ("error", "invalid_request", param)
        assert check(await client.create("hi"))["status"] == "completed"  # the lane goes on
        assert engine_holds(server) == 0


async def test_a_schema_that_is_only_described_is_not_bounded() -> None:
    """A tool that is not strict is text for the model, unless it must be called."""
    many_groups = {"type": "object", "properties": {"x": {"type": "string", "pattern": "(" * 100 + "a" + ")" * 100}}}
    async with running(say("x")) as server, server.client() as client:
        events = await client.create(tools=[strict_tool(many_groups, strict=False)])
        assert check(events)["status"] == "completed"


async def test_nobody_has_to_ask_for_what_has_expired_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "MIN_SECONDS", 0.001)
    settings = changed(retention_seconds=3600.0, linger_seconds=0.02)
    async with running(settings=settings) as server, http(server) as client:
        store = server.gateway.service._stores.responses
        assert isinstance(store, MemoryResponses)
        kept = (await client.post(PATH, json={"input": "hi"})).json()["id"]
        await client.post(PATH, json={"input": "hi", "store": False})
        await until(lambda: list(store._kept) == [kept], "the one that is not stored to go")
    assert server.gateway.service._sweeper._timer is None
