"""The 17 tests of Open Responses' compliance suite, told again, against the server as a newcomer starts it.

The ids are the suite's; docs/compliance.md says how to run the suite itself. Here every event is held to a stricter
contract than there (tests/support/open_responses.py), and one model-dependent test has two sides (image-input).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from realtime.wire.items import Message, OutputText
from tests.support.http import SseEvent, parse
from tests.support.open_responses import check_compacted, check_event, check_response, check_stream
from tests.support.patience import SECONDS
from tests.support.pictures import data_url, image
from tests.support.raw import RawSocket
from tests.support.real import RealServer
from tests.support.responses import make_response, make_usage
from tests.support.server import Client, dial

pytestmark = pytest.mark.vllm

MODEL = "starter"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC"
)
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place now",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "City and country"}},
        "required": ["location"],
    },
}


def said(role: str, content: Any, **members: Any) -> dict[str, Any]:
    """A message as the suite writes them: with its type."""
    return {"type": "message", "role": role, "content": content, **members}


@pytest.fixture
async def http(real: RealServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with a key that this server does not ask for, as the suite has one."""
    headers = {"authorization": "Bearer unused"}
    async with httpx2.AsyncClient(base_url=real.base_url, headers=headers, timeout=SECONDS, trust_env=False) as client:
        yield client


@pytest.fixture
async def socket(real: RealServer) -> AsyncIterator[Client]:
    async with dial(real.url, key="unused") as client:
        yield client


async def turn(socket: Client, **members: Any) -> list[dict[str, Any]]:
    """One create, and its events up to a terminal one or an `error`, each of the contract."""
    await socket.send("response.create", model=MODEL, **members)
    events: list[dict[str, Any]] = []
    while not events or not events[-1]["done"]:
        events.append(await socket.receive(SECONDS))
        check_event(events[-1])
    return events


async def answered(socket: Client, **members: Any) -> dict[str, Any]:
    """A turn that must be completed; its Response."""
    final = check_stream(await turn(socket, **members))
    assert final["status"] == "completed", final
    assert final["output"]
    assert final["background"] is False
    return final


async def refused(socket: Client, **members: Any) -> str:
    """A turn that must be answered by an `error`; its code."""
    events = await turn(socket, **members)
    assert [event["type"] for event in events] == ["error"]
    return str(events[0]["error"]["code"])


async def posted(http: httpx2.AsyncClient, **members: Any) -> dict[str, Any]:
    """A response over HTTP without a stream, which must be completed."""
    answer = await http.post("/responses", json={"model": MODEL, **members})
    assert answer.status_code == 200, answer.text
    response = check_response(answer.json())
    assert response["status"] == "completed", response
    assert response["output"]
    return response


