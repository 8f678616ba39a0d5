"""Turn the many kinds of items into the few that a model is shown: messages, reasoning, calls, outputs. Pure."""

from __future__ import annotations

import json

from realtime.context.client_tools import said_call, said_output
from realtime.context.mcp_calls import McpCalls
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
    McpApprovalResponse,
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


def plain(item: InputItem, mcp: McpCalls) -> tuple[PlainItem, ...]:
    """Return an item in that form: nothing for items that only concern the request, or tools that are not here.

    `mcp`: the calls of the history that the item is in.
    """
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
        case McpCall() | McpApprovalResponse():
            return mcp.say(item)
        case _:
            return ()
