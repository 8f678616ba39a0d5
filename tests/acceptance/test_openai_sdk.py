"""The official SDK, unmodified, against the server as a newcomer starts it (OpenAI's wire: clients dial base URL)."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponsesServerEvent
from pydantic import TypeAdapter

from tests.support.real import RealServer

pytestmark = pytest.mark.vllm

_EVENT = TypeAdapter(ResponsesServerEvent)


def check(events: list[Any]) -> Response:
    """Numbers without a gap, one terminal, each event valid by the SDK's own types; the final response."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.done for event in events] == [False] * (len(events) - 1) + [True]
    for event in events:
        _EVENT.validate_python(event.to_dict(), strict=True)
    assert events[-1].type == "response.completed"
    final: Response = events[-1].response
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == final.output_text
    return final


def test_sync_client_streams_an_answer_and_a_second_turn(real: RealServer) -> None:
    client = openai.OpenAI(base_url=real.base_url, api_key="unused")
    with client.responses.connect() as connection:

        def turn(**members: Any) -> Response:
            connection.response.create(model="starter", temperature=0, **members)
            events: list[Any] = []
            for event in connection:
                events.append(event)
                if events[-1].done:
                    break
            return check(events)

        first = turn(input="My name is Ada.")
        second = turn(input="What is my name?", previous_response_id=first.id)
    assert first.usage is not None
    assert second.usage is not None
    assert second.previous_response_id == first.id
    assert "Ada" in second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens


async def test_async_client_streams_an_answer_and_a_second_turn(real: RealServer) -> None:
    client = openai.AsyncOpenAI(base_url=real.base_url, api_key="unused")
    async with client, client.responses.connect() as connection:

        async def turn(**members: Any) -> Response:
            await connection.response.create(model="starter", temperature=0, **members)
            events: list[Any] = []
            async for event in connection:
                events.append(event)
                if events[-1].done:
                    break
            return check(events)

        first = await turn(input="count to 5", store=False)
        second = await turn(input="add 3 and 4", previous_response_id=first.id, store=False)
    assert first.output_text == "1, 2, 3, 4, 5."
    assert "7" in second.output_text


def test_sync_client_steers_and_the_successor_answers(real: RealServer) -> None:
    client = openai.OpenAI(base_url=real.base_url, api_key="unused")
    create: Any = {"type": "response.create", "model": "starter", "input": "count to 100", "store": False}
    with client.responses.connect() as connection:
        endless: Any = {**create, "ignore_eos": True}
        connection.send(endless)
        seen: list[Any] = []
        for event in connection:
            _EVENT.validate_python(event.to_dict(), strict=True)
            if event.type == "response.output_text.delta" and not any(e.type == event.type for e in seen):
                connection.response.steer(previous_response_id=seen[0].response.id, input="Stop. Say hello.")
            seen.append(event)
            if event.type == "response.created" and len(seen) > 1:
                break
        kinds = [event.type for event in seen]
        accepted = seen[kinds.index("response.steer.accepted")]
        assert accepted.steer.previous_response_id == seen[0].response.id
        assert seen[-2].response.incomplete_details.reason == "steered"
        assert seen[-1].response.previous_response_id == seen[0].response.id
        connection.response.steer(previous_response_id="resp_none", input="x")
        failed = next(event for event in connection if event.type == "response.steer.failed")
        assert failed.error.code == "response_not_found"


def test_beta_client_injects_and_is_told_why_not(real: RealServer) -> None:
    client = openai.OpenAI(base_url=real.base_url, api_key="unused")
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    with client.beta.responses.connect() as connection:
        connection.response.inject(response_id="resp_none", input=[output])
        event = connection.recv()
        assert event.type == "response.inject.failed"
        assert event.error.code == "response_not_found"
        assert event.response_id == "resp_none"
