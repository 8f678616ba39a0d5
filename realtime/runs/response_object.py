"""The Response object that describes a request: every member has the value in force. Pure."""

from __future__ import annotations

from collections.abc import Set
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from realtime.context.tool_definitions import unnest
from realtime.context.tools import ToolSet
from realtime.engine.base import ModelInfo
from realtime.wire.formats import JsonSchemaFormat, PlainFormat, TextFormat
from realtime.wire.requests import ConversationRef, ResponseCreate
from realtime.wire.response import ReasoningConfig, Response, TextConfig


def new_response(
    request: ResponseCreate, model: ModelInfo, tools: ToolSet, response_id: str, created_at: int
) -> Response:
    """Build the Response for `response.created`. `tools`: the request's tools as resolved. `created_at`:
    unix seconds.
    """
    text = request.text
    reasoning = request.reasoning
    config = TextConfig(format=_held_to((text.format if text else None) or PlainFormat()))
    if text is not None and text.verbosity is not None:
        config.verbosity = text.verbosity
    return Response(
        id=response_id,
        created_at=created_at,
        status="in_progress",
        model=model.name,
        previous_response_id=request.previous_response_id,
        instructions=request.instructions,
        tools=echoed_tools(request, tools),
        tool_choice="auto" if request.tool_choice is None else unnest(request.tool_choice),
        parallel_tool_calls=True if request.parallel_tool_calls is None else request.parallel_tool_calls,
        max_tool_calls=request.max_tool_calls,
        truncation=request.truncation or "disabled",
        text=config,
        reasoning=ReasoningConfig(
            effort=reasoning.effort if reasoning else None,
            summary=(reasoning.summary or reasoning.generate_summary) if reasoning else None,
        ),
        temperature=_first(request.temperature, model.defaults.temperature, 1.0),
        top_p=_first(request.top_p, model.defaults.top_p, 1.0),
        presence_penalty=_first(request.presence_penalty, model.defaults.presence_penalty, 0.0),
        frequency_penalty=_first(request.frequency_penalty, model.defaults.frequency_penalty, 0.0),
        top_logprobs=request.top_logprobs or 0,
        max_output_tokens=request.max_output_tokens,
        store=request.store is not False,
        background=request.background or False,
        metadata=request.metadata or {},
        safety_identifier=request.safety_identifier,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_retention=request.prompt_cache_retention,
        user=request.user,
        request_id=UNSET if request.request_id is None else request.request_id,
        conversation=UNSET if request.conversation_id is None else ConversationRef(id=request.conversation_id),
    )


def _held_to(asked: TextFormat) -> TextFormat:
    """Return a format as the Response shows it. `strict` is never null there, and a schema is enforced whatever the
    request said.
    """
    if isinstance(asked, JsonSchemaFormat) and asked.strict is None:
        return msgspec.structs.replace(asked, strict=True)
    return asked


def echoed_tools(request: ResponseCreate, tools: ToolSet) -> list[dict[str, Any]]:
    """Return a request's tools as the Response shows them. `tools`: the tools as resolved."""
    held = {tool.path for tool in tools.tools if tools.holds(tool)}
    return [_echoed(tool, f"tools[{index}]", held) for index, tool in enumerate(request.tools or ())]


def _echoed(tool: dict[str, Any], path: str, held: Set[str]) -> dict[str, Any]:
    """Return a tool as the Response shows it. Validators want these members of a function, null where the client gave
    none; `strict` is the value in force. Possible secrets are not shown: of an MCP server's URL only the origin, as
    OpenAI does.

    held: the parameters to which sampling is constrained.
    """
    match tool.get("type"):
        case "mcp":
            return _without_secrets(tool)
        case "function":
            return {"description": None, "parameters": None, **_with_strict(unnest(tool), path, held)}
        case "namespace":
            inner = (
                _with_strict(one, f"{path}.tools[{index}]", held) if one.get("type") == "function" else one
                for index, one in enumerate(tool["tools"])
            )
            return {**tool, "tools": list(inner)}
        case _:
            return tool


def _with_strict(function: dict[str, Any], path: str, held: Set[str]) -> dict[str, Any]:
    asked = unnest(function).get("strict")
    if asked is not None:
        return function
    return {**function, "strict": f"{path}.parameters" in held}


def _without_secrets(tool: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in tool.items() if name not in ("authorization", "headers")}
    url = shown.get("server_url")
    if isinstance(url, str):
        parts = urlsplit(url)
        shown["server_url"] = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/<redacted>"
    return shown


def _first(asked: float | None, models: float | None, otherwise: float) -> float:
    if asked is not None:
        return asked
    return models if models is not None else otherwise
