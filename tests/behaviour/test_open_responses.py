"""The contract of Open Responses where no engine is needed, and that the check of it (tests/support) can fail."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest

from realtime.engine.scripted import Fail, Script, say
from realtime.settings.fields import Settings
from tests.support.harmony import Model
from tests.support.http import assert_refused, events_of, http
from tests.support.open_responses import EVENTS, check_event, check_response, check_stream
from tests.support.pictures import data_url, image
from tests.support.server import Running, changed, running

NEXT = "<|end|><|start|>assistant"
CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>'
LOOP = f"<|channel|>analysis<|message|>I must look.{NEXT}<|channel|>commentary<|message|>I look.{NEXT}{CALL}"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
PATH = "/v1/responses"
MAX_EVENT_BYTES = 16 << 20  # what clients take in one message
OPTIONAL = {"phase", "encrypted_content", "verbosity", "content"}  # may be absent, must not be null


async def transcript(server: Running, **members: Any) -> list[dict[str, Any]]:
    """A response with reasoning, a preamble and a call, if the model is the one below."""
    async with server.client() as client:
        return await client.create("hi", tools=[TOOL], **members)


async def test_reasoning_a_preamble_and_a_call_are_of_the_contract() -> None:
    """As they are shown by default, and as summaries. `phase` is there where the model said it, and nowhere null."""
    async with running(Model(LOOP).script, model_type="gpt_oss", max_model_len=65536) as server:
        final = check_stream(await transcript(server))
        assert [item["type"] for item in final["output"]] == ["reasoning", "message", "function_call"]
        assert final["output"][1]["phase"] == "commentary"
        assert final["output"][0]["summary"] == []
        summed = check_stream(await transcript(server, reasoning={"summary": "auto"}))
        assert summed["output"][0]["summary"][0]["text"] == "I must look."


async def test_raw_reasoning_and_other_events_come_only_when_asked_for() -> None:
    async with running(Model(LOOP).script, model_type="gpt_oss", max_model_len=65536) as server:
        kinds = {event["type"] for event in await transcript(server, include=["reasoning.content"])}
        assert kinds - EVENTS.keys() == {"response.reasoning_text.delta", "response.reasoning_text.done"}


async def test_the_check_misses_no_member() -> None:
    """Each member of each event taken away, and null put where nothing may be: both are found."""
    async with running(Model(LOOP).script, model_type="gpt_oss", max_model_len=65536) as server:
        events = await transcript(server, reasoning={"summary": "auto"})
    final = events[-1]["response"]
    for name in final:
        with pytest.raises(jsonschema.ValidationError):
            check_response({key: value for key, value in final.items() if key != name})
    for event in events:
        for name in event.keys() - {"type"}:
            with pytest.raises(jsonschema.ValidationError):
                check_event({key: value for key, value in event.items() if key != name})
    for index in range(len(final["output"])):
        for name in OPTIONAL - {"verbosity"}:
            broken = copy.deepcopy(final)
            broken["output"][index][name] = None
            with pytest.raises(jsonschema.ValidationError):
                check_response(broken)
    with pytest.raises(AssertionError, match="not an event of Open Responses"):
        check_event({**events[0], "type": "response.reasoning_text.delta"})
    with pytest.raises(AssertionError):
        check_stream([*events[:3], *events[4:]])


def said(steps: list[Any]) -> Script:
    """The same steps for any request."""
    return lambda _: steps


async def test_every_kind_of_end_is_of_the_contract() -> None:
    settings = changed(max_running_responses=1)
    ends: list[tuple[list[Any], dict[str, Any], str]] = [
        (["a"], {}, "completed"),
        (["a", "b", "c"], {"max_output_tokens": 1}, "incomplete"),
        (["a", Fail("no")], {}, "failed"),
        ([Fail("no")], {}, "failed"),
    ]
    for steps, members, status in ends:
        async with running(said(steps), settings) as server, server.client() as client:
            assert check_stream(await client.create(**members))["status"] == status
            async with http(server) as over_http:
                answer = await over_http.post(PATH, json={"input": "hi", "stream": True, **members})
                assert check_stream(events_of(answer.text))["status"] == status


async def test_a_refusal_is_of_the_contract_on_a_socket() -> None:
    async with running(say("a")) as server, server.client() as client:
        for members in ({"temperature": 9}, {"previous_response_id": "resp_x"}, {"model": "nobody"}):
            [error] = await client.create(**members)
            check_event(error)


@pytest.mark.parametrize("settings", [None, changed(images_without_sight="describe")], ids=["refuse", "describe"])
async def test_an_image_that_the_model_cannot_see(settings: Settings | None) -> None:
    """The suite's `image-input` with a model of text: refused by default, passed with the setting."""
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": data_url(image())}]
    async with running(say("I can't see it."), settings) as server, http(server) as client:
        answer = await client.post(PATH, json={"input": [{"type": "message", "role": "user", "content": parts}]})
        if settings is None:
            assert_refused(answer, "unsupported_parameter", 400, param="input[0].content[1]")
        else:
            assert check_response(answer.json())["status"] == "completed"


async def test_no_event_is_larger_than_clients_take() -> None:
    """A Response echoes what was asked: the largest request that is taken must not make a larger event."""
    async with running(say("a"), max_model_len=1000) as server, server.client() as client:
        limit = server.gateway.settings.connections.max_message_bytes
        assert limit <= MAX_EVENT_BYTES
        await client.send("response.create", input="hi", user="u" * (limit - 4096))
        raw = ""
        while '"done":true' not in raw[-200:]:
            raw = await client.receive_raw()
            assert len(raw.encode()) <= MAX_EVENT_BYTES
