"""What a request asks for, what of it is refused by name, and what the Response then says holds."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response as SdkResponse
from pydantic import TypeAdapter

from realtime.context.request_tools import tool_set
from realtime.engine.base import ModelInfo, Sampling
from realtime.runs.response_object import new_response
from realtime.wire import codec
from realtime.wire.requests import ResponseCreate

_SDK = TypeAdapter(SdkResponse)
MODEL = ModelInfo(
    name="starter",
    path="/models/starter",
    max_model_len=4096,
    defaults=Sampling(max_tokens=4096, temperature=0.7, top_p=0.9),
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def decoded(**members: Any) -> ResponseCreate:
    event = codec.decode(json.dumps({"type": "response.create", **members}).encode(), codec.Limits())
    assert isinstance(event, ResponseCreate)
    return event


def effective(**members: Any) -> dict[str, Any]:
    """The Response of `response.created` for this request; always valid by the SDK's types."""
    request = decoded(**members)
    tools = tool_set(request.tools, request.tool_choice, None)
    encoded = msgspec.json.encode(new_response(request, MODEL, tools, "resp_1", 1))
    _SDK.validate_json(encoded, strict=True)
    shown: dict[str, Any] = json.loads(encoded)
    return shown


def refusal(**members: Any) -> tuple[str | None, str]:
    with pytest.raises(codec.Rejected) as rejected:
        decoded(**members)
    return rejected.value.error.param, rejected.value.error.message


def test_what_was_not_asked_for_has_the_models_defaults_and_then_openais() -> None:
    shown = effective()
    assert {name: shown[name] for name in DEFAULTS} == DEFAULTS


DEFAULTS: dict[str, Any] = {
    "temperature": 0.7, "top_p": 0.9, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_logprobs": 0,
    "max_output_tokens": None, "max_tool_calls": None, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True,
    "truncation": "disabled", "text": {"format": {"type": "text"}}, "reasoning": {"effort": None, "summary": None},
    "store": True, "background": False, "service_tier": "default", "metadata": {}, "instructions": None, "user": None,
    "previous_response_id": None, "safety_identifier": None, "prompt_cache_key": None, "usage": None, "error": None,
    "incomplete_details": None, "output": [], "completed_at": None, "status": "in_progress",
}  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": 0.0}, {"temperature": 2.0}, {"top_p": 0.5}, {"presence_penalty": -2.0},
        {"frequency_penalty": 1.5}, {"top_logprobs": 20}, {"max_output_tokens": 1}, {"max_tool_calls": 3},
        {"parallel_tool_calls": False}, {"truncation": "auto"}, {"store": False}, {"metadata": {"a": "b"}},
        {"instructions": "Be brief."}, {"user": "u"}, {"safety_identifier": "s"}, {"prompt_cache_key": "k"},
        {"tool_choice": "none"}, {"reasoning": {"effort": "low", "summary": "detailed"}},
    ],
    ids=lambda asked: next(iter(asked)),
)  # fmt: skip
def test_what_was_asked_for_is_echoed(asked: dict[str, Any]) -> None:
    shown = effective(**asked)
    assert {name: shown[name] for name in asked} == asked


def test_null_is_the_same_as_absent() -> None:
    nulls = dict.fromkeys(
        ("temperature", "top_p", "tools", "tool_choice", "text", "reasoning", "truncation", "store", "metadata", "stop",
         "parallel_tool_calls", "max_output_tokens", "top_logprobs", "include", "conversation", "prompt", "background")
    )  # fmt: skip
    assert effective(**nulls) == effective()


def test_the_old_name_of_the_summary_counts() -> None:
    assert effective(reasoning={"generate_summary": "auto"})["reasoning"] == {"effort": None, "summary": "auto"}


def test_verbosity_is_there_only_when_it_was_asked_for() -> None:
    assert effective(text={"verbosity": "low"})["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert "verbosity" not in effective(text={})["text"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"type": "text"}, {"type": "text"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "name": "place", "schema": SCHEMA},
            {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True, "description": None},
        ),
        (
            {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True, "description": "A place"},
            {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True, "description": "A place"},
        ),
    ],
)
def test_the_format_of_the_text_is_echoed_whole(asked: dict[str, Any], shown: dict[str, Any]) -> None:
    assert effective(text={"format": asked})["text"]["format"] == shown


