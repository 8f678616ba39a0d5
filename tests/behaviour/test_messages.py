"""Anthropic's Messages API: the same prompts and answers as over the Responses API, and Anthropic's errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Fail, Step, say
from tests.support.http import http
from tests.support.marked import MarkedParsers
from tests.support.pictures import image
from tests.support.server import changed, running
from tests.support.steps import engine_holds, finish, make_keys, until

PATH = "/v1/messages"
USER = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
BASE: dict[str, Any] = {"model": "starter", "max_tokens": 50}


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a whole stream."""
    blocks = text.split("\n\n")
    assert blocks.pop() == ""
    return [json.loads(block.split("\ndata: ")[1]) for block in blocks]


def assert_refused(answer: httpx2.Response, kind: str, status: int, param: str | None = None) -> dict[str, Any]:
    """A refusal in Anthropic's form."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind), body
    assert body["error"]["param"] == param, body
    assert body["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    return error


CASES: dict[str, tuple[list[Step], dict[str, Any], dict[str, Any], list[dict[str, Any]], str]] = {
    "text": (
        ["a", "b"], {"messages": [USER], "system": "s"}, {"input": [USER], "instructions": "s"},
        [{"type": "text", "text": "ab", "citations": None}], "end_turn",
    ),
    "a conversation with a call": (
        ["a"],
        {
            "system": [
                {"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "t"},
            ],
            "messages": [
                USER,
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "18 C"}]},
                    {"type": "text", "text": "So?"},
                ]},
            ],
            "tools": [TOOL],
        },
        {
            "instructions": "s\n\nt",
            "input": [
                USER,
                {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
                {"role": "assistant", "content": "I look."},
                {"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": '{"a":1}'},
                {"type": "function_call_output", "call_id": "toolu_1", "output": "18 C"},
                {"role": "user", "content": "So?"},
            ],
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        },
        [{"type": "text", "text": "a", "citations": None}], "end_turn",
    ),
    "parallel calls": (
        ["a", "call:f", 'args:{"a"', "args:: 1}", "call:f", "args:{}"],
        {"messages": [USER], "tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {
            "input": [USER],
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        },
        [
            {"type": "text", "text": "a", "citations": None},
            {"type": "tool_use", "id": "ID", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "ID", "name": "f", "input": {}},
        ],
        "tool_use",
    ),
    "a stop sequence": (
        ["a STOP b"], {"messages": [USER], "stop_sequences": ["END", "STOP"]},
        {"input": [USER], "stop": ["END", "STOP"]},
        [{"type": "text", "text": "a ", "citations": None}], "stop_sequence",
    ),
    "cut": (
        ["a", "b", "c"], {"messages": [USER], "max_tokens": 2}, {"input": [USER], "max_output_tokens": 2},
        [{"type": "text", "text": "ab", "citations": None}], "max_tokens",
    ),
    "hidden thinking": (
        ["think:hm", "a"], {"messages": [USER]}, {"input": [USER]},
        [{"type": "text", "text": "a", "citations": None}], "end_turn",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("script", "body", "create", "content", "reason"), CASES.values(), ids=CASES)
async def test_the_same_prompt_and_the_same_answer(
    script: list[Step], body: dict[str, Any], create: dict[str, Any], content: list[dict[str, Any]], reason: str
) -> None:
    asked: list[EngineRequest] = []

    def play(request: EngineRequest) -> Iterator[Step]:
        asked.append(request)
        return iter(say(*script)(request))

    async with running(play, parsers=MarkedParsers()) as server, http(server) as client:
        message = (await client.post(PATH, json={**BASE, **body})).json()
        response = (await client.post("/v1/responses", json={"max_output_tokens": 50, **create})).json()
        stream = events_of((await client.post(PATH, json={**BASE, **body, "stream": True})).text)
        counted = (await client.post(f"{PATH}/count_tokens", json={"model": "starter", **body})).json()
        stored = (await client.get(f"/v1/responses/{message['id']}")).json()
    assert len({tuple(one.prompt_token_ids) for one in asked}) == 1
    assert [{**block, **({"id": "ID"} if "id" in block else {})} for block in message["content"]] == content
    usage, before = message["usage"], response["usage"]
    num_input = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert (num_input, usage["output_tokens"]) == (before["input_tokens"], before["output_tokens"])
    assert counted == {"input_tokens": num_input}
    assert stream[-2]["usage"]["output_tokens"] == usage["output_tokens"]
    assert stream[0]["message"]["usage"]["input_tokens"] == usage["input_tokens"]
    assert [stream[-2]["delta"]["stop_reason"], message["stop_reason"]] == [reason, reason]
    assert message["stop_sequence"] == stored.get("stop_sequence") == ("STOP" if reason == "stop_sequence" else None)


async def test_thinking_comes_signed_and_goes_back() -> None:
    asked: list[EngineRequest] = []

    def play(request: EngineRequest) -> Iterator[Step]:
        asked.append(request)
        return iter(say("think:hm", "a")(request))

    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with running(play, parsers=MarkedParsers()) as server, http(server) as client:
        body = {**BASE, "messages": [USER], "thinking": thinking}
        message = (await client.post(PATH, json=body)).json()
        stream = events_of((await client.post(PATH, json={**body, "stream": True})).text)
        omitted = (
            await client.post(PATH, json={**body, "thinking": {"type": "adaptive", "display": "omitted"}})
        ).json()
        for content in (message["content"], omitted["content"], [{**message["content"][0], "signature": ""}]):
            said = [*content[:1], message["content"][1]]
            again = {**body, "messages": [USER, {"role": "assistant", "content": said}, USER]}
            assert (await client.post(PATH, json=again)).status_code == 200
    block, text = message["content"]
    assert (block["type"], block["thinking"], text["text"]) == ("thinking", "hm", "a")
    assert block["signature"]
    kinds = [event["delta"]["type"] for event in stream if event["type"] == "content_block_delta"]
    assert kinds == ["thinking_delta", "signature_delta", "text_delta"]
    assert (omitted["content"][0]["thinking"], bool(omitted["content"][0]["signature"])) == ("", True)
    assert len({tuple(one.prompt_token_ids) for one in asked[3:]}) == 1
    assert len(asked[3].prompt_token_ids) > len(asked[0].prompt_token_ids)


async def test_images_and_documents_are_read() -> None:
    data = base64.b64encode(image("red", (40, 30))).decode()
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "d\u00e9"}},
        {"type": "text", "text": "?"},
    ]
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}
    async with running(say("red"), sees=True) as server, http(server) as client:
        answer = await client.post(PATH, json={**BASE, "messages": [{"role": "user", "content": content}]})
        assert answer.json()["content"][0]["text"] == "red"
        result = {"type": "tool_result", "tool_use_id": "a", "content": [content[0]]}
        called = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}
        messages = [USER, called, {"role": "user", "content": [result]}]
        assert (await client.post(PATH, json={**BASE, "messages": messages})).status_code == 200
        wrong = await client.post(PATH, json={**BASE, "messages": [{"role": "user", "content": [content[2], pdf]}]})
        error = assert_refused(wrong, "invalid_request_error", 400, "messages[0].content[1].file_data")
        assert "application/pdf" in error["message"]


def with_blocks(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [USER, {"role": role, "content": [*blocks]}, USER]}


INVALID, UNSUPPORTED = "invalid_request", "unsupported_parameter"
MALFORMED: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no messages": ({"messages": []}, INVALID, "messages"),
    "no limit": ({"messages": [USER], "max_tokens": None}, INVALID, "max_tokens"),
    "no model": ({"messages": [USER], "model": None}, INVALID, "model"),
    "another role": ({"messages": [{"role": "tool", "content": "a"}]}, INVALID, "messages[0].role"),
    "another block": (with_blocks("user", {"type": "server_tool_use"}), INVALID, "messages[1].content[0].type"),
    "given words": ({"messages": [USER, {"role": "assistant", "content": "I"}]}, UNSUPPORTED, "messages[1]"),
    "a result without a call": (
        with_blocks("user", {"type": "tool_result", "tool_use_id": "x", "content": "y"}), INVALID, "messages",
    ),
    "a call of the user": (
        with_blocks("user", {"type": "tool_use", "id": "x", "name": "f", "input": {}}),
        INVALID, "messages[1].content[0]",
    ),
    "a call without an object": (
        with_blocks("assistant", {"type": "tool_use", "id": "x", "name": "f", "input": "y"}),
        INVALID, "messages[1].content[0].input",
    ),
    "an image that nobody sees": (
        with_blocks("user", {"type": "text", "text": "a"}, {"type": "image", "source": {"type": "url", "url": "https://x"}}),
        UNSUPPORTED, "messages[1].content[1]",
    ),
    "a tool of Anthropic's": (
        {"messages": [USER], "tools": [{"type": "bash_20250124", "name": "bash"}]}, UNSUPPORTED, "tools[0].type",
    ),
    "a tool without a schema": ({"messages": [USER], "tools": [{"name": "f"}]}, INVALID, "tools[0].input_schema"),
    "a tool's name": ({"messages": [USER], "tools": [{**TOOL, "name": "a b"}]}, INVALID, "tools[0].name"),
    "a choice without a name": (
        {"messages": [USER], "tools": [TOOL], "tool_choice": {"type": "tool"}}, INVALID, "tool_choice.name",
    ),
    "MCP servers": ({"messages": [USER], "mcp_servers": [{"url": "x"}]}, UNSUPPORTED, "mcp_servers"),
    "a container": ({"messages": [USER], "container": "x"}, UNSUPPORTED, "container"),
    "context management": ({"messages": [USER], "context_management": {"a": 1}}, UNSUPPORTED, "context_management"),
    "temperature": ({"messages": [USER], "temperature": 3}, INVALID, "temperature"),
    "stop sequences": ({"messages": [USER], "stop_sequences": [""]}, INVALID, "stop_sequences[0]"),
}  # fmt: skip


async def test_malformed_requests_get_anthropics_errors() -> None:
    async with running(say("a")) as server, http(server) as client:
        for name, (body, code, param) in MALFORMED.items():
            for stream in (False, True):
                answer = await client.post(PATH, json={**BASE, **body, "stream": stream})
                assert assert_refused(answer, "invalid_request_error", 400, param)["code"] == code, name
        missing = await client.post(PATH, json={**BASE, "model": "claude", "messages": [USER]})
        assert_refused(missing, "not_found_error", 404, "model")
        assert_refused(await client.post(PATH, content=b"{"), "invalid_request_error", 400)
        assert_refused(
            await client.post(f"{PATH}/count_tokens", json={"model": "x"}), "invalid_request_error", 400, "messages"
        )


async def test_credentials_are_taken_where_anthropics_clients_put_them(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("a"), settings) as server, http(server) as client:
        body = {**BASE, "messages": [USER]}
        assert_refused(await client.post(PATH, json=body), "authentication_error", 401)
        assert_refused(await client.post(PATH, json=body, headers={"x-api-key": "rt_no"}), "authentication_error", 401)
        answer = await client.post(
            PATH, json=body, headers={"x-api-key": keys["ada"], "anthropic-version": "2023-06-01"}
        )
        assert answer.status_code == 200


async def test_failures() -> None:
    body = {**BASE, "messages": [USER]}
    async with running(say(Fail())) as server, http(server) as client:
        for stream in (False, True):
            assert_refused(await client.post(PATH, json={**body, "stream": stream}), "api_error", 500)
    async with running(say("a", Fail())) as server, http(server) as client:
        *events, last = events_of((await client.post(PATH, json={**body, "stream": True})).text)
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert "message_stop" not in {event["type"] for event in events}


async def test_a_silent_stream_is_pinged_and_a_client_that_leaves_cancels() -> None:
    settings = changed(sse_keepalive_seconds=0.001)
    async with running(say(*"abcdef"), settings, tick_seconds=None) as server, http(server) as client:
        body = {**BASE, "messages": [USER], "stream": True}
        async with client.stream("POST", PATH, json=body) as stream:
            lines = stream.aiter_lines()
            start = json.loads([await anext(lines) for _ in range(2)][1].removeprefix("data: "))
            pings = 0
            while pings < 3:
                pings += await anext(lines) == "event: ping"
        await until(lambda: engine_holds(server) == 0)
        await finish(server)
        response = (await client.get(f"/v1/responses/{start['message']['id']}")).json()
    assert response["status"] == "cancelled"
