"""What a template is given of a history: ids, arguments and reasoning as its family wants them."""

from __future__ import annotations

import json
from typing import Any

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.scripted import ScriptedTokenizer
from realtime.wire.items import FunctionCall, FunctionCallOutput, InputItem, Message, Reasoning, ReasoningText
from realtime.wire.requests import ResponseCreate

LOOP: list[InputItem] = [
    Message(role="user", content="Weather?"),
    Reasoning(content=[ReasoningText(text="I need it.")]),
    FunctionCall(call_id="call_0123abc", name="get_weather", arguments='{"city": "Paris"}'),
    FunctionCall(call_id="call_4567def", name="get_weather", arguments='{"city": "Pa'),
    FunctionCallOutput(call_id="call_0123abc", output="sunny"),
    FunctionCallOutput(call_id="call_4567def", output="?"),
]


class Told(ScriptedTokenizer):
    """A tokenizer that keeps what its template was given."""

    messages: list[dict[str, Any]]

    def apply_chat_template(self, messages: Any, *more: Any, **kwargs: Any) -> Any:
        """See ScriptedTokenizer."""
        self.messages = json.loads(json.dumps(list(messages)))
        return super().apply_chat_template(messages, *more, **kwargs)


def shown(family: str) -> list[dict[str, Any]]:
    tokenizer = Told()
    dialect = ChatDialect(tokenizer, MarkupReader(ALL_FAMILIES[family], tokenizer))
    dialect.render(ResponseCreate(), tools(), LOOP, None)
    return tokenizer.messages


def tools() -> ToolSet:
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    return tool_set([{"type": "function", "name": "get_weather", "parameters": city}], None, None)


def test_ids_are_those_that_the_family_was_trained_on() -> None:
    _, answer, *results = shown("kimi_k2")
    ids = ["functions.get_weather:0", "functions.get_weather:1"]
    assert [call["id"] for call in answer["tool_calls"]] == ids
    assert [result["tool_call_id"] for result in results] == ids
    _, answer, *results = shown("qwen3")
    assert [call["id"] for call in answer["tool_calls"]] == ["call_0123abc", "call_4567def"]


def test_arguments_are_an_object_also_of_a_call_that_was_cut() -> None:
    _, answer, *_ = shown("qwen3")
    assert [call["function"]["arguments"] for call in answer["tool_calls"]] == [
        {"city": "Paris"}, {"arguments": '{"city": "Pa'},
    ]  # fmt: skip


def test_reasoning_stands_where_the_template_looks_for_it() -> None:
    assert shown("qwen3")[1]["reasoning_content"] == "I need it."
    parts = shown("mistral")[1]["content"]
    assert parts[0] == {"type": "thinking", "thinking": "I need it."}


def test_a_result_has_the_name_of_its_tool() -> None:
    assert [message["name"] for message in shown("qwen3")[2:]] == ["get_weather", "get_weather"]
