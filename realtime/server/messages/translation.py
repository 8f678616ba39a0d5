"""Translate a request for a message to a create, and a create's errors back to the request's terms. Pure.

What the service checks is checked there. This module refuses members that a create does not have and that would, if
they were ignored, change the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from realtime.server.http.rewording import Words
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.formats import JsonSchemaFormat, ReasoningEffort
from realtime.wire.requests import STOP_SEQUENCE, ReasoningOptions, ResponseCreate, TextOptions

from .history import Placed
from .requests import CountMessageTokens, CreateMessage, ThinkingParam, ToolChoiceParam, ToolParam

_REFUSED = {
    "mcp_servers": "`mcp_servers` is not supported here: POST /v1/responses has tools of type `mcp`.",
    "container": "`container` is not supported: this server runs no code.",
    "context_management": "`context_management` is not supported here: POST /v1/responses has its own.",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_TIERS = {"auto": "auto", "standard_only": "default", None: None}


def to_create(body: CountMessageTokens, placed: Sequence[Placed]) -> ResponseCreate:
    """Return the same request as a create. `placed`: the messages as `history.to_items` returns them.
    Raises WireError.
    """
    for name, text in _REFUSED.items():
        if getattr(body, name):
            raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=name)
    effort, choice = _effort(body), body.tool_choice
    request = ResponseCreate(
        model=body.model,
        instructions=_system(body),
        items=[one.item for one in placed],
        include=_include(body) or None,
        reasoning=ReasoningOptions(effort=effort) if effort is not None else None,
        text=_text(body),
        tools=[_tool(tool, f"tools[{index}]") for index, tool in enumerate(body.tools)] if body.tools else None,
        tool_choice=_choice(choice) if choice is not None else None,
        parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
    )
    if isinstance(body, CreateMessage):
        request.max_output_tokens = body.max_tokens
        request.stop = body.stop_sequences or None
        request.temperature, request.top_k, request.top_p = body.temperature, body.top_k, body.top_p
        request.user = body.metadata.user_id if body.metadata is not None else None
        request.service_tier = _TIERS[body.service_tier]
    return request


def shows_thinking(thinking: ThinkingParam | None) -> bool:
    """Return whether the answer has blocks of thinking."""
    return thinking is not None and thinking.type != "disabled"


def shows_text_of_thinking(thinking: ThinkingParam | None) -> bool:
    """Return whether these have the text."""
    return shows_thinking(thinking) and thinking is not None and thinking.display != "omitted"


def _include(body: CountMessageTokens) -> list[str]:
    included = ["reasoning.encrypted_content"] * shows_thinking(body.thinking)
    included += ["reasoning.content"] * shows_text_of_thinking(body.thinking)
    return included + [STOP_SEQUENCE] * (isinstance(body, CreateMessage) and bool(body.stop_sequences))


def _system(body: CountMessageTokens) -> str | None:
    if body.system is None or isinstance(body.system, str):
        return body.system
    return "\n\n".join(block.text for block in body.system)


def _effort(body: CountMessageTokens) -> ReasoningEffort | None:
    if body.thinking is not None and body.thinking.type == "disabled":
        return "none"
    return body.output_config.effort if body.output_config is not None else None


def _text(body: CountMessageTokens) -> TextOptions | None:
    asked = body.output_config.format if body.output_config is not None else None
    return TextOptions(format=JsonSchemaFormat(name="output", schema=asked.schema)) if asked is not None else None


def _tool(tool: ToolParam, path: str) -> dict[str, Any]:
    if tool.type not in (None, "custom"):
        text = f"`{path}.type`: tools of type '{tool.type[:64]}' are Anthropic's own; this server does not have them."
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=f"{path}.type")
    if tool.input_schema is None:
        raise WireError(ErrorCode.INVALID_REQUEST, f"`{path}.input_schema` is required.", param=f"{path}.input_schema")
    read = {"description": tool.description, "strict": tool.strict}
    shown = {name: value for name, value in read.items() if value is not None}
    return {"type": "function", "name": tool.name, "parameters": tool.input_schema, **shown}


def _choice(choice: ToolChoiceParam) -> str | dict[str, Any]:
    if choice.type != "tool":
        return _CHOICES[choice.type]
    if choice.name is None:
        text = "`tool_choice.name` is required for a choice of type 'tool'."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="tool_choice.name")
    return {"type": "function", "name": choice.name}


# -- errors

_WORDS = Words(
    item=re.compile(r"\binput\[(\d+)\](?:\.(?:content|output)\b(?:\[(\d+)\])?)?"),
    names=(
        (re.compile(r"(?<![\w.])text\.format\b"), "output_config.format"),
        (re.compile(r"(?<![\w.])reasoning\.effort\b"), "output_config.effort"),
        (re.compile(r"\bmax_output_tokens\b"), "max_tokens"),
        (re.compile(r"(?<![\w.])(tools\[\d+\])\.parameters\b"), r"\1.input_schema"),
        (re.compile(r"(?<![\w.])instructions\b"), "system"),
        (re.compile(r"(?<![\w.])stop\b(?=\[|$|`)"), "stop_sequences"),
    ),
)


def places_of(placed: Sequence[Placed]) -> list[tuple[str, int]]:
    """Return where each item comes from, for `reword`."""
    return [(one.place, one.first) for one in placed]


def reword(error: WireError, places: Sequence[tuple[str, int]]) -> WireError:
    """Return the same error in terms of the request's members."""
    return _WORDS.reword(error, places, _path)


def _path(place: tuple[str, int], found: re.Match[str]) -> str:
    path, first = place
    if found[2] is not None:
        return f"{path}.content[{first + int(found[2])}]"
    return path + (".content" if found[0][-1] != "]" else "")
