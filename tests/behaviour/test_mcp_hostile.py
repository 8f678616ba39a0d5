"""MCP servers that mean harm: whatever they do, the response ends, on time and with the items that the grammar has."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from realtime.settings.fields import McpServer
from tests.behaviour.test_items import Turns
from tests.behaviour.test_mcp import items
from tests.support.calls import TAGGED, called
from tests.support.http import http
from tests.support.server import Client, QuietServer, Running, changed, running

Answer = dict[str, Any] | Response | None  # the result of a method; None: go on as a decent server would
TOOL = {"name": "tool", "description": "A tool", "inputSchema": {"type": "object", "properties": {}}}
Act = Callable[["Rogue", str, dict[str, Any]], Awaitable[Answer]]
CALL = called("tool", {})


class Rogue:
    """x"""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.url = ""
        self.seen: list[str] = []
        self.over = asyncio.Event()  # of the test: whoever never answers may end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            body = json.loads(await request.body() or b"{}")
        except ClientDisconnect:
            return
        method = body.get("method", request.method)
        self.seen.append(method)
        answer = await self.act(self, method, body.get("params") or {})
        if answer is None:
            answer = self._decent(method, body.get("params") or {})
        if not isinstance(answer, Response):
            text = json.dumps({"jsonrpc": "2.0", "id": body.get("id"), "result": answer})
            answer = Response(text, media_type="application/json", headers={"mcp-session-id": "s1"})
        await answer(scope, receive, send)

    def _decent(self, method: str, params: dict[str, Any]) -> Answer:
        match method:
            case "initialize":
                return {
                    "protocolVersion": params["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "rogue", "version": "1"},
                }
            case "tools/list":
                return {"tools": [TOOL]}
            case "tools/call":
                return {"content": [{"type": "text", "text": "fine"}]}
            case "GET":
                return Response(status_code=405)
            case _ if method.startswith("notifications/"):
                return Response(status_code=202)
            case _:
                return Response(status_code=404)


@contextlib.asynccontextmanager
async def rogue(act: Act) -> AsyncIterator[Rogue]:
    app = Rogue(act)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app.url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        server = QuietServer(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield app
        finally:
            app.over.set()
            server.stopped.set()
            await serving


@contextlib.asynccontextmanager
async def serving(server: Rogue, *turns: tuple[str, ...], **settings: Any) -> AsyncIterator[tuple[Running, Client]]:
    what = changed(mcp_servers={"s": McpServer(url=server.url, require_approval="never")}, **settings)
    async with (
        running(Turns(*turns), what, family=TAGGED) as running_server,
        running_server.client() as client,
    ):
        yield running_server, client
        assert running_server.engine.stats().num_running == 0


USE = [{"type": "mcp", "server_label": "s"}]


def check(events: list[dict[str, Any]]) -> dict[str, Any]:
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    response: dict[str, Any] = events[-1]["response"]
    return response


async def endless(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return {"tools": [TOOL], "nextCursor": "more"} if method == "tools/list" else None


async def many(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return {"tools": [{**TOOL, "name": f"t{n}"} for n in range(10_000)]} if method == "tools/list" else None


async def silent(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    await server.over.wait()
    return None


async def silent_list(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return await silent(server, method, params) if method == "tools/list" else None


async def huge(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return {"tools": [{**TOOL, "description": "x" * 30_000_000}]} if method == "tools/list" else None


async def bomb(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    if method != "tools/list":
        return None
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{**TOOL, "description": "x" * 100_000_000}]}})
    headers = {"content-encoding": "gzip"}
    return Response(gzip.compress(text.encode(), 1), media_type="application/json", headers=headers)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with rogue(bomb) as server, serving(server, ("ok",)) as (_, client):
        response = check(await client.create("?", tools=USE))
    assert "DecodingError" in response["output"][0]["error"]


async def elsewhere(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return Response(status_code=307, headers={"location": "http://127.0.0.1:1/steal"})


async def garbage(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return Response(b"\xff\x00{", media_type="application/json")


async def surrogates(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    if method != "tools/list":
        return None
    text = '{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a\\ud800","inputSchema":{"type":"object"}}]}}'
    return Response(text, media_type="application/json")


@pytest.mark.parametrize(
    "act",
    [endless, many, silent, silent_list, huge, bomb, elsewhere, garbage, surrogates],
    ids=lambda act: act.__name__,
)
async def test_a_listing_that_means_harm_fails_and_the_model_goes_on(act: Any) -> None:
    async with rogue(act) as server, serving(server, ("ok",), mcp_timeout_seconds=0.5) as (_, client):
        response = check(await client.create("?", tools=USE))
    assert [item["type"] for item in response["output"]] == ["mcp_list_tools", "message"]
    assert response["output"][0]["error"]
    assert response["status"] == "completed"


async def test_tools_with_odd_names_are_told_apart() -> None:
    names = ["a b", "a_b", "s__a_b", "", "é" * 300, "x" * 500, "mine", "../..", "a\nb", "<tool_call>"]
    schemas: list[Any] = [
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}, {"type": "object", "required": ["a"]},
        {"type": "object", "additionalProperties": False}, {"type": "object", "enum": [2**60]}, {"type": "object"},
    ]  # fmt: skip

    async def odd(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
        tools = [{"name": name, "inputSchema": schemas[at % len(schemas)]} for at, name in enumerate(names)]
        return {"tools": tools} if method == "tools/list" else None

    mine = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
    async with rogue(odd) as server, serving(server, called("mine", {}), ("ok",)) as (_, client):
        response = check(await client.create("?", tools=[*USE, mine]))
    assert response["status"] == "completed", response["error"]
    assert [item["type"] for item in response["output"]] == ["mcp_list_tools", "function_call"]
    assert [tool["name"] for tool in response["output"][0]["tools"]] == names


async def megabytes(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return {"content": [{"type": "text", "text": "x" * 30_000_000}]} if method == "tools/call" else None


async def bomb_result(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    if method != "tools/call":
        return None
    text = json.dumps({"jsonrpc": "2.0", "id": 3, "result": {"content": [{"type": "text", "text": "x" * 10**8}]}})
    headers = {"content-encoding": "gzip"}
    return Response(gzip.compress(text.encode(), 1), media_type="application/json", headers=headers)


async def odd_result(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    text = '{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"\\ud800"}]}}'
    return Response(text, media_type="application/json") if method == "tools/call" else None


async def silent_call(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return await silent(server, method, params) if method == "tools/call" else None


@pytest.mark.parametrize("act", [megabytes, bomb_result, odd_result, silent_call], ids=lambda act: act.__name__)
async def test_a_result_that_means_harm_fails_the_call_and_the_model_goes_on(act: Any) -> None:
    async with rogue(act) as server, serving(server, CALL, ("ok",), mcp_timeout_seconds=0.5) as (_, client):
        response = check(await client.create("?", tools=USE))
    assert [item["type"] for item in response["output"]] == ["mcp_list_tools", "mcp_call", "message"]
    assert response["output"][1]["status"] == "failed"
    assert response["status"] == "completed"


async def test_a_cancel_does_not_wait_for_a_server_that_never_answers() -> None:
    """Neither the word that the call is cancelled nor the good-bye is answered."""
    calling = asyncio.Event()

    async def deaf(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
        if method == "tools/call":
            calling.set()
        if method in ("tools/call", "notifications/cancelled", "DELETE"):
            await server.over.wait()
        return None

    async with rogue(deaf) as server, serving(server, CALL, mcp_timeout_seconds=600) as (_, client):
        await client.send("response.create", input="?", tools=USE)
        created = await client.receive()
        await calling.wait()
        await client.send("response.cancel", response_id=created["response_id"])
        events = [created, *await client.until_done()]  # within the client's 10 s for an event
        response = check(events)
    assert response["status"] == "cancelled"
    assert items(events, "mcp_call")[0]["status"] == "incomplete"


async def test_a_server_that_hangs_up_between_two_calls_is_connected_to_again_or_the_call_fails() -> None:
    num = 0

    async def flaky(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
        nonlocal num
        if method == "tools/call":
            num += 1
            if num % 2:
                return Response(status_code=[500, 404, 401][num % 3])
        return None

    turns = [CALL] * 6
    async with rogue(flaky) as server, serving(server, *turns, ("ok",), mcp_timeout_seconds=2) as (_, client):
        response = check(await client.create("?", tools=USE))
    assert response["status"] == "completed"
    assert len(response["output"]) == 8


async def decent(server: Rogue, method: str, params: dict[str, Any]) -> Answer:
    return None


MANAGED = [{"type": "compaction", "compact_threshold": 1}]


async def test_a_compaction_comes_before_listings_and_forgets_no_call() -> None:
    """What stands before a compaction is gone for the next turn, so nothing new may."""
    async with rogue(decent) as server:
        what = changed(mcp_servers={"s": McpServer(url=server.url)})
        script = Turns(CALL, ("sum",), ("answered",), ("next",))
        asking = [{**USE[0], "require_approval": "always"}]
        async with running(script, what, family=TAGGED) as running_server, running_server.client() as client:
            first = check(await client.create("question " * 30, tools=asking))
            yes = {"type": "mcp_approval_response", "approval_request_id": first["output"][-1]["id"], "approve": True}
            await client.send(
                "response.create",
                input=[yes],
                tools=asking,
                previous_response_id=first["id"],
                context_management=MANAGED,
            )
            second = check(await client.until_done())
            assert [item["type"] for item in second["output"]] == [
                "compaction", "mcp_list_tools", "mcp_call", "message",
            ]  # fmt: skip
            assert second["output"][2]["output"] == "fine"
            await client.create("and?", tools=asking, previous_response_id=second["id"])
        assert "fine" in script.prompts[-1]
        assert server.seen.count("tools/call") == 1
        assert server.seen.count("tools/list") == 2


async def test_a_trigger_asks_no_server() -> None:
    async with rogue(decent) as server, serving(server, ("one",), ("sum",)) as (_, client):
        first = check(await client.create("question " * 30, tools=USE))
        server.seen.clear()
        trigger = [{"type": "compaction_trigger"}]
        await client.send("response.create", input=trigger, tools=USE, previous_response_id=first["id"])
        response = check(await client.until_done())
        assert [item["type"] for item in response["output"]] == ["compaction"]
        assert set(server.seen) <= {"DELETE"}  # the first response's good-bye


async def test_a_call_that_is_approved_twice_in_a_conversation_is_made_once() -> None:
    """The second approval waits for the first one's response, and comes too late."""
    async with rogue(decent) as server:
        what = changed(mcp_servers={"s": McpServer(url=server.url)})
        script = Turns(CALL, ("first",), ("second",))
        asking = [{**USE[0], "require_approval": "always"}]
        async with running(script, what, family=TAGGED) as running_server, http(running_server) as api:
            made = (await api.post("/v1/conversations", json={})).json()["id"]
            body = {"conversation": made, "tools": asking}
            first = (await api.post("/v1/responses", json={"input": "go", **body})).json()
            yes = {"type": "mcp_approval_response", "approval_request_id": first["output"][-1]["id"], "approve": True}
            answers = await asyncio.gather(
                *(api.post("/v1/responses", json={"input": [yes], **body}) for _ in range(2))
            )
            outputs = [[item["type"] for item in answer.json()["output"]] for answer in answers]
    assert sorted(outputs) == [["mcp_call", "message"], ["message"]]
    assert server.seen.count("tools/call") == 1


