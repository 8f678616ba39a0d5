"""MCP in a conversation's history: how its calls are shown to a model, which tools were listed, what the user approved.
Pure.

Every reader of a history - a generation, a count of its tokens, a compaction - shows MCP calls by `McpCalls`, whatever
tools the current request has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import UNSET

from realtime.wire.errors import invalid_member
from realtime.wire.items import (
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpItem,
    McpListTools,
)

from .mcp_tools import ServerUse, listed_tool, name_apart
from .tools import SEPARATOR, Tool

MAX_LISTED = 1024  # tools of MCP servers, in one list and in one history

Names = Mapping[tuple[str, str], str]
"""The names by which the model knows MCP tools, by (server label, tool)."""


class McpCalls:
    """The MCP calls of one history, in a model's terms. `items`: all of it. `tools`: those that the model is shown."""

    def __init__(self, items: Sequence[InputItem], tools: Sequence[Tool]) -> None:
        self._names = tool_names(items, tools)
        self._requests = {item.id: item for item in items if isinstance(item, McpApprovalRequest)}

    def say(self, item: McpItem) -> tuple[()] | tuple[FunctionCall, FunctionCallOutput]:
        """Return a call, or its refusal, as a function's call and output; nothing for other items."""
        match item:
            case McpCall():
                return self._call(item, _result(item))
            case McpApprovalResponse(approve=False) if item.approval_request_id in self._requests:
                reason = f" Reason: {item.reason}" if isinstance(item.reason, str) and item.reason else ""
                asked = self._requests[item.approval_request_id]
                return self._call(asked, f"The user did not allow this call.{reason}")
            case _:
                return ()

    def _call(self, item: McpCall | McpApprovalRequest, output: str) -> tuple[FunctionCall, FunctionCallOutput]:
        name = self._names.get((item.server_label, item.name), f"{item.server_label}{SEPARATOR}{item.name}")
        call_id = item.id or ""
        return (
            FunctionCall(call_id=call_id, name=name, arguments=item.arguments),
            FunctionCallOutput(call_id=call_id, output=output),
        )


def tool_names(items: Sequence[InputItem], tools: Sequence[Tool]) -> Names:
    """Name the MCP tools that the model is shown, and those that its history calls: as if all tools listed there were
    shown, up to as many as a request may have.
    """
    called = {(item.server_label, item.name) for item in items if isinstance(item, McpCall | McpApprovalRequest)}
    shown = _names(tools)
    if called <= shown.keys():
        return shown
    listings = {item.server_label: item for item in items if isinstance(item, McpListTools) and not item.error}
    listed = (listed_tool(label, tool) for label, listing in listings.items() for tool in listing.tools)
    others = [tool for tool in tools if tool.mcp is None]
    return {**_names(name_apart(others, list(islice(listed, MAX_LISTED)))), **shown}


def _names(tools: Sequence[Tool]) -> dict[tuple[str, str], str]:
    return {(tool.mcp.server_label, tool.name): tool.shown_as for tool in tools if tool.mcp is not None}


def _result(item: McpCall) -> str:
    """Return the result of a call in words."""
    if item.error is not UNSET and item.error is not None:
        return f"error: {_error_text(item.error)}"
    if isinstance(item.output, str):
        return item.output
    return "error: the call was cut off; it is not known whether it had an effect"


def _error_text(error: Any) -> str:
    """Return the text of one of OpenAI's error objects, or of whatever a client sent as one."""
    if not isinstance(error, dict):
        return str(error)
    content = error.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(error["message"]) if "message" in error else json.dumps(error, ensure_ascii=False)


# -- listings and approvals


def listing_of(items: Sequence[InputItem], label: str) -> McpListTools | None:
    """Return the history's newest listing of a server, which saves another request to it; None if there is none."""
    for item in reversed(items):
        if isinstance(item, McpListTools) and item.server_label == label and not item.error:
            return item
    return None


def approved_calls(before: Sequence[InputItem], items: Sequence[InputItem]) -> list[McpApprovalRequest]:
    """Return the calls that `items`, which continue `before`, approve and that have not been made yet."""
    approved = [item for item in items if isinstance(item, McpApprovalResponse) and item.approve]
    if not approved:
        return []
    requests = {item.id: item for item in (*before, *items) if isinstance(item, McpApprovalRequest)}
    made = {item.approval_request_id for item in (*before, *items) if isinstance(item, McpCall)}
    wanted = dict.fromkeys(item.approval_request_id for item in approved)
    return [requests[request_id] for request_id in wanted if request_id in requests and request_id not in made]


def check_approvals(calls: Sequence[McpApprovalRequest], uses: Sequence[ServerUse]) -> None:
    """Refuse to continue when an approved call's server is not in the request any more. Raises WireError."""
    labels = {use.label for use in uses}
    for call in calls:
        if call.server_label not in labels:
            text = f"the approved call needs the MCP server '{call.server_label[:64]}', which is not in `tools`"
            raise invalid_member("tools", text)
