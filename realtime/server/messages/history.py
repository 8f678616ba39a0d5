"""Translate the messages of Anthropic's API to items of the Responses API. Pure.

Text between results of tools becomes a message of its own, so the order is kept. `place` says which member of the
request an item comes from; for a message, the path of its first part.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
from msgspec import UNSET

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    ContentPart,
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
    Role,
)

from .requests import (
    AnyBlock,
    AnyParam,
    AssistantParam,
    Base64Source,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RedactedThinkingBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
    UserParam,
)


class Placed(msgspec.Struct, frozen=True):
    """An item, the path of the member that it was made of, and the number of its first part there."""

    place: str
    item: InputItem
    first: int = 0


def to_items(messages: Sequence[AnyParam], max_items: int) -> list[Placed]:
    """Turn messages into items. Raises WireError with the path of what is not supported."""
    said = (placed for index, message in enumerate(messages) for placed in _of_message(message, f"messages[{index}]"))
    items = list(islice(said, max_items + 1))
    if len(items) > max_items:
        text = f"`messages` has more than the {max_items} messages, calls and results that are accepted."
        raise WireError(ErrorCode.MESSAGE_TOO_COMPLEX, text, param="messages")
    if isinstance(messages[-1], AssistantParam):
        text = "An answer that begins with given words is not supported: the last of `messages` must be of the user."
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=f"messages[{len(messages) - 1}]")
    return items


def _of_message(message: AnyParam, path: str) -> Iterator[Placed]:
    match message:
        case UserParam():
            role: Role = "user"
        case AssistantParam():
            role = "assistant"
        case _:
            role = "system"
    if isinstance(message.content, str):
        yield Placed(path, Message(role=role, content=message.content))
        return
    parts: list[ContentPart] = []
    for index, block in enumerate(message.content):
        place = f"{path}.content[{index}]"
        item = _item(block, role, place)
        if item is None:
            parts.append(_part(block, assistant=role == "assistant"))
            continue
        if parts:
            yield Placed(path, Message(role=role, content=parts), index - len(parts))
            parts = []
        yield Placed(place, item)
    if parts:
        yield Placed(path, Message(role=role, content=parts), len(message.content) - len(parts))


def _item(block: AnyBlock, role: Role, path: str) -> InputItem | None:
    """Return the item that a block is by itself; None if it is a part of a message."""
    match block:
        case ToolUseBlock():
            item: InputItem = FunctionCall(
                call_id=block.id, name=block.name, arguments=msgspec.json.encode(block.input).decode()
            )
            belongs: Role = "assistant"
        case ThinkingBlock(signature=""):
            item, belongs = Reasoning(content=[ReasoningText(text=block.thinking)]), "assistant"
        case ThinkingBlock(signature=content) | RedactedThinkingBlock(data=content):
            item, belongs = Reasoning(encrypted_content=content), "assistant"
        case ToolResultBlock():
            item, belongs = FunctionCallOutput(call_id=block.tool_use_id, output=_output(block)), "user"
        case _:
            return None
    if role != belongs:
        kind = block.__struct_config__.tag
        text = f"`{path}`: blocks of type '{kind}' belong in messages of the role '{belongs}'."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param=path)
    return item


def _output(block: ToolResultBlock) -> str | list[ContentPart]:
    if block.content is None or isinstance(block.content, str):
        return block.content or ""
    return [_part(part, assistant=False) for part in block.content]


def _part(block: AnyBlock, *, assistant: bool) -> ContentPart:
    match block:
        case TextBlock():
            return OutputText(text=block.text) if assistant else InputText(text=block.text)
        case ImageBlock(source=Base64Source(media_type=media_type, data=data)):
            return InputImage(image_url=f"data:{media_type};base64,{data}")
        case ImageBlock(source=UrlSource(url=url)):
            return InputImage(image_url=url)
        case ImageBlock(source=FileSource(file_id=file_id)):
            return InputImage(file_id=file_id)
        case DocumentBlock():
            return _document(block)
        case _:
            raise AssertionError(f"a {type(block).__name__} is an item")


def _document(block: DocumentBlock) -> InputFile:
    """Return a document as a file. The service decides which files are supported."""
    title = block.title or UNSET
    match block.source:
        case Base64Source(media_type=media_type, data=data):
            return InputFile(file_data=f"data:{media_type};base64,{data}", filename=title)
        case UrlSource(url=url):
            return InputFile(file_url=url, filename=title)
        case FileSource(file_id=file_id):
            return InputFile(file_id=file_id, filename=title)
        case TextSource(data=text):
            return InputFile(file_data=_text_url(text), filename=title)
        case ContentSource(content=content):
            text = content if isinstance(content, str) else "".join(one.text for one in content)
            return InputFile(file_data=_text_url(text), filename=title)


def _text_url(text: str) -> str:
    return f"data:text/plain;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"
