"""Items as messages for a Harmony model, and the rules by which old ones are left out. Pure.

Reasoning is dropped once its turn has come to an answer: what precedes the last message of the channel `final` goes,
what follows it - a loop of tool calls - stays. Preambles and calls always stay. This is the documented form;
openai_harmony's own `auto_drop_analysis` (0.0.8, 0.0.11) looks at the first `final` instead of the last, and drops
nothing at all while a loop of calls continues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET

from realtime.context.mcp_calls import McpCalls
from realtime.context.tools import Mode, ToolSet
from realtime.dialects.base import RenderError
from realtime.dialects.messages import content_text, shown_name, to_tools
from realtime.dialects.plain_items import PlainItem, plain
from realtime.wire.formats import JsonSchemaFormat
from realtime.wire.harmony import (
    ChannelConfig,
    DeveloperContent,
    HarmonyMessage,
    HarmonyNamespace,
    HarmonyText,
    HarmonyTool,
    SystemContent,
)  # fmt: skip
from realtime.wire.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    Message,
    Reasoning,
)  # fmt: skip
from realtime.wire.requests import ResponseCreate

Effort = Literal["Low", "Medium", "High"]

_NAME = re.compile(r"(?:(?!<\|)\S)+")
_MAX_NAME_BYTES = 200  # with what else is in a header they are less than the parser's most
_CHANNELS = ["analysis", "commentary", "final"]
_EFFORTS: dict[str, Effort] = {
    "none": "Low", "minimal": "Low", "low": "Low", "medium": "Medium", "high": "High", "xhigh": "High", "max": "High",
}  # fmt: skip


def to_messages(
    request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], system: SystemContent
) -> list[HarmonyMessage]:
    """Return the whole prompt as messages: system and developer message, then the conversation. `system` is the text of
    the system message where neither the request nor held messages say otherwise. Raises RenderError.
    """
    mcp = McpCalls(items, tools.tools)
    head = _Head(request, tools, system, mcp)
    said = list(_said(items[head.take(items) :], head.num_taken, mcp))
    return [*head.messages(), *without_old_analysis(said)]


def answer(items: Sequence[InputItem], mcp: McpCalls) -> list[HarmonyMessage]:
    """Return the messages of a response's items. `mcp`: the calls of the response and of its history."""
    return list(_said(items, 0, mcp))


def without_old_analysis(messages: Sequence[HarmonyMessage]) -> list[HarmonyMessage]:
    """Return the messages without old reasoning; see the module. A call in the channel `analysis` is a call."""
    finals = [index for index, one in enumerate(messages) if one.role == "assistant" and one.channel == "final"]
    last = finals[-1] if finals else 0
    return [one for index, one in enumerate(messages) if index >= last or not _is_thought(one)]


def _is_thought(message: HarmonyMessage) -> bool:
    return message.role == "assistant" and message.channel == "analysis" and not message.is_call


class _Head:
    """The system and the developer message. Both come from the request, or where that is silent, from messages that the
    client holds. System and developer items before anything else are instructions too.
    """

    def __init__(self, request: ResponseCreate, tools: ToolSet, system: SystemContent, mcp: McpCalls) -> None:
        self.num_taken = 0  # items that went into it
        self._request = request
        self._system = system
        self._mcp = mcp
        self._takes_tools = not request.tools and tools.mode is not Mode.NONE
        self._tools = _namespaces(tools)
        self._instructions = [request.instructions] if request.instructions else []
        self._format = _response_format(request)

    def take(self, items: Sequence[InputItem]) -> int:
        """Take the items that belong here, and return their number."""
        for index, item in enumerate(items):
            if not self._takes(item, f"input[{index}]"):
                break
            self.num_taken += 1
        return self.num_taken

    def messages(self) -> list[HarmonyMessage]:
        """Return the one or two messages."""
        asked = self._request.reasoning.effort if self._request.reasoning is not None else None
        system = self._system
        if asked is not None:
            system = msgspec.structs.replace(system, reasoning_effort=_EFFORTS[asked])
        instructions = "\n\n".join(self._instructions)
        head = [HarmonyMessage(role="system", content=[system])]
        content: list[HarmonyText | SystemContent | DeveloperContent] = []
        if instructions or self._tools:
            content.append(DeveloperContent(instructions=instructions or None, tools=self._tools or None))
        if self._format:
            content.append(HarmonyText(text="\n\n" * bool(content) + self._format))
        if content:
            head.append(HarmonyMessage(role="developer", content=content))
        return head

    def _takes(self, item: InputItem, path: str) -> bool:
        match item:
            case Message(role="system" | "developer"):
                self._instructions.append(content_text(item.content, f"{path}.content"))
            case HarmonyMessage(content=[SystemContent() as system]):
                self._system = system
            case HarmonyMessage(role="developer", content=[DeveloperContent() as developer, *rest]):
                self._format = (
                    self._format or "".join(part.text for part in rest if isinstance(part, HarmonyText)).strip()
                )
                self._hold(developer.instructions or "")
                if developer.tools and self._takes_tools:
                    self._tools = developer.tools
            case _:
                return not plain(item, self._mcp)  # nothing is said here
        return True

    def _hold(self, instructions: str) -> None:
        """Take held instructions. They replace the request's if they begin with them (then items are in them too);
        otherwise the request's count.
        """
        asked = self._request.instructions or ""
        if instructions.startswith(asked):
            self._instructions = (
                [instructions, *self._instructions[bool(asked) :]] if instructions else self._instructions
            )


