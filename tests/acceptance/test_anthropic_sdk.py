"""Anthropic's SDK for Python, unmodified, over its own API, with the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.real import RealServer

if TYPE_CHECKING:  # its import takes seconds, which one worker shall pay, not each that collects
    import anthropic
    from anthropic.types import Message

pytestmark = pytest.mark.vllm

BASE: dict[str, Any] = {"model": "starter", "max_tokens": 300, "extra_body": {"temperature": 0}}
COUNT: Any = [{"role": "user", "content": "count to 5"}]
WEATHER: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: Any = {
    "name": "get_weather", "description": "Weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}  # fmt: skip


@pytest.fixture
def client(real: RealServer) -> Iterator[anthropic.Anthropic]:
    import anthropic

    base_url = real.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=base_url, api_key="unused", max_retries=0) as client:
        yield client


def valid(message: Message) -> Message:
    """The same, if the SDK's own types take it strictly."""
    from anthropic.types import Message

    Message.model_validate(message.to_dict(), strict=True)
    return message


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_an_answer_a_stream_and_the_count(client: anthropic.Anthropic) -> None:
    message = valid(client.messages.create(**BASE, messages=COUNT))
    assert (text_of(message), message.stop_reason) == ("1, 2, 3, 4, 5.", "end_turn")
    with client.messages.stream(**BASE, messages=COUNT) as stream:
        assert "".join(stream.text_stream) == "1, 2, 3, 4, 5."
        final = stream.get_final_message()
    assert (text_of(final), final.stop_reason) == ("1, 2, 3, 4, 5.", "end_turn")
    assert final.usage.output_tokens == message.usage.output_tokens
    counted = client.messages.count_tokens(model="starter", messages=COUNT)
    for usage in (message.usage, final.usage):
        assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    stopped = client.messages.create(**BASE, messages=COUNT, stop_sequences=["4"])
    assert (text_of(stopped), stopped.stop_reason, stopped.stop_sequence) == ("1, 2, 3, ", "stop_sequence", "4")
    assert client.messages.create(**{**BASE, "max_tokens": 3}, messages=COUNT).stop_reason == "max_tokens"


def test_a_tool_loop(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {**BASE, "tools": [TOOL]}
    with client.messages.stream(**asked, messages=WEATHER, tool_choice={"type": "any"}) as stream:
        kinds = {event.type for event in stream}
        called = valid(stream.get_final_message())
    assert {"message_start", "content_block_start", "input_json", "message_delta", "message_stop"} <= kinds
    assert called.stop_reason == "tool_use"
    uses = [block for block in called.content if block.type == "tool_use"]
    assert uses[0].input.keys() == {"city"}
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "18 C"} for use in uses]
    said: Any = [block.to_dict() for block in called.content]
    messages: Any = [*WEATHER, {"role": "assistant", "content": said}, {"role": "user", "content": results}]
    answer = valid(client.messages.create(**asked, messages=messages))
    assert "18" in text_of(answer)


def test_errors_are_those_that_the_sdk_has_classes_for(client: anthropic.Anthropic) -> None:
    import anthropic

    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="claude", max_tokens=9, messages=COUNT)
    assert missing.value.request_id is not None
    long: Any = [{"role": "user", "content": "word " * 20_000}]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**BASE, messages=long)
    with pytest.raises(anthropic.BadRequestError), client.messages.stream(**BASE, messages=long):
        pass
