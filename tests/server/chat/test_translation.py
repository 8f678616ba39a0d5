"""Requests for completions as creates, member by member, and errors in the words of the request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime.server.chat.history import to_items
from realtime.server.chat.requests import CreateChatCompletion
from realtime.server.chat.translation import reword, to_create
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate

USER = {"role": "user", "content": "hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CUSTOM = {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "x"}}


def create(**members: Any) -> ResponseCreate:
    body = msgspec.convert({"messages": [USER], **members}, CreateChatCompletion)
    return to_create(body, to_items(body.messages, 100))


def items(*messages: dict[str, Any]) -> list[Any]:
    body = msgspec.convert({"messages": messages}, CreateChatCompletion)
    return [msgspec.to_builtins(one.item) for one in to_items(body.messages, 100)]


MESSAGES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "system": (
        {"role": "system", "content": "s", "name": "n"}, [{"type": "message", "role": "system", "content": "s"}],
    ),
    "developer, parts": (
        {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        [{
            "type": "message", "role": "developer",
            "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        }],
    ),
    "user, image and file": (
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:a", "detail": "low"}},
            {"type": "image_url", "image_url": "data:b"},
            {"type": "file", "file": {"file_data": "data:c", "filename": "c.txt"}},
        ]},
        [{"type": "message", "role": "user", "content": [
            {"type": "input_image", "image_url": "data:a", "detail": "low"},
            {"type": "input_image", "image_url": "data:b"},
            {"type": "input_file", "file_data": "data:c", "filename": "c.txt"},
        ]}],
    ),
    "assistant": (
        {"role": "assistant", "content": "a", "refusal": None, "annotations": [], "tool_calls": None},
        [{"type": "message", "role": "assistant", "content": "a"}],
    ),
    "assistant, empty": (
        {"role": "assistant", "content": ""}, [{"type": "message", "role": "assistant", "content": ""}],
    ),
    "assistant, refusal": (
        {"role": "assistant", "content": None, "refusal": "no"},
        [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
    ),
    "assistant, parts": (
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
        [{
            "type": "message", "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "no"},
            ],
        }],
    ),
    "assistant, all": (
        {"role": "assistant", "reasoning_content": "r", "content": "a", "tool_calls": [CALL, CUSTOM]},
        [
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]},
            {"type": "message", "role": "assistant", "content": "a"},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": "x"},
        ],
    ),
    "assistant, only a call": (
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}],
    ),
    "tool": (
        {"role": "tool", "tool_call_id": "call_1", "content": "18 C"},
        [{"type": "function_call_output", "call_id": "call_1", "output": "18 C"}],
    ),
    "tool, parts": (
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "18"}]},
        [{
            "type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "18"}],
        }],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("message", "want"), MESSAGES.values(), ids=MESSAGES)
def test_messages_become_items(message: dict[str, Any], want: list[dict[str, Any]]) -> None:
    assert items(message) == want


FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
GRAMMAR = {"type": "grammar", "grammar": {"definition": "a", "syntax": "regex"}}
SCHEMA = {"name": "s", "schema": {"type": "object"}, "strict": True, "description": "d"}
MEMBERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_tokens": ({"max_tokens": 5}, {"max_output_tokens": 5}),
    "max_completion_tokens": ({"max_completion_tokens": 5}, {"max_output_tokens": 5}),
    "effort": ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    "verbosity": ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    "text": ({"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
    "json_object": ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    "json_schema": (
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        {"text": {"format": {"type": "json_schema", **SCHEMA}}},
    ),
    "logprobs": (
        {"logprobs": True, "top_logprobs": 2}, {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    ),
    "no logprobs": ({"logprobs": False}, {}),
    "reasoning shown": ({"include_reasoning": True}, {"include": ["reasoning.content"]}),
    "a function": (
        {"tools": [{"type": "function", "function": FUNCTION}]}, {"tools": [{"type": "function", **FUNCTION}]},
    ),
    "a custom tool": (
        {"tools": [{"type": "custom", "custom": {"name": "c", "format": GRAMMAR}}]},
        {"tools": [{
            "type": "custom", "name": "c", "format": {"type": "grammar", "definition": "a", "syntax": "regex"},
        }]},
    ),
    "no tools": ({"tools": []}, {}),
    "required": ({"tool_choice": "required"}, {"tool_choice": "required"}),
    "one function": (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "function", "name": "f"}},
    ),
    "one custom tool": (
        {"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, {"tool_choice": {"type": "custom", "name": "c"}},
    ),
    "allowed tools": (
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}],
        }}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
    ),
    "what is the same": (
        {"seed": 1, "stop": ["x"], "temperature": 0.5, "top_p": 0.5, "presence_penalty": 1.0, "user": "u",
         "frequency_penalty": -1.0, "metadata": {"a": "b"}, "store": False, "service_tier": "flex", "model": "m",
         "parallel_tool_calls": False, "logit_bias": {5: 1.0}, "top_k": 3, "min_p": 0.1, "ignore_eos": True,
         "prompt_cache_key": "k", "safety_identifier": "s", "chat_template_kwargs": {"a": 1}},
        {"seed": 1, "stop": ["x"], "temperature": 0.5, "top_p": 0.5, "presence_penalty": 1.0, "user": "u",
         "frequency_penalty": -1.0, "metadata": {"a": "b"}, "store": False, "service_tier": "flex", "model": "m",
         "parallel_tool_calls": False, "logit_bias": {5: 1.0}, "top_k": 3, "min_p": 0.1, "ignore_eos": True,
         "prompt_cache_key": "k", "safety_identifier": "s", "chat_template_kwargs": {"a": 1}},
    ),
    "what means what is done anyhow": (
        {"n": 1, "modalities": ["text"], "prediction": {"type": "content", "content": "x"}, "functions": None}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "want"), MEMBERS.values(), ids=MEMBERS)
def test_members_become_those_of_a_create(members: dict[str, Any], want: dict[str, Any]) -> None:
    plain = create()
    found = create(**members)
    differs = {
        name: value
        for name in plain.__struct_fields__
        if (value := getattr(found, name)) != getattr(plain, name) and name != "items"
    }
    assert _without_nothing(msgspec.to_builtins(differs)) == want


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nothing(member) for name, member in value.items() if member is not None}
    return value


ERRORS = [
    ("input[1].content[0].image_url", "messages[3].content[0].image_url"),
    ("input[0]", "messages[0]"),
    ("input[2].output[1]", "messages[4].tool_calls[0].content[1]"),
    ("input[9].content", "input[9].content"),
    ("input", "messages"),
    ("text.format.schema.properties", "response_format.json_schema.schema.properties"),
    ("text.format.type", "response_format.type"),
    ("max_output_tokens", "max_completion_tokens"),
    ("reasoning.effort", "reasoning_effort"),
    ("tools[2].parameters.x", "tools[2].function.parameters.x"),
    ("tools[2].format.definition", "tools[2].custom.format.definition"),
    ("tool_choice", "tool_choice"),
]


@pytest.mark.parametrize(("param", "want"), ERRORS)
def test_errors_name_the_members_that_the_request_has(param: str, want: str) -> None:
    places = ["messages[0]", "messages[3]", "messages[4].tool_calls[0]"]
    error = reword(WireError(ErrorCode.INVALID_REQUEST, f"`{param}` is wrong.", param=param), places)
    assert error.param == want
    assert error.message == f"`{want if param != 'input' else 'input'}` is wrong."
