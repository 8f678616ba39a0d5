"""The official SDK, unmodified, over HTTP: every answer and every event strictly valid by its own types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseItem
from pydantic import TypeAdapter

from tests.support.real import RealServer
from tests.support.sdk import check

pytestmark = pytest.mark.vllm

_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
LONG: dict[str, Any] = {"input": "tell me a long story", "extra_body": {"ignore_eos": True}}


@pytest.fixture
def client(real: RealServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=real.base_url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def aclient(real: RealServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=real.base_url, api_key="unused", max_retries=0) as client:
        yield client


def valid(response: Response) -> Response:
    """The same, if the SDK's own types take it strictly."""
    Response.model_validate(response.to_dict(), strict=True)
    return response


def test_create_continue_retrieve_delete(client: openai.OpenAI) -> None:
    first = valid(client.responses.create(model="starter", temperature=0, input="My name is Ada."))
    second = valid(
        client.responses.create(model="starter", temperature=0, input="What is my name?", previous_response_id=first.id)
    )
    assert "Ada" in second.output_text
    assert valid(client.responses.retrieve(second.id, include=["reasoning.encrypted_content"])) == second
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError) as gone:
        client.responses.retrieve(second.id)
    assert gone.value.code == "response_not_found"
    assert gone.value.request_id is not None
    assert valid(client.responses.retrieve(first.id)).id == first.id


def test_stream_and_the_helper(client: openai.OpenAI) -> None:
    with client.responses.create(model="starter", temperature=0, input="count to 5", stream=True) as stream:
        events: list[Any] = list(stream)
    check(events)
    assert events[-1].response.output_text == "1, 2, 3, 4, 5."
    with client.responses.stream(model="starter", temperature=0, input="count to 5") as helper:
        kinds = [event.type for event in helper]
        assert helper.get_final_response().output_text == "1, 2, 3, 4, 5."
    assert kinds[-1] == "response.completed"


def test_tools(client: openai.OpenAI) -> None:
    tools: Any = [{
        "type": "function", "name": "get_weather", "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                       "additionalProperties": False},
    }]  # fmt: skip
    asked: dict[str, Any] = {"model": "starter", "temperature": 0, "tools": tools, "tool_choice": "required"}
    with client.responses.create(**asked, input="What is the weather in Paris?", stream=True) as stream:
        events = list(stream)
    check(events)
    [call] = [item for item in events[-1].response.output if item.type == "function_call"]
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "18 C"}
    follow = client.responses.create(
        model="starter", input=[output], tools=tools, previous_response_id=events[-1].response.id
    )
    assert valid(follow).status == "completed"


def test_input_items_and_tokens(client: openai.OpenAI) -> None:
    items: Any = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "4"},
        {"role": "user", "content": "count to 3"},
    ]
    counted = client.responses.input_tokens.count(model="starter", input=items)
    response = valid(client.responses.create(model="starter", input=items))
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens
    listed = list(client.responses.input_items.list(response.id, limit=2, order="asc"))  # pages by itself
    assert [item.type for item in listed] == [item.get("type", "message") for item in items]
    for item in listed:
        _ITEM.validate_python(item.to_dict(), strict=True)


async def test_background_polling_and_resume(aclient: openai.AsyncOpenAI) -> None:
    response = valid(
        await aclient.responses.create(model="starter", temperature=0, input="count to 5", background=True)
    )
    assert (response.status, response.background) == ("queued", True)
    while response.status in ("queued", "in_progress"):
        response = valid(await aclient.responses.retrieve(response.id))
    assert response.output_text == "1, 2, 3, 4, 5."

    stream = await aclient.responses.create(
        model="starter", temperature=0, input="tell me a story", background=True, stream=True
    )
    events: list[Any] = []
    async for event in stream:
        events.append(event)
        if len(events) == 6:
            break
    await stream.close()
    rest = await aclient.responses.retrieve(
        events[0].response.id, stream=True, starting_after=events[-1].sequence_number
    )
    events += [event async for event in rest]
    check(events)
    assert events[0].response.status == "queued"


async def test_cancel(aclient: openai.AsyncOpenAI, real: RealServer) -> None:
    response = await aclient.responses.create(model="starter", background=True, **LONG)
    cancelled = await aclient.responses.cancel(response.id)
    assert cancelled.status == "cancelled"
    assert (await aclient.responses.cancel(response.id)) == cancelled
    real.wait_until(engine_running=0, engine_waiting=0)
    done = await aclient.responses.create(model="starter", input="count to 3")
    with pytest.raises(openai.ConflictError) as over:
        await aclient.responses.cancel(done.id)
    assert over.value.code == "response_already_completed"


async def test_leaving_a_stream_frees_the_engine(aclient: openai.AsyncOpenAI, real: RealServer) -> None:
    stream = await aclient.responses.create(model="starter", stream=True, **LONG)
    async for event in stream:
        if event.type.endswith(".delta"):
            break
    await stream.close()
    real.wait_until(engine_running=0, engine_waiting=0, responses=0)


def test_errors_are_the_exceptions_of_the_sdk(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="gpt-5", input="hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.responses.create(model="starter", input="hi", temperature=9)
    assert (wrong.value.code, wrong.value.param) == ("invalid_request", "temperature")
    with pytest.raises(openai.BadRequestError) as long:
        client.responses.create(model="starter", input="word " * 20_000)
    assert long.value.code == "context_length_exceeded"


def test_models(client: openai.OpenAI) -> None:
    [model] = list(client.models.list())
    assert client.models.retrieve(model.id) == model
