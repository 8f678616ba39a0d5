"""The parts and the texts of items, for rendering, summaries, images and counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from . import data_urls
from .harmony import HarmonyMessage
from .items import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ContentPart,
    CreateFile,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpCall,
    Message,
    Reasoning,
    Refusal,
    ShellCall,
    ShellCallOutput,
    UpdateFile,
)

P = TypeVar("P", bound=ContentPart)


def part_text(part: ContentPart) -> str | None:
    """Return the text of a part; None when it is not text (an image, a binary file)."""
    match part:
        case Refusal():
            return part.refusal
        case InputImage():
            return None
        case InputFile():
            return _file_text(part)
        case _:
            return part.text


def is_text_type(media_type: str) -> bool:
    """Return whether a file of this media type can be shown to a model as it is."""
    return media_type.startswith("text/") or media_type in _TEXT_TYPES


_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml"})


def _file_text(part: InputFile) -> str | None:
    """Return a text file under its name."""
    head = data_urls.parse(part.file_data) if isinstance(part.file_data, str) else None
    if head is None or not isinstance(part.file_data, str) or not is_text_type(head.media_type):
        return None
    try:
        text = head.decode(part.file_data).decode("utf-8-sig")
    except ValueError:
        return None
    return f'File "{part.filename}":\n{text}\n' if part.filename else f"File:\n{text}\n"


def texts_of(item: InputItem) -> Iterator[str]:
    """Yield every text in an item that may be rendered, in order."""
    match item:
        case Message():
            yield from _texts(item.content)
        case FunctionCall() | McpApprovalRequest():
            yield item.arguments
        case CustomToolCall():
            yield item.input
        case FunctionCallOutput() | CustomToolCallOutput():
            yield from _texts(item.output)
        case Reasoning():
            yield from (part.text for part in (item.content or None) or item.summary)
        case LocalShellCall():
            yield from item.action.command
        case ShellCall():
            yield from item.action.commands
        case ApplyPatchCall(operation=CreateFile() | UpdateFile() as operation):
            yield operation.diff
        case ShellCallOutput():
            yield from (text for output in item.output for text in (output.stdout, output.stderr))
        case McpCall():
            yield item.arguments
            yield item.output or ""
        case LocalShellCallOutput() | ApplyPatchCallOutput():
            yield item.output or ""
        case HarmonyMessage():
            yield item.text
            yield item.instructions
        case _:
            pass


def size_of(items: Iterable[InputItem]) -> int:
    """Return about how many characters there are to render."""
    return sum(len(text) for item in items for text in texts_of(item))


def _texts(content: str | list[ContentPart]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    else:
        yield from (text for part in content if (text := part_text(part)) is not None)


def parts_of(items: Iterable[InputItem], kinds: type[P] | tuple[type[P], ...]) -> Iterator[tuple[str, InputItem, P]]:
    """Yield every part of these kinds in messages and in tools' outputs that have parts: its path, its item, itself."""
    for index, item in enumerate(items):
        match item:
            case Message(content=list() as parts):
                member = "content"
            case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
                member = "output"
            case _:
                continue
        for place, part in enumerate(parts):
            if isinstance(part, kinds):
                yield f"input[{index}].{member}[{place}]", item, part
