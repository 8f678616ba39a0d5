"""A request's `tool_choice`: which tools the model may or must call. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from realtime.wire.errors import invalid_member

from .client_tools import CLIENT_TOOLS
from .tool_definitions import HIDDEN, convert, unnest
from .tools import Mode, Tool, ToolSet


class _Named(msgspec.Struct):
    type: str
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[dict[str, Any]] = []


def choose(offered: ToolSet, choice: str | dict[str, Any] | None) -> ToolSet:
    """Return the tools with this choice among them. Raises WireError with the path of what is wrong."""
    if choice is None or isinstance(choice, str):
        return _mode(offered, choice or "auto")
    named = convert(unnest(choice), _Named, "tool_choice")
    if named.type == "allowed_tools":
        allowed = {_find(offered, one).shown_as for one in _allowed(named.tools) if one.type != "mcp"}
        servers = [_server(one) for one in _allowed(named.tools) if one.type == "mcp"]
        kept = tuple(
            tool for tool in offered.tools if tool.shown_as in allowed or any(_is_of(tool, *s) for s in servers)
        )
        return _mode(msgspec.structs.replace(offered, tools=kept), named.mode)
    if named.type == "mcp":
        return _choose_mcp(offered, named)
    if named.type in HIDDEN:
        text = f"this server does not run tools of type '{named.type}', so the model can't be made to call one"
        raise invalid_member("tool_choice.type", text)
    if named.type not in ("function", "custom", *CLIENT_TOOLS):
        raise invalid_member("tool_choice.type", f"a tool of type {named.type[:64]!r} can't be called on this server")
    return msgspec.structs.replace(offered, mode=Mode.REQUIRED, only=_find(offered, named))


def _choose_mcp(offered: ToolSet, named: _Named) -> ToolSet:
    """Require a call of one of a server's tools, or of the one that is named."""
    label, name = _server(named)
    kept = tuple(tool for tool in offered.tools if _is_of(tool, label, name))
    if not kept:
        what = f"tool '{name[:64]}' of the" if name else "tool of the"
        raise invalid_member("tool_choice", f"there is no {what} MCP server '{label[:64]}' that the model may call")
    if name is None:
        return msgspec.structs.replace(offered, tools=kept, mode=Mode.REQUIRED)
    return msgspec.structs.replace(offered, mode=Mode.REQUIRED, only=kept[0])


def _server(named: _Named) -> tuple[str, str | None]:
    if named.server_label is None:
        raise invalid_member("tool_choice.server_label", "is required for a choice of type 'mcp'")
    return named.server_label, named.name


def _is_of(tool: Tool, label: str, name: str | None) -> bool:
    return tool.mcp is not None and tool.mcp.server_label == label and name in (None, tool.name)


def _allowed(tools: list[dict[str, Any]]) -> Iterator[_Named]:
    """Yield the allowed tools that the model may know of."""
    for index, tool in enumerate(tools):
        named = convert(unnest(tool), _Named, f"tool_choice.tools[{index}]")
        if named.type not in HIDDEN:
            yield named


def _mode(offered: ToolSet, mode: str) -> ToolSet:
    try:
        wanted = Mode(mode)
    except ValueError:
        raise invalid_member(
            "tool_choice", "must be `none`, `auto`, `required` or an object that names a tool"
        ) from None
    if wanted is Mode.REQUIRED and not offered.tools:
        raise invalid_member("tool_choice", "`required`, but there is no tool that this server can offer the model")
    only = offered.tools[0] if wanted is Mode.REQUIRED and len(offered.tools) == 1 else None
    if only is not None and only.grammar is None:
        only = None  # it may be called more than once
    return msgspec.structs.replace(offered, mode=wanted, only=only)


def _find(offered: ToolSet, named: _Named) -> Tool:
    wanted = named.name or named.type
    for tool in offered.tools:
        if named.type in CLIENT_TOOLS:
            if tool.kind == named.type:
                return tool
        elif wanted in (tool.name, tool.shown_as) and named.namespace in (None, tool.namespace):
            return tool
    raise invalid_member("tool_choice", f"there is no tool named '{wanted[:64]}' in `tools`")