def test_functions_are_echoed_with_all_members_that_validators_want() -> None:
    (tool,) = effective(tools=[{"type": "function", "name": "f"}])["tools"]
    assert tool == {"type": "function", "name": "f", "description": None, "parameters": None, "strict": True}
    full = {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    assert effective(tools=[full])["tools"] == [full]


UNIQUE = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}


@pytest.mark.parametrize(
    ("asked", "parameters", "shown"),
    [(None, SCHEMA, True), (None, UNIQUE, False), (False, SCHEMA, False), (True, SCHEMA, True)],
)
@pytest.mark.parametrize("namespace", [False, True])
def test_strict_is_shown_as_it_holds(asked: bool | None, parameters: Any, shown: bool, namespace: bool) -> None:
    tool = {"type": "function", "name": "f", "parameters": parameters, "strict": asked}
    if namespace:
        (space,) = effective(tools=[{"type": "namespace", "name": "n", "description": "d", "tools": [tool]}])["tools"]
        assert space["tools"] == [{**tool, "strict": shown}]
    else:
        (echoed,) = effective(tools=[tool])["tools"]
        assert echoed["strict"] is shown


def test_functions_in_the_form_of_chat_completions_are_echoed_in_the_form_of_responses() -> None:
    nested = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    shown = effective(tools=[nested], tool_choice={"type": "function", "function": {"name": "f"}})
    (tool,) = shown["tools"]
    assert tool == {"type": "function", "name": "f", "description": None, "parameters": SCHEMA, "strict": True}
    assert shown["tool_choice"] == {"type": "function", "name": "f"}


def test_other_tools_are_echoed_as_they_came() -> None:
    tools = [
        {"type": "web_search"},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'}},
    ]
    assert effective(tools=tools)["tools"] == tools


@pytest.mark.parametrize(
    ("param", "members"),
    [
        ("temperature", {"temperature": -0.1}), ("temperature", {"temperature": 2.1}),
        ("temperature", {"temperature": "hot"}), ("top_p", {"top_p": 0}), ("top_p", {"top_p": 1.1}),
        ("max_output_tokens", {"max_output_tokens": 0}), ("max_output_tokens", {"max_output_tokens": 1.5}),
        ("presence_penalty", {"presence_penalty": 3}), ("frequency_penalty", {"frequency_penalty": -3}),
        ("top_logprobs", {"top_logprobs": 21}), ("top_k", {"top_k": -2}), ("min_p", {"min_p": 1.5}),
        ("repetition_penalty", {"repetition_penalty": 0}), ("seed", {"seed": 2**63}), ("seed", {"seed": "lucky"}),
        ("stop", {"stop": ""}), ("stop[1]", {"stop": ["a", ""]}), ("stop", {"stop": ["a"] * 17}),
        ("truncation", {"truncation": "some"}), ("reasoning.effort", {"reasoning": {"effort": "much"}}),
        ("reasoning.summary", {"reasoning": {"summary": "long"}}), ("text.verbosity", {"text": {"verbosity": "much"}}),
        ("text.format.type", {"text": {"format": {"type": "xml"}}}), ("text.format", {"text": {"format": "json"}}),
        ("text.format.schema", {"text": {"format": {"type": "json_schema", "name": "n"}}}),
        ("text.format.name", {"text": {"format": {"type": "json_schema", "schema": {}}}}),
        ("text.format.schema", {"text": {"format": {"type": "json_schema", "name": "n", "schema": "s"}}}),
        ("parallel_tool_calls", {"parallel_tool_calls": "no"}), ("tools", {"tools": {}}),
        ("tools[0]", {"tools": ["f"]}),
        ("tool_choice", {"tool_choice": 1}), ("max_tool_calls", {"max_tool_calls": 0}), ("include", {"include": "all"}),
        ("metadata", {"metadata": {str(number): "" for number in range(17)}}), ("store", {"store": "yes"}),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else value,
)  # fmt: skip
def test_a_bad_value_is_refused_with_the_path_of_its_member(param: str, members: dict[str, Any]) -> None:
    path, message = refusal(**members)
    assert path == param
    assert f"`{param}`" in message