@pytest.mark.parametrize("approve", [True, False])
async def test_a_compaction_keeps_what_is_approved_and_what_waits_for_that(approve: bool) -> None:
    async with rogue(decent) as server:
        what = changed(mcp_servers={"s": McpServer(url=server.url)})
        script = Turns(("sure. ", *CALL), ("sum",), ("sum",), ("answered",), ("next",))
        asking = [{**USE[0], "require_approval": "always"}]
        async with running(script, what, family=TAGGED) as running_server, running_server.client() as client:

            async def create(given: Any, last: dict[str, Any], **members: Any) -> dict[str, Any]:
                previous = {"previous_response_id": last["id"], "tools": asking, **members}
                await client.send("response.create", input=given, **previous)
                return check(await client.until_done())

            first = check(await client.create("question " * 30, tools=asking))
            second = await create([{"type": "compaction_trigger"}], first)
            asked = first["output"][-1]["id"]
            answer = {
                "type": "mcp_approval_response",
                "approval_request_id": asked,
                "approve": approve,
                "reason": "why not",
            }
            third = await create([answer], second, context_management=MANAGED)
            assert third["status"] == "completed"
            assert (await create("and?", third))["status"] == "completed"
        assert server.seen.count("tools/call") == approve
        assert approve or "did not allow this call. Reason: why not" in script.prompts[-2]
