"""Chat completions: the same answers as over the Responses API, OpenAI's errors, and a response behind each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.base import EngineRequest, FinishReason
from realtime.engine.scripted import Fail, Finish, Step, say
from tests.support.http import assert_refused, events_of, http
from tests.support.marked import MarkedParsers
from tests.support.pictures import data_url, image
from tests.support.server import changed, running
from tests.support.steps import engine_holds, finish, make_keys, until
from tests.support.transcript import check

PATH = "/v1/chat/completions"
USER = {"role": "user", "content": "hi"}
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
AT_ONCE = changed(sse_keepalive_seconds=0.001)  # a stream begins before there is a word
CALLED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
]}  # fmt: skip


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The chunks of a whole stream."""
    lines = [line for line in text.split("\n\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def content_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(one["delta"].get("content") or "" for chunk in chunks for one in chunk["choices"])


CASES: dict[str, tuple[list[Step], dict[str, Any], dict[str, Any]]] = {
    "text": (["a", "b"], {"messages": [USER]}, {"input": [USER]}),
    "a conversation with a call": (
        ["a"],
        {
            "messages": [
                {"role": "system", "content": "s"}, USER, CALLED,
                {"role": "tool", "tool_call_id": "call_1", "content": "18 C"},
                {"role": "assistant", "content": "It is."},
                {"role": "user", "content": [{"type": "text", "text": "?"}]},
            ],
            "tools": [TOOL],
        },
        {
            "input": [
                {"role": "system", "content": "s"}, USER,
                {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'},
                {"type": "function_call_output", "call_id": "call_1", "output": "18 C"},
                {"role": "assistant", "content": "It is."},
                {"role": "user", "content": [{"type": "input_text", "text": "?"}]},
            ],
            "tools": [{"type": "function", **FUNCTION}],
        },
    ),
    "parallel calls": (
        ["think:x", "a", "call:f", 'args:{"a"', "args:: 1}", "call:f", "args:{}"],
        {"messages": [USER], "tools": [TOOL], "include_reasoning": True},
        {"input": [USER], "tools": [{"type": "function", **FUNCTION}], "include": ["reasoning.content"]},
    ),
    "a custom call": (
        ["call:c", 'args:{"input": "x"}'],
        {"messages": [USER], "tools": [CUSTOM]}, {"input": [USER], "tools": [{"type": "custom", "name": "c"}]},
    ),
    "cut": (
        ["a", "b", "c"], {"messages": [USER], "max_tokens": 2}, {"input": [USER], "max_output_tokens": 2},
    ),
    "cut in a call": (
        ["call:f", "args:{", Finish(FinishReason.LENGTH)],
        {"messages": [USER], "tools": [TOOL]}, {"input": [USER], "tools": [{"type": "function", **FUNCTION}]},
    ),
    "a stop string": (["a STOP b"], {"messages": [USER], "stop": "STOP"}, {"input": [USER], "stop": "STOP"}),
    "log probabilities": (
        ["a", "b"], {"messages": [USER], "logprobs": True, "top_logprobs": 1},
        {"input": [USER], "include": ["message.output_text.logprobs"], "top_logprobs": 1},
    ),
}  # fmt: skip


def said_over_responses(response: dict[str, Any]) -> dict[str, Any]:
    """A Response in the words of a completion, made anew here."""
    output, usage = response["output"], response["usage"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [item for item in output if item["type"] in ("function_call", "custom_tool_call")]
    return {
        "text": "".join(part["text"] for part in parts),
        "logprobs": [one for part in parts for one in part["logprobs"]],
        "reasoning": "".join(part["text"] for item in output for part in item.get("content", [])
                             if item["type"] == "reasoning"),
        "calls": [(call["name"], call.get("arguments", call.get("input"))) for call in calls],
        "usage": [usage["input_tokens"], usage["output_tokens"], usage["total_tokens"],
                  usage["output_tokens_details"]["reasoning_tokens"]],
    }  # fmt: skip


def said_over_chat(completion: dict[str, Any]) -> dict[str, Any]:
    [choice] = completion["choices"]
    message, usage = choice["message"], completion["usage"]
    named = [call[call["type"]] for call in message.get("tool_calls", [])]
    return {
        "text": message["content"] or "",
        "logprobs": (choice["logprobs"] or {}).get("content", []),
        "reasoning": message.get("reasoning_content", ""),
        "calls": [(call["name"], call.get("arguments", call.get("input"))) for call in named],
        "usage": [usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"],
                  usage["completion_tokens_details"]["reasoning_tokens"]],
    }  # fmt: skip


@pytest.mark.parametrize(("script", "chat", "create"), CASES.values(), ids=CASES)
async def test_the_same_prompt_and_the_same_answer_over_both_doors(
    script: list[Step], chat: dict[str, Any], create: dict[str, Any]
) -> None:
    asked: list[EngineRequest] = []

    def play(request: EngineRequest) -> Iterator[Step]:
        asked.append(request)
        return iter(say(*script)(request))

    async with running(play, parsers=MarkedParsers()) as server, http(server) as client:
        chat, create = {**chat, "seed": 7}, {**create, "seed": 7}
        completion = (await client.post(PATH, json=chat)).json()
        response = (await client.post("/v1/responses", json=create)).json()
        stream = await client.post(PATH, json={**chat, "stream": True, "stream_options": {"include_usage": True}})
    assert said_over_chat(completion) == said_over_responses(response)
    assert len({tuple(one.prompt_token_ids) for one in asked}) == 1
    assert asked[0].sampling == asked[1].sampling
    chunks = chunks_of(stream.text)
    assert content_of(chunks) == (completion["choices"][0]["message"]["content"] or "")
    assert chunks[-2]["choices"][0]["finish_reason"] == completion["choices"][0]["finish_reason"]
    assert chunks[-1]["usage"] == completion["usage"]


async def test_images_are_seen() -> None:
    url = data_url(image("red", (40, 30)))
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
    async with running(say("red"), sees=True) as server, http(server) as client:
        answer = (await client.post(PATH, json={"messages": [{"role": "user", "content": content}]})).json()
        wrong = await client.post(PATH, json={"messages": [USER, {"role": "system", "content": content}]})
    assert answer["choices"][0]["message"]["content"] == "red"
    error = assert_refused(wrong, "invalid_request", 400, "messages[1].content[0]")
    assert "`messages[1].content[0]`" in error["message"]


# -- refusals


def with_message(**message: Any) -> dict[str, Any]:
    return {"messages": [USER, message]}


MALFORMED: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no messages": ({}, "invalid_request", "messages"),
    "empty messages": ({"messages": []}, "invalid_request", "messages"),
    "messages of another type": ({"messages": "hi"}, "invalid_request", "messages"),
    "no role": (with_message(content="a"), "invalid_request", "messages[1].role"),
    "another role": (with_message(role="critic", content="a"), "invalid_request", "messages[1].role"),
    "the role function": (
        with_message(role="function", name="f", content="a"), "unsupported_parameter", "messages[1].role",
    ),
    "no content": (with_message(role="user"), "invalid_request", "messages[1].content"),
    "null content": (with_message(role="user", content=None), "invalid_request", "messages[1].content"),
    "null content and no call": (
        with_message(role="assistant", content=None), "invalid_request", "messages[1].content",
    ),
    "another part": (
        with_message(role="user", content=[{"type": "video"}]), "invalid_request", "messages[1].content[0].type",
    ),
    "audio": (
        with_message(role="user", content=[{"type": "input_audio", "input_audio": {}}]), "unsupported_parameter",
        "messages[1].content[0]",
    ),
    "an image without a URL": (
        with_message(role="user", content=[{"type": "image_url"}]),
        "invalid_request", "messages[1].content[0].image_url",
    ),
    "an image that nobody sees": (
        with_message(role="user", content=[{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]),
        "unsupported_parameter", "messages[1].content[0]",
    ),
    "a call without an id": (
        with_message(role="assistant", tool_calls=[{"type": "function", "function": {"name": "f", "arguments": ""}}]),
        "invalid_request", "messages[1].tool_calls[0].id",
    ),
    "a call of nothing": (
        with_message(role="assistant", tool_calls=[{"id": "a", "type": "function"}]),
        "invalid_request", "messages[1].tool_calls[0].function",
    ),
    "a legacy call": (
        with_message(role="assistant", content=None, function_call={"name": "f", "arguments": ""}),
        "unsupported_parameter", "messages[1].function_call",
    ),
    "a tool without a call": (
        with_message(role="tool", tool_call_id="call_9", content="x"), "invalid_request", "messages",
    ),
    "a tool without an id": (with_message(role="tool", content="x"), "invalid_request", "messages[1].tool_call_id"),
    "n": ({"messages": [USER], "n": 2}, "unsupported_parameter", "n"),
    "functions": ({"messages": [USER], "functions": [FUNCTION]}, "unsupported_parameter", "functions"),
    "function_call": ({"messages": [USER], "function_call": "auto"}, "unsupported_parameter", "function_call"),
    "audio answers": ({"messages": [USER], "modalities": ["text", "audio"]}, "unsupported_parameter", "modalities"),
    "a search": ({"messages": [USER], "web_search_options": {}}, "unsupported_parameter", "web_search_options"),
    "a moderation": ({"messages": [USER], "moderation": {"model": "x"}}, "unsupported_parameter", "moderation"),
    "both limits": ({"messages": [USER], "max_tokens": 1, "max_completion_tokens": 1}, "invalid_request", "max_tokens"),
    "no tokens": ({"messages": [USER], "max_tokens": 0}, "invalid_request", "max_tokens"),
    "temperature": ({"messages": [USER], "temperature": 3}, "invalid_request", "temperature"),
    "top_logprobs alone": ({"messages": [USER], "top_logprobs": 2}, "invalid_request", "top_logprobs"),
    "stream_options alone": (
        {"messages": [USER], "stream_options": {"include_usage": True}}, "invalid_request", "stream_options",
    ),
    "stream": ({"messages": [USER], "stream": "yes"}, "invalid_request", "stream"),
    "another model": ({"messages": [USER], "model": "gpt-5"}, "model_not_found", "model"),
    "another format": (
        {"messages": [USER], "response_format": {"type": "xml"}}, "invalid_request", "response_format.type",
    ),
    "a schema without a name": (
        {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        "invalid_request", "response_format.json_schema.name",
    ),
    "another tool": ({"messages": [USER], "tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools[0].type"),
    "a tool without a type": ({"messages": [USER], "tools": [{}]}, "unsupported_parameter", "tools[0].type"),
    "a function's name": (
        {"messages": [USER], "tools": [{"type": "function", "function": {"name": "a b"}}]},
        "invalid_request", "tools[0].function.name",
    ),
    "a choice of what is not there": (
        {"messages": [USER], "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "invalid_request", "tool_choice",
    ),
    "too much metadata": ({"messages": [USER], "metadata": {"k": "v" * 513}}, "invalid_request", "metadata[...]"),
}  # fmt: skip


async def test_malformed_requests_get_openais_errors() -> None:
    async with running(say("a")) as server, http(server) as client:
        for name, (body, code, param) in MALFORMED.items():
            for stream in ({}, {"stream": True}) if "stream" not in name else ({},):
                answer = await client.post(PATH, json={**body, **stream})
                status = 404 if code == "model_not_found" else 400
                error = assert_refused(answer, code, status, param)
                assert error["type"] == "invalid_request_error", name
        assert_refused(await client.post(PATH, content=b"{"), "invalid_json", 400)
        assert_refused(await client.get(PATH), "method_not_allowed", 405)
        many = {"messages": [USER] * 10_001}
        assert_refused(await client.post(PATH, json=many), "message_too_complex", 400, "messages")
        assert server.gateway.service.num_running == 0


async def test_a_failure_before_the_first_word_is_an_http_error_for_streams_too() -> None:
    async with running(say(Fail())) as server, http(server) as client:
        for stream in (False, True):
            answer = await client.post(PATH, json={"messages": [USER], "stream": stream})
            assert_refused(answer, "server_error", 500)
    long = {"messages": [{"role": "user", "content": "word " * 70_000}], "stream": True}
    async with running(say("a")) as server, http(server) as client:
        assert_refused(await client.post(PATH, json=long), "context_length_exceeded", 400)


async def test_a_failure_in_the_middle_ends_the_stream_with_an_error() -> None:
    async with running(say("a", Fail())) as server, http(server) as client:
        *chunks, error = chunks_of((await client.post(PATH, json={"messages": [USER], "stream": True})).text)
        whole = await client.post(PATH, json={"messages": [USER]})
    assert content_of(chunks) == "a"
    assert (error["error"]["code"], error["error"]["retry"]) == ("server_error", True)
    assert_refused(whole, "server_error", 500)


async def test_credentials_are_asked_for(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("a"), settings) as server:
        async with http(server) as client:
            error = assert_refused(await client.post(PATH, json={"messages": [USER]}), "missing_api_key", 401)
            assert error["type"] == "authentication_error"
        async with http(server, keys["ada"]) as client:
            assert (await client.post(PATH, json={"messages": [USER]})).status_code == 200


# -- the response behind it


async def first_id(lines: AsyncIterator[str]) -> str:
    """Read up to the first chunk; returns the id."""
    while not (line := await anext(lines)).startswith("data: "):
        pass
    response_id: str = json.loads(line.removeprefix("data: "))["id"]
    return response_id


async def test_the_id_is_that_of_a_response() -> None:
    async with running(say("a", "b")) as server, http(server) as client:
        completion = (await client.post(PATH, json={"messages": [USER], "metadata": {"k": "v"}})).json()
        path = f"/v1/responses/{completion['id']}"
        response = (await client.get(path)).json()
        assert response["output"][0]["content"][0]["text"] == completion["choices"][0]["message"]["content"] == "ab"
        assert (response["metadata"], response["created_at"]) == ({"k": "v"}, completion["created"])
        check(events_of((await client.get(f"{path}?stream=true")).text))
        on = await client.post("/v1/responses", json={"input": "go on", "previous_response_id": completion["id"]})
        assert on.status_code == 200


@pytest.mark.parametrize("policy", [None, "cancel", "continue"])
async def test_what_becomes_of_it_without_its_client(policy: str | None) -> None:
    headers = {"x-realtime-on-disconnect": policy} if policy else {}
    body = {"messages": [USER], "stream": True}
    async with running(say(*"abcdef"), AT_ONCE, tick_seconds=None) as server, http(server) as client:
        async with client.stream("POST", PATH, json=body, headers=headers) as stream:
            await until(lambda: engine_holds(server) == 1)
            server.engine.step(2)
            response_id = await first_id(stream.aiter_lines())
        if policy != "continue":
            await until(lambda: engine_holds(server) == 0)
        await until(lambda: server.gateway.admission.num_requests == 0)
        await finish(server)
        response = (await client.get(f"/v1/responses/{response_id}")).json()
    assert response["status"] == ("completed" if policy == "continue" else "cancelled")


async def test_a_policy_that_there_is_not() -> None:
    async with running(say("a")) as server, http(server) as client:
        headers = {"x-realtime-on-disconnect": "wait"}
        answer = await client.post(PATH, json={"messages": [USER]}, headers=headers)
        assert_refused(answer, "invalid_request", 400, "x-realtime-on-disconnect")


async def test_one_that_is_cancelled_ends_with_an_error() -> None:
    async with (
        running(say(*"abcdef"), AT_ONCE, tick_seconds=None) as server,
        http(server) as client,
        client.stream("POST", PATH, json={"messages": [USER], "stream": True}) as answer,
    ):
        whole = asyncio.create_task(client.post(PATH, json={"messages": [USER]}))
        await until(lambda: engine_holds(server) == 2)
        server.engine.step(2)
        lines = answer.aiter_lines()
        response_id = await first_id(lines)
        for one in [*server.gateway.service.registry.running]:
            cancelled = await client.post(f"/v1/responses/{one}/cancel")
            assert cancelled.json()["status"] == "cancelled"
        rest = [line async for line in lines if line]
        assert_refused(await whole, "request_cancelled", 409)
    assert rest[-1] == "data: [DONE]"
    error = json.loads(rest[-2].removeprefix("data: "))["error"]
    assert (error["code"], error["response_id"], error["retry"]) == ("request_cancelled", response_id, False)


async def test_the_same_key_is_the_same_completion() -> None:
    scripts = iter([say("a"), say("b")])
    headers = {"idempotency-key": "k"}
    async with running(lambda request: next(scripts)(request)) as server, http(server) as client:
        first = (await client.post(PATH, json={"messages": [USER]}, headers=headers)).json()
        again = await client.post(PATH, json={"messages": [USER], "stream": True}, headers=headers)
        other = await client.post(PATH, json={"messages": [USER], "seed": 1}, headers=headers)
    chunks = chunks_of(again.text)
    assert (chunks[0]["id"], content_of(chunks)) == (first["id"], "a")
    assert_refused(other, "idempotency_conflict", 409, "request_id")


async def test_a_silent_stream_is_kept_alive_and_begins() -> None:
    async with (
        running(say("a"), AT_ONCE, tick_seconds=None) as server,
        http(server) as client,
        client.stream("POST", PATH, json={"messages": [USER], "stream": True}) as stream,
    ):
        lines = stream.aiter_lines()
        first = json.loads((await anext(lines)).removeprefix("data: "))
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        while await anext(lines) != ": keep-alive":
            pass
        await finish(server)
        assert [line async for line in lines][-2] == "data: [DONE]"
