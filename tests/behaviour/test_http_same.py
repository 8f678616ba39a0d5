"""The same request over the WebSocket, as a stream and as JSON: the same events, items and usage."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from realtime.engine.base import FinishReason
from realtime.engine.scripted import Fail, Finish, Step, say
from tests.support.http import events_of, http
from tests.support.marked import MarkedParsers
from tests.support.server import running
from tests.support.transcript import types

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CUSTOM = {"type": "custom", "name": "c"}
CASES: dict[str, tuple[list[Step], dict[str, Any], list[str]]] = {
    "text": (["a", "b"], {}, ["message"]),
    "hidden reasoning": (["think:hm", "a"], {}, ["reasoning", "message"]),
    "a summary": (["think:hm", "think:so", "a"], {"reasoning": {"summary": "auto"}}, ["reasoning", "message"]),
    "raw reasoning": (["think:hm", "a"], {"include": ["reasoning.content"]}, ["reasoning", "message"]),
    "calls": (
        ["call:f", 'args:{"a"', "args:: 1}", "call:f", "args:{}"], {"tools": [TOOL]},
        ["function_call", "function_call"],
    ),
    "a custom call": (["a", "call:c", 'args:{"input": "x"}'], {"tools": [CUSTOM]}, ["message", "custom_tool_call"]),
    "everything": (["think:x", "a", "call:f", "args:{}"], {"tools": [TOOL]}, ["reasoning", "message", "function_call"]),
    "a failure": (["a", Fail()], {}, ["message"]),
    "incomplete": (["a", "b", "c"], {"max_output_tokens": 2}, ["message"]),
    "incomplete in a call": (
        ["call:f", "args:{", Finish(FinishReason.LENGTH)], {"tools": [TOOL]}, ["function_call"],
    ),
    "store false": (["a"], {"store": False, "metadata": {"a": "b"}, "instructions": "x"}, ["message"]),
    "a warm-up": (["a"], {"generate": False}, []),
    "log probabilities": (["a"], {"include": ["message.output_text.logprobs"], "top_logprobs": 1}, ["message"]),
}  # fmt: skip


@pytest.mark.parametrize(("script", "members", "kinds"), CASES.values(), ids=CASES)
async def test_the_same_over_every_transport(script: list[Step], members: dict[str, Any], kinds: list[str]) -> None:
    body = {"input": "hi", **members}
    async with running(say(*script), parsers=MarkedParsers()) as server, http(server) as client:
        async with server.client() as socket:
            by_socket = await socket.create(**{"text": "hi", **members})
        stream = await client.post("/v1/responses", json={**body, "stream": True})
        by_stream = events_of(stream.text)
        as_json = (await client.post("/v1/responses", json=body)).json()
    assert types(by_stream) == types(by_socket)
    assert [masked(event) for event in by_stream] == [masked(event) for event in by_socket]
    final = by_socket[-1]["response"]
    assert [item["type"] for item in final["output"]] == kinds
    assert masked(as_json) == masked(final)
    assert as_json["usage"] == final["usage"]


async def test_whoever_splits_lines_where_python_does_reads_the_same() -> None:
    text = "a\u2028b\u2029c\x85d"
    async with running(say(*text)) as server, http(server) as client, server.client() as socket:
        stream = (await client.post("/v1/responses", json={"input": text, "stream": True})).content.decode()
        body = (await client.post("/v1/responses", json={"input": text, "user": text})).content.decode()
        refusal = (await client.post("/v1/responses", json={"input": text, "model": text})).content.decode()
        await socket.send("response.create", input=text, user=text)
        frames = [await socket.receive_raw() for _ in events_of(stream)]
    assert stream.splitlines() == stream.split("\n")[:-1]
    assert [len(one.splitlines()) for one in (body, refusal, *frames)] == [1] * (2 + len(frames))
    assert json.loads(body)["output"][0]["content"][0]["text"] == json.loads(body)["user"] == text


async def test_a_failure_before_the_first_item_is_the_same_up_to_json() -> None:
    async with running(say(Fail())) as server, http(server) as client, server.client() as socket:
        by_socket = await socket.create()
        by_stream = events_of((await client.post("/v1/responses", json={"input": "hi", "stream": True})).text)
        assert [masked(event) for event in by_stream] == [masked(event) for event in by_socket]
        error = (await client.post("/v1/responses", json={"input": "hi"})).json()["error"]
        assert (error["code"], error["message"]) == tuple(by_stream[-1]["response"]["error"].values())


def masked(value: Any) -> Any:
    """Without what differs from one response to the next: ids and times."""
    match value:
        case dict():
            return {
                name: "TIME" if name in ("created_at", "completed_at") and member else masked(member)
                for name, member in value.items()
            }
        case list():
            return [masked(member) for member in value]
        case str():
            return re.sub(r"\b(\w+)_[0-9a-f]{32}\b", r"\1_ID", value)
        case _:
            return value
