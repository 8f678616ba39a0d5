"""Translate a request for a chat completion to a create, and a create's errors back to the request's terms. Pure.

What the service checks is checked there. This module refuses members that a create does not have and that would, if
they were ignored, change the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from realtime.server.http.rewording import Words
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.formats import JsonObjectFormat, PlainFormat, TextFormat
from realtime.wire.items import InputItem
from realtime.wire.requests import ReasoningOptions, ResponseCreate, TextOptions

from .history import Placed, unsupported
from .requests import ChatFormat, ChatJsonObject, ChatJsonSchema, CreateChatCompletion

_SAME = (
    "model", "frequency_penalty", "logit_bias", "metadata", "parallel_tool_calls", "presence_penalty",
    "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "seed", "service_tier", "stop", "store",
    "temperature", "top_p", "user", "moderation", "chat_template_kwargs", "cache_salt", "ignore_eos", "min_p",
    "repetition_penalty", "stop_token_ids", "top_k",
)  # fmt: skip
_REFUSED = {
    "functions": "`functions` is not supported: send `tools`.",
    "function_call": "`function_call` is not supported: send `tool_choice`.",
    "audio": "`audio` is not supported: the model says text only.",
    "web_search_options": "`web_search_options` is not supported: this server does not search the web.",
    "continue_final_message": "`continue_final_message` is not supported: an answer is a message of its own.",
    "structured_outputs": "`structured_outputs` is not supported: send `response_format`.",
}
LOGPROBS, REASONING = "message.output_text.logprobs", "reasoning.content"
_TOOL_TYPES = ("function", "custom")


def to_create(body: CreateChatCompletion, placed: Sequence[Placed]) -> ResponseCreate:
    """Return the same request as a create. `placed`: the messages as `history.to_items` returns them.
    Raises WireError.
    """
    _check(body)
    text = TextOptions(format=_format(body.response_format), verbosity=body.verbosity)
    include = [LOGPROBS] * bool(body.logprobs) + [REASONING] * bool(body.include_reasoning)
    items: list[InputItem] = [one.item for one in placed]
    return ResponseCreate(
        items=items,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        top_logprobs=body.top_logprobs,
        text=text if text.format is not None or text.verbosity is not None else None,
        reasoning=ReasoningOptions(effort=body.reasoning_effort) if body.reasoning_effort is not None else None,
        tools=[_tool(tool, f"tools[{index}]") for index, tool in enumerate(body.tools)] if body.tools else None,
        tool_choice=_choice(body.tool_choice),
        include=include or None,
        **{name: getattr(body, name) for name in _SAME},
    )


def _check(body: CreateChatCompletion) -> None:
    for name, text in _REFUSED.items():
        if getattr(body, name) not in (None, False):
            raise unsupported(name, text)
    if any(one != "text" for one in body.modalities or ()):
        raise unsupported("modalities", "`modalities` other than `text` are not supported: the model says text only.")
    if (body.n or 1) > 1:
        raise unsupported("n", "`n` greater than 1 is not supported: send the request so many times.")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise _wrong("max_tokens", "`max_tokens` and `max_completion_tokens` are the same limit: send one of them.")
    if body.top_logprobs is not None and not body.logprobs:
        raise _wrong("top_logprobs", "`top_logprobs` needs `logprobs: true`.")
    if body.stream_options is not None and not body.stream:
        raise _wrong("stream_options", "`stream_options` is for streams: it needs `stream: true`.")


def _wrong(param: str, text: str) -> WireError:
    return WireError(ErrorCode.INVALID_REQUEST, text, param=param)


def _format(asked: ChatFormat | None) -> TextFormat | None:
    match asked:
        case None:
            return None
        case ChatJsonSchema():
            return asked.json_schema
        case ChatJsonObject():
            return JsonObjectFormat()
        case _:
            return PlainFormat()


def _tool(tool: dict[str, Any], path: str) -> Any:
    kind = tool.get("type")
    if kind not in _TOOL_TYPES:
        told = f"'{kind[:64]}'" if isinstance(kind, str) else "missing"
        text = (
            f"`{path}.type` is {told}; chat completions have 'function' and 'custom', further tools POST /v1/responses."
        )
        raise unsupported(f"{path}.type", text)
    return _flat(tool)


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if not isinstance(choice, dict):
        return choice
    flat = _flat(choice)
    tools = flat.get("tools")
    return {**flat, "tools": [_flat(tool) for tool in tools]} if isinstance(tools, list) else flat


def _flat(value: Any) -> Any:
    """Move the members that are nested under the name of their `type` to the top: `{"type": "custom", "custom":
    {"name": ...}}`.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    inner = value.get(kind) if isinstance(kind, str) else None
    if not isinstance(inner, dict):
        return value
    flat = {name: member for name, member in value.items() if name != kind}
    return {**flat, **{name: _flat(member) if name == "format" else member for name, member in inner.items()}}


# -- errors

_WORDS = Words(
    item=re.compile(r"\binput\[(\d+)\](?:\.(?:content|output)\b)?"),
    names=(
        (re.compile(r"(?<![\w.])text\.format\.type\b"), "response_format.type"),
        (re.compile(r"(?<![\w.])text\.format\b(?!\.type)"), "response_format.json_schema"),
        (re.compile(r"(?<![\w.])text\.verbosity\b"), "verbosity"),
        (re.compile(r"(?<![\w.])reasoning\.effort\b"), "reasoning_effort"),
        (re.compile(r"\bmax_output_tokens\b"), "max_completion_tokens"),
        (re.compile(r"(?<![\w.])(tools\[\d+\])\.(name|parameters|description|strict)\b"), r"\1.function.\2"),
        (re.compile(r"(?<![\w.])(tools\[\d+\])\.format\b"), r"\1.custom.format"),
    ),
)


def reword(error: WireError, places: Sequence[str]) -> WireError:
    """Return the same error in terms of the request's members. `places`: where each item of its create comes from."""
    return _WORDS.reword(error, places, _path)


def _path(place: str, found: re.Match[str]) -> str:
    return place + (".content" if found[0][-1] != "]" else "")
