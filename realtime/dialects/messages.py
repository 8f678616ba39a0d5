"""Items in the form that chat templates take (Chat Completions' messages). Pure.

Everything that the model said in one turn - reasoning, then text, then calls - is one assistant message there. An item
that breaks this order begins the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from realtime.context.mcp_calls import McpCalls
from realtime.context.tools import SEPARATOR, Tool, ToolSet
from realtime.wire.item_texts import part_text
from realtime.wire.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputItem,
    Message,
    Reasoning,
)
from realtime.wire.json_text import loads

from .base import BLIND, RenderError, Sight
from .plain_items import PlainItem, plain

_ORDER = {"reasoning_content": 0, "content": 1, "tool_calls": 2}


def to_messages(
    instructions: str | None, items: Sequence[InputItem], sight: Sight = BLIND, tools: Sequence[Tool] = ()
) -> list[dict[str, Any]]:
    """Turn items into messages. `tools`: those that the model is shown. Raises RenderError for what a text model can't
    read.
    """
    messages: list[dict[str, Any]] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    mcp = McpCalls(items, tools)
    for index, item in enumerate(items):
        for said in plain(item, mcp):
            _add(messages, said, f"input[{index}]", sight)
    if sight.takes_parts:  # templates that take parts often take nothing else
        for message in messages:
            if isinstance(message["content"], str):
                text = message["content"]
                message["content"] = [{"type": "text", "text": text}] if text else []
    return messages


def to_tools(tools: ToolSet) -> list[dict[str, Any]]:
    """Return the tools in the form that chat templates take."""
    shown = []
    for tool in tools.tools:
        description = tool.description or ""
        if tool.grammar is not None:
            description += f"\nThe input must match this {tool.grammar.syntax} grammar:\n{tool.grammar.definition}"
        function = {"name": tool.shown_as, "description": description.strip(), "parameters": tool.parameters}
        shown.append({"type": "function", "function": function})
    return shown


def _add(messages: list[dict[str, Any]], item: PlainItem, path: str, sight: Sight) -> None:
    match item:
        case Message(role="assistant"):
            _assistant(messages, "content", content_text(item.content, f"{path}.content"))
        case Message():
            role = "system" if item.role == "developer" else item.role
            messages.append({"role": role, "content": content(item.content, f"{path}.content", sight)})
        case Reasoning():
            text = "".join(part.text for part in item.content or ())
            if text:
                _assistant(messages, "reasoning_content", text)
        case FunctionCall():
            _call(messages, item.call_id, shown_name(item), _arguments(item.arguments))
        case CustomToolCall():
            _call(messages, item.call_id, shown_name(item), {"input": item.input})
        case FunctionCallOutput() | CustomToolCallOutput():
            output = content(item.output, f"{path}.output", sight)
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": output})


def _assistant(messages: list[dict[str, Any]], member: str, text: str) -> None:
    """Add to the assistant's message that is being assembled, or begin a new one."""
    last = messages[-1] if messages and messages[-1]["role"] == "assistant" else None
    if last is None or any(_ORDER[name] > _ORDER[member] and last.get(name) for name in _ORDER):
        last = {"role": "assistant", "content": ""}
        messages.append(last)
    last[member] = last.get(member, "") + text


def _call(messages: list[dict[str, Any]], call_id: str, name: str, arguments: Any) -> None:
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    messages[-1].setdefault("tool_calls", []).append(call)


def shown_name(item: FunctionCall | CustomToolCall) -> str:
    """Return the name by which the model knows a called tool."""
    return f"{item.namespace}{SEPARATOR}{item.name}" if item.namespace else item.name


def _arguments(text: str) -> Any:
    """Return arguments as a value, because templates print them as JSON. A string that is not JSON (a cut call) stays a
    string.
    """
    try:
        return loads(text) if text else {}
    except ValueError:
        return text


def content(said: str | list[Any], path: str, sight: Sight) -> str | list[dict[str, Any]]:
    """Return a message's content: a text, or with images in it the parts, for a template that takes them."""
    if isinstance(said, str) or not sight.takes_parts or not any(isinstance(part, InputImage) for part in said):
        return content_text(said, path, sight)
    parts: list[dict[str, Any]] = []
    for index, part in enumerate(said):
        if isinstance(part, InputImage):
            parts.append({"type": "image"})
        else:
            parts.append({"type": "text", "text": "".join(_texts([part], f"{path}[{index}]", sight))})
    return parts


def content_text(said: str | list[Any], path: str, sight: Sight = BLIND) -> str:
    """Return a message's content as one text. Raises RenderError for a part that is not text."""
    return said if isinstance(said, str) else "".join(_texts(said, path, sight))


def _texts(parts: list[Any], path: str, sight: Sight) -> Iterator[str]:
    for index, part in enumerate(parts):
        text = sight.marker if isinstance(part, InputImage) else part_text(part)
        if text is None:
            raise RenderError("This model reads text only.", f"{path}[{index}]")
        yield text