def text_of(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


async def test_basic_response(http: httpx2.AsyncClient) -> None:
    response = await posted(http, input=[said("user", "Say hello.")])
    assert text_of(response)
    assert response["usage"]["output_tokens"] > 0


async def test_assistant_phase(http: httpx2.AsyncClient) -> None:
    history = [
        said("assistant", "Let me recall the number.", phase="commentary"),
        said("assistant", "It is four.", phase="final_answer"),
    ]
    await posted(http, input=[*history, said("user", "Say the number again.")])


def test_response_output_phase_schema() -> None:
    """No server: messages with their phase, and such without, are output of the contract."""
    output = [
        Message(id=f"msg_{phase}", role="assistant", status="completed", phase=phase, content=[OutputText(text="x")])
        for phase in ("commentary", "final_answer", msgspec.UNSET)
    ]
    response = make_response(status="completed", completed_at=2, output=output, usage=make_usage())
    shown = check_response(json.loads(msgspec.json.encode(response)))
    assert [item.get("phase", "none") for item in shown["output"]] == ["commentary", "final_answer", "none"]


async def test_streaming_response(real: RealServer) -> None:
    """Read from the bare connection: every chunk holds whole events, because the suite's reader needs them so."""
    body = json.dumps({"model": MODEL, "input": [said("user", "count to 5")], "stream": True}).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    sock = await RawSocket.open(real.port)
    try:
        await sock.send(head + body)
        status, headers, _ = await sock.response()
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert headers["transfer-encoding"] == "chunked"
        chunks: list[str] = []
        while data := await sock.chunk():
            chunks.append(data.decode())
    finally:
        sock.close()
    parsed: list[SseEvent] = []
    for chunk in chunks:
        events, rest = parse(chunk)
        assert rest == "", "an event in two pieces"
        parsed += events
    assert parsed[-1].data == "[DONE]"
    assert [event.name for event in parsed[:-1]] == [event.json["type"] for event in parsed[:-1]]
    assert check_stream([event.json for event in parsed[:-1]])["status"] == "completed"


async def test_websocket_response(socket: Client) -> None:
    assert text_of(await answered(socket, input=[said("user", "count to 3")]))


async def test_websocket_sequential_responses(socket: Client) -> None:
    first = await answered(socket, store=False, input="Say hello.")
    second = await answered(socket, store=False, input="count to 3")
    assert first["id"] != second["id"]
    assert second["previous_response_id"] is None
    assert [first["store"], second["store"]] == [False, False]


async def test_websocket_continuation(socket: Client) -> None:
    first = await answered(socket, store=False, input="My name is Ada.")
    second = await answered(
        socket, store=False, input="What is my name?", previous_response_id=first["id"], temperature=0
    )
    assert second["previous_response_id"] == first["id"]
    assert "Ada" in text_of(second)


async def test_websocket_reconnect_store_false_recovery(real: RealServer, socket: Client) -> None:
    first = await answered(socket, store=False, input="My name is Ada.")
    async with dial(real.url, key="unused") as again:
        lost = await refused(again, store=False, input="What is my name?", previous_response_id=first["id"])
        assert lost == "previous_response_not_found"
        await answered(again, store=False, input=[said("user", "Let us begin again.")])


async def test_websocket_previous_response_not_found(socket: Client) -> None:
    code = await refused(socket, store=False, input="hi", previous_response_id="resp_that_never_was")
    assert code == "previous_response_not_found"


async def test_websocket_failed_continuation_evicts_cache(socket: Client) -> None:
    first = await answered(socket, store=False, input="My name is Ada.")
    orphan = {"type": "function_call_output", "call_id": "call_that_never_was", "output": "sunny"}
    events = await turn(socket, store=False, previous_response_id=first["id"], input=[orphan])
    assert events[-1]["type"] in ("error", "response.failed")
    again = await refused(socket, store=False, previous_response_id=first["id"], input="What is my name?")
    assert again == "previous_response_not_found"


async def test_websocket_compact_new_chain(http: httpx2.AsyncClient, socket: Client) -> None:
    history = [
        said("user", [{"type": "input_text", "text": "My name is Ada."}]),
        said("assistant", [{"type": "output_text", "text": "Hello Ada."}]),
        said("user", [{"type": "input_text", "text": "Make this conversation shorter."}]),
    ]
    answer = await http.post("/responses/compact", json={"model": MODEL, "input": history})
    compacted = check_compacted(answer.json())
    response = await answered(socket, store=False, input=[*compacted["output"], said("user", "Say hello.")])
    assert response["previous_response_id"] is None


async def test_system_prompt(http: httpx2.AsyncClient) -> None:
    await posted(http, input=[said("system", "You are a sailor."), said("user", "Say hello.")])


async def test_tool_calling(http: httpx2.AsyncClient) -> None:
    """The model has to want the call by itself: the choice is `auto`."""
    asked = [said("user", "What's the weather like in Paris?")]
    response = await posted(http, input=asked, tools=[WEATHER], temperature=0)
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    assert [call["name"] for call in calls] == ["get_weather"]
    assert "Paris" in json.loads(calls[0]["arguments"])["location"]
    assert response["tools"] == [{**WEATHER, "strict": True}]


async def test_image_input(http: httpx2.AsyncClient) -> None:
    """The one that the starter model cannot pass: it reads text only and says so, instead of guessing.

    What else there is to do about it: tests/behaviour/test_open_responses.py and tests/acceptance/test_images.py.
    """
    asked = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": data_url(image())}]
    answer = await http.post("/responses", json={"model": MODEL, "input": [said("user", asked)]})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["retry"] is False
    assert "text only" in error["message"]


async def test_multi_turn(http: httpx2.AsyncClient) -> None:
    history = [said("user", "My name is Ada."), said("assistant", "Nice to meet you, Ada.")]
    response = await posted(http, input=[*history, said("user", "What is my name?")], temperature=0)
    assert "Ada" in text_of(response)


async def test_compact_response(http: httpx2.AsyncClient) -> None:
    history = [said("user", "We start on Monday."), said("assistant", "Good. On Monday then.")]
    body = {"model": MODEL, "prompt_cache_key": "a key", "input": history}
    answer = await http.post("/responses/compact", json=body)
    assert answer.status_code == 200, answer.text
    assert "compaction" in [item["type"] for item in check_compacted(answer.json())["output"]]


async def test_compact_missing_model(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/responses/compact", json={"input": [said("user", "Make it shorter.")]})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "model"


# -- beyond the suite, by the same contract


SUMMARY = {"input": "add 3 and 4", "temperature": 0, "reasoning": {"effort": "high", "summary": "auto"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 5}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("members", "status"),
    [
        (SUMMARY, "completed"),
        ({"input": "What's the weather like in Paris?", "tools": [WEATHER], "tool_choice": "required"}, "completed"),
        ({"input": "What's the weather like in Paris?", "tools": [{"type": "function", "name": "f"}]}, "completed"),
        (
            {"input": "hi", "max_output_tokens": 60, "text": {"format": {"type": "json_schema", "name": "n",
             "schema": {**SCHEMA, "additionalProperties": False}}, "verbosity": "low"}},
            None,
        ),
        ({"input": "Tell me a long story", "max_output_tokens": 3}, "incomplete"),
        ({"input": "word " * 6000}, "failed"),
        ({"input": "add 3 and 4", "include": ["reasoning.encrypted_content"]}, "completed"),
    ],
    ids=["summary", "required call", "bare tool", "schema", "cut", "too long", "encrypted reasoning"],
)  # fmt: skip
async def test_the_contract_holds_for(socket: Client, members: dict[str, Any], status: str | None) -> None:
    """What clients of the contract ask for beside what the suite asks."""
    final = check_stream(await turn(socket, **members))
    assert status in (None, final["status"])
    if members is SUMMARY:
        assert any(item["type"] == "reasoning" and item["summary"] for item in final["output"])
