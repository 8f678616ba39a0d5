"""Estimates of the work for a prompt, from the sizes of its parts. Pure.

The estimate precedes each rendering, so it must cost next to nothing: it stops counting when it knows enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from realtime.context.tools import ToolSet
from realtime.wire.formats import JsonSchemaFormat
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.item_texts import texts_of
from realtime.wire.items import (
    ContentPart,
    CustomToolCallOutput,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    Message,
    Refusal,
)
from realtime.wire.requests import ResponseCreate

_TOOL = 500  # about what a tool costs besides its schema, in characters of text that cost as much
_ITEM = 200  # ... an item besides its parts
_PART = 50  # ... and a part besides its text

_encode = msgspec.json.encode


def cost(request: ResponseCreate, tools: ToolSet, items: list[InputItem], enough: int) -> int:
    """Return how many characters of plain text would cost about as much to render and tokenize; at least `enough`, if
    it is more than that.
    """
    total = 0
    for one in _costs(request, tools, items):
        total += one
        if total >= enough:
            break
    return total


def item_cost(item: InputItem) -> int:
    """Return the cost of one item."""
    match item:
        case Message(content=str() as text):
            return _ITEM + len(text)
        case (
            Message(content=list() as parts)
            | FunctionCallOutput(output=list() as parts)
            | CustomToolCallOutput(output=list() as parts)
        ):
            return _ITEM + _PART * len(parts) + sum(map(_size_of, parts))
        case HarmonyMessage():
            return _ITEM + len(_encode(item)) + _TOOL * item.num_tools
        case _:
            return _ITEM + sum(map(len, texts_of(item)))


def _costs(request: ResponseCreate, tools: ToolSet, items: list[InputItem]) -> Iterator[int]:
    yield len(request.instructions or "") + _TOOL * len(tools.tools)
    yield from map(item_cost, items)
    for tool in tools.tools:
        yield len(tool.description or "") + len(_encode(tool.parameters))
        if tool.grammar is not None:
            yield len(tool.grammar.definition)
    for value in (request.chat_template_kwargs or {}).values():
        yield len(_encode(value))
    if request.text is not None and isinstance(request.text.format, JsonSchemaFormat):  # some dialects say it
        yield len(_encode(request.text.format))


def _size_of(part: ContentPart) -> int:
    match part:
        case InputFile(file_data=str() as data):  # which is not decoded for this
            return len(data)
        case InputFile() | InputImage():
            return 0
        case Refusal():
            return len(part.refusal)
        case _:
            return len(part.text)
