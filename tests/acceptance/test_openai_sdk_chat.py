"""OpenAI's SDK, unmodified, over chat completions with the real engine; and the same over the Responses API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tests.support.real import RealServer

pytestmark = pytest.mark.vllm

BASE: dict[str, Any] = {"model": "starter", "temperature": 0}
PARAMETERS = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
}  # fmt: skip
FUNCTION = {"name": "get_weather", "description": "Weather in a city", "strict": True, "parameters": PARAMETERS}
TOOL: Any = {"type": "function", "function": FUNCTION}
WEATHER: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
COUNT: Any = [{"role": "user", "content": "count to 5"}]


@pytest.fixture
def client(real: RealServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=real.base_url, api_key="unused", max_retries=0) as client:
        yield client


def valid(completion: ChatCompletion) -> ChatCompletion:
    """The same, if the SDK's own types take it strictly."""
    ChatCompletion.model_validate(completion.to_dict(), strict=True)
    return completion


def test_an_answer_and_its_response(client: openai.OpenAI) -> None:
    completion = valid(client.chat.completions.create(**BASE, messages=COUNT))
    assert completion.choices[0].message.content == "1, 2, 3, 4, 5."
    assert completion.choices[0].finish_reason == "stop"
    assert client.responses.retrieve(completion.id).output_text == "1, 2, 3, 4, 5."


def test_a_stream_and_the_helper(client: openai.OpenAI) -> None:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    chunks: list[ChatCompletionChunk] = list(client.chat.completions.create(**BASE, messages=COUNT, **options))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict(), strict=True)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "1, 2, 3, 4, 5."
    assert chunks[-1].usage is not None
    with client.chat.completions.stream(**BASE, messages=COUNT, logprobs=True, top_logprobs=1) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "content.done", "logprobs.content.delta"} <= kinds
    assert final.choices[0].message.content == "1, 2, 3, 4, 5."
    logprobs = final.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert "".join(one.token for one in logprobs.content).strip() == "1, 2, 3, 4, 5."


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    score: int


def test_formats_by_their_helpers(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(**BASE, messages=COUNT, response_format=Mood)
    assert isinstance(parsed.choices[0].message.parsed, Mood)
    with client.chat.completions.stream(**BASE, messages=COUNT, response_format=Mood) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Mood)
    plain = client.chat.completions.create(
        **BASE, messages=COUNT, max_tokens=40, response_format={"type": "json_object"}
    )
    assert (plain.choices[0].message.content or "").lstrip().startswith("{")


def test_a_tool_and_its_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {**BASE, "tools": [TOOL]}
    with client.chat.completions.stream(**asked, messages=WEATHER, tool_choice="required") as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls
    assert json.loads(message.tool_calls[0].function.arguments).keys() == {"city"}
    outputs: Any = [{"role": "tool", "tool_call_id": call.id, "content": "18 C"} for call in message.tool_calls]
    said: Any = message.to_dict()
    for call in said["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    said.pop("parsed", None)
    follow = valid(client.chat.completions.create(**asked, messages=[*WEATHER, said, *outputs]))
    assert follow.choices[0].finish_reason == "stop"
    assert "18" in (follow.choices[0].message.content or "")
    named: Any = {"type": "function", "function": {"name": "get_weather"}}
    forced = valid(client.chat.completions.create(**asked, messages=COUNT, tool_choice=named))
    assert forced.choices[0].finish_reason == "tool_calls"
    none = valid(client.chat.completions.create(**asked, messages=WEATHER, tool_choice="none"))
    assert none.choices[0].message.tool_calls is None


def test_refusals_are_the_errors_that_the_sdk_has_classes_for(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-5", messages=COUNT)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as several:
        client.chat.completions.create(**BASE, messages=COUNT, n=2)
    assert (several.value.param, several.value.code) == ("n", "unsupported_parameter")
    long: Any = [{"role": "user", "content": "word " * 20_000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as too_long:
            client.chat.completions.create(**BASE, messages=long, stream=stream)
        assert too_long.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("chat", "create"),
    [
        ({"messages": COUNT}, {"input": COUNT}),
        ({"messages": COUNT, "max_tokens": 4}, {"input": COUNT, "max_output_tokens": 4}),
        ({"messages": COUNT, "seed": 3, "temperature": 1, "stop": "3"},
         {"input": COUNT, "temperature": 1, "extra_body": {"seed": 3, "stop": "3"}}),
        ({"messages": WEATHER, "tools": [TOOL], "tool_choice": "required"},
         {"input": WEATHER, "tools": [{"type": "function", **FUNCTION}], "tool_choice": "required"}),
    ],
)  # fmt: skip
def test_the_same_over_both_doors(client: openai.OpenAI, chat: dict[str, Any], create: dict[str, Any]) -> None:
    completion = valid(client.chat.completions.create(**{**BASE, **chat}))
    response = client.responses.create(**{**BASE, **create})
    message, usage = completion.choices[0].message, completion.usage
    assert (message.content or "") == response.output_text
    calls = [(one.name, one.arguments) for one in response.output if one.type == "function_call"]
    said: Any = message.tool_calls or []
    assert [(one.function.name, one.function.arguments) for one in said] == calls
    assert usage is not None
    assert response.usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (
        response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens,
    )  # fmt: skip