def _response_format(request: ResponseCreate) -> str:
    """Return Harmony's description of an output format, for the end of the developer message."""
    form = request.text.format if request.text is not None else None
    if not isinstance(form, JsonSchemaFormat):
        return ""
    description = f"// {form.description}\n" if form.description else ""
    schema = msgspec.json.encode(form.schema).decode()
    return f"# Response Formats\n\n## {form.name}\n\n{description}{schema}"


def _check_names(tools: ToolSet) -> None:
    """Refuse names that a call's header would not return unchanged. Raises RenderError."""
    for tool in tools.tools:
        if not _NAME.fullmatch(tool.shown_as) or len(tool.shown_as.encode()) > _MAX_NAME_BYTES:
            text = f"no white space, no `<|`, and at most {_MAX_NAME_BYTES} bytes"
            raise RenderError(f"A tool can't be named {tool.shown_as[:64]!r} with this model: {text}.", "tools")


def _namespaces(tools: ToolSet) -> dict[str, HarmonyNamespace]:
    if tools.mode is Mode.NONE:
        return {}
    _check_names(tools)
    shown = [
        HarmonyTool(
            name=tool["function"]["name"],
            description=tool["function"]["description"],
            parameters=tool["function"]["parameters"],
        )
        for tool in to_tools(tools)
    ]
    return {"functions": HarmonyNamespace(name="functions", tools=shown)} if shown else {}


def default_system(date: str | None) -> SystemContent:
    """Return the system message that gpt-oss was trained with."""
    return SystemContent(
        model_identity="You are ChatGPT, a large language model trained by OpenAI.",
        reasoning_effort="Medium",
        conversation_start_date=date,
        knowledge_cutoff="2024-06",
        channel_config=ChannelConfig(valid_channels=_CHANNELS),
    )


# -- what was said


def _said(items: Sequence[InputItem], offset: int, mcp: McpCalls) -> Iterator[HarmonyMessage]:
    callees: dict[str, str] = {}  # call_id -> the tool's name in Harmony
    unnamed: list[str] = []  # tools that were called by held messages without a call_id, and not answered yet
    places = [(index, said) for index, item in enumerate(items) for said in plain(item, mcp)]
    for place, (index, item) in enumerate(places):
        path = f"input[{index + offset}]"
        match item:
            case Message():
                yield from _message(item, _calls_next(places, place), path)
            case Reasoning():
                yield from _reasoning(item)
            case FunctionCall() | CustomToolCall():
                callees[item.call_id] = f"functions.{shown_name(item)}"
                yield _call(item, callees[item.call_id])
            case FunctionCallOutput() | CustomToolCallOutput():
                callee = callees.get(item.call_id) or (unnamed.pop(0) if unnamed else "functions")
                yield _tool(callee, content_text(item.output, f"{path}.output"), item.call_id)
            case HarmonyMessage():
                _note_calls(item, callees, unnamed)
                yield item


def _note_calls(message: HarmonyMessage, callees: dict[str, str], unnamed: list[str]) -> None:
    if message.is_call and isinstance(message.recipient, str):
        if isinstance(message.call_id, str):
            callees[message.call_id] = message.recipient
        else:
            unnamed.append(message.recipient)
    elif message.role == "tool" and message.name in unnamed:
        unnamed.remove(message.name)


def _message(item: Message, calls_next: bool, path: str) -> Iterator[HarmonyMessage]:
    text = content_text(item.content, f"{path}.content")
    match item.role:
        case "user":
            yield HarmonyMessage(role="user", content=[HarmonyText(text=text)])
        case "assistant":
            preamble = item.phase == "commentary" or (not item.phase and calls_next)
            yield _assistant("commentary" if preamble else "final", text)
        case _:
            yield HarmonyMessage(role="developer", content=[DeveloperContent(instructions=text)])


def _calls_next(places: Sequence[tuple[int, PlainItem]], place: int) -> bool:
    """Return whether the assistant makes a call next. Then its text was a preamble, also for clients that drop the
    phase.
    """
    following = place + 1
    while following < len(places) and isinstance(places[following][1], Reasoning):
        following += 1
    return following < len(places) and isinstance(places[following][1], FunctionCall | CustomToolCall)


def _reasoning(item: Reasoning) -> Iterator[HarmonyMessage]:
    """Yield a message for each part of reasoning. Clients that were shown the reasoning as its summary
    send that back.
    """
    for part in (item.content or None) or item.summary:
        yield _assistant("analysis", part.text)


def _assistant(channel: str, text: str) -> HarmonyMessage:
    return HarmonyMessage(role="assistant", channel=channel, content=[HarmonyText(text=text)])


def _call(item: FunctionCall | CustomToolCall, recipient: str) -> HarmonyMessage:
    if isinstance(item, CustomToolCall):
        arguments = json.dumps({"input": item.input}, ensure_ascii=False)
    else:
        arguments = item.arguments
    return HarmonyMessage(
        role="assistant",
        channel=item.channel or "commentary",
        recipient=recipient,
        content_type="code" if item.channel == "analysis" else "json",
        content=[HarmonyText(text=arguments)],
        call_id=item.call_id,
    )


def _tool(name: str, text: str, call_id: str) -> HarmonyMessage:
    return HarmonyMessage(
        role="tool",
        name=name,
        channel="commentary",
        recipient="assistant",
        content=[HarmonyText(text=text)],
        call_id=call_id or UNSET,
    )
