"""The many kinds of items as the few that are said to a model: messages, reasoning, calls and their outputs. Pure."""

from __future__ import annotations

import json

from realtime.context.client_tools import said_call, said_output
from realtime.context.tools import SEPARATOR
from realtime.wire.calls import call_id_of
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    LocalShellCall,
    LocalShellCallOutput,
    McpCall,
    Message,
    Reasoning,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
)

PlainItem = (
    Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | HarmonyMessage
)


def plain(item: InputItem) -> tuple[PlainItem, ...]:
    """What of an item is said to the model; nothing of those that are of the request, or of tools that are not here."""
    match item:
        case Message() | Reasoning() | FunctionCall() | FunctionCallOutput() | CustomToolCall() | HarmonyMessage():
            return (item,)
        case CustomToolCallOutput():
            return (item,)
        case LocalShellCall() | ShellCall() | ApplyPatchCall() | ToolSearchCall():
            name, arguments = said_call(item)
            said = json.dumps(arguments, ensure_ascii=False)
            return (FunctionCall(call_id=call_id_of(item) or "", name=name, arguments=said),)
        case LocalShellCallOutput() | ShellCallOutput() | ApplyPatchCallOutput() | ToolSearchOutput():
            return (FunctionCallOutput(call_id=call_id_of(item) or "", output=said_output(item)),)
        case McpCall():
            return _mcp(item)
        case _:
            return ()


def _mcp(item: McpCall) -> tuple[PlainItem, ...]:
    """A call that a server made itself: the item holds its output, or the error."""
    call_id = item.id or ""
    error = item.error if isinstance(item.error, str) else json.dumps(item.error) if item.error else ""
    output = item.output or (f"error: {error}" if error else "")
    return (
        FunctionCall(call_id=call_id, name=f"{item.server_label}{SEPARATOR}{item.name}", arguments=item.arguments),
        FunctionCallOutput(call_id=call_id, output=output),
    )
