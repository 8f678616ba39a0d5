"""Items and content parts: what a conversation is made of, on the wire and in the history.

One struct per item type serves input and output, so that an output item sent back as input is the same value.
Optional members of items are absent rather than null (Open Responses rejects null), hence UNSET. Source of the
fields: `openai/types/responses`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from .harmony import HarmonyMessage

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Role = Literal["user", "assistant", "system", "developer"]
Phase = Literal["commentary", "final_answer"]


class Part(msgspec.Struct, tag_field="type", kw_only=True):
    """Base of content parts."""


class InputText(Part, tag="input_text"):
    text: str


class InputImage(Part, tag="input_image"):
    image_url: str | UnsetType | None = UNSET
    file_id: str | UnsetType | None = UNSET
    detail: str | UnsetType | None = UNSET


class InputFile(Part, tag="input_file"):
    file_id: str | UnsetType | None = UNSET
    file_data: str | UnsetType | None = UNSET
    file_url: str | UnsetType | None = UNSET
    filename: str | UnsetType | None = UNSET


class OutputText(Part, tag="output_text"):
    text: str
    annotations: list[Any] = []
    logprobs: list[Any] | None = []


class Refusal(Part, tag="refusal"):
    refusal: str


class ReasoningText(Part, tag="reasoning_text"):
    text: str


class SummaryText(Part, tag="summary_text"):
    text: str


class PlainText(Part, tag="text"):
    """Not in OpenAI's schema; sent by some clients that come from Chat Completions."""

    text: str


ContentPart = InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText


class Item(msgspec.Struct, tag_field="type", kw_only=True):
    """Base of items. `id` is ours on output; on input any id, or none, is accepted. `recovered` is ours: the model's
    markup around the item was malformed, and what it said was saved from it.
    """

    id: str | UnsetType | None = UNSET
    status: str | UnsetType | None = UNSET
    recovered: bool | UnsetType | None = UNSET


class Message(Item, tag="message"):
    role: Role
    content: str | list[ContentPart]
    phase: Phase | UnsetType | None = UNSET


class Reasoning(Item, tag="reasoning"):
    summary: list[SummaryText] = []
    content: list[ReasoningText] | UnsetType | None = UNSET
    encrypted_content: str | UnsetType | None = UNSET


class FunctionCall(Item, tag="function_call"):
    call_id: str
    name: str
    arguments: str
    namespace: str | UnsetType | None = UNSET
    channel: str | UnsetType | None = UNSET  # ours: the Harmony channel of a call, if it is not `commentary`


class FunctionCallOutput(Item, tag="function_call_output"):
    call_id: str
    output: str | list[ContentPart]


class CustomToolCall(Item, tag="custom_tool_call"):
    call_id: str
    name: str
    input: str
    namespace: str | UnsetType | None = UNSET
    channel: str | UnsetType | None = UNSET


class CustomToolCallOutput(Item, tag="custom_tool_call_output"):
    call_id: str
    output: str | list[ContentPart]


InputItem = (
    Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | HarmonyMessage
)
OutputItem = Message | Reasoning | FunctionCall | CustomToolCall
ITEM_TYPES: dict[str, type[InputItem]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "custom_tool_call": CustomToolCall,
    "custom_tool_call_output": CustomToolCallOutput,
}


def part_text(part: ContentPart) -> str | None:
    """The text of a part, or None when it is not text (an image, a file)."""
    match part:
        case Refusal():
            return part.refusal
        case InputImage() | InputFile():
            return None
        case _:
            return part.text


def texts_of(item: InputItem) -> Iterator[str]:
    """Every text in an item, in order."""
    match item:
        case Message():
            yield from _texts(item.content)
        case FunctionCall():
            yield item.arguments
        case CustomToolCall():
            yield item.input
        case FunctionCallOutput() | CustomToolCallOutput():
            yield from _texts(item.output)
        case Reasoning():
            yield from (part.text for part in item.content or ())
        case HarmonyMessage():
            yield item.text


def _texts(content: str | list[ContentPart]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    else:
        yield from (text for part in content if (text := part_text(part)) is not None)
