"""Translate the messages of a chat to items of the Responses API. Pure.

One message may become several items: an assistant's is its reasoning, then its text, then its calls. `places` says
which member of the request each item comes from, so that an error about an item can name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
from msgspec import UNSET

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    ContentPart,
    CustomToolCall,
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
    Refusal,
)

from .requests import (
    AnyMessage,
    AnyPart,
    AssistantMessage,
    AudioPart,
    Content,
    FilePart,
    FunctionMessage,
    ImagePart,
    MessageToolCall,
    RefusalPart,
    TextPart,
    ToolMessage,
)


class Placed(msgspec.Struct, frozen=True):
    """An item, and the path of the member that it was made of."""

    place: str
    item: InputItem


def to_items(messages: Sequence[AnyMessage], max_items: int) -> list[Placed]:
    """Turn a chat into items. Raises WireError with the path of what is not served."""
    said = (placed for index, message in enumerate(messages) for placed in _of_message(message, f"messages[{index}]"))
    items = list(islice(said, max_items + 1))
    if len(items) > max_items:
        text = f"`messages` has more than the {max_items} messages and calls that are accepted."
        raise WireError(ErrorCode.MESSAGE_TOO_COMPLEX, text, param="messages")
    return items


def _of_message(message: AnyMessage, path: str) -> Iterator[Placed]:
    match message:
        case AssistantMessage():
            yield from _of_assistant(message, path)
        case ToolMessage():
            content = _content(message.content, path)
            yield Placed(path, FunctionCallOutput(call_id=message.tool_call_id, output=content))
        case FunctionMessage():
            text = (
                "Messages of the role 'function' are not supported: send `tool_calls` and messages of the role 'tool'."
            )
            raise unsupported(f"{path}.role", text)
        case _:
            role = message.__struct_config__.tag
            yield Placed(path, Message(role=role, content=_content(message.content, path)))  # type: ignore[arg-type]


def _of_assistant(message: AssistantMessage, path: str) -> Iterator[Placed]:
    for name in ("function_call", "audio"):
        if getattr(message, name) is not None:
            raise unsupported(f"{path}.{name}", f"`{name}` of a message is not supported{_INSTEAD[name]}.")
    if thought := message.reasoning_content or message.reasoning:
        yield Placed(path, Reasoning(content=[ReasoningText(text=thought)]))
    if message.content or message.refusal:
        yield Placed(path, Message(role="assistant", content=_said(message, path)))
    elif not message.tool_calls:
        if message.content is None:
            text = f"`{path}.content` is required unless there are `tool_calls`."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"{path}.content")
        yield Placed(path, Message(role="assistant", content=""))
    for index, call in enumerate(message.tool_calls or ()):
        place = f"{path}.tool_calls[{index}]"
        yield Placed(place, _call(call, place))


_INSTEAD = {"function_call": ": send `tool_calls`", "audio": ": no audio is kept here"}


def _said(message: AssistantMessage, path: str) -> str | list[ContentPart]:
    content: str | list[ContentPart] = _content(message.content or [], path, assistant=True)
    if message.refusal is None:
        return content
    parts: list[ContentPart] = [OutputText(text=content)] if isinstance(content, str) else content
    return [*parts, Refusal(refusal=message.refusal)]


def _call(call: MessageToolCall, path: str) -> InputItem:
    if call.type == "function" and call.function is not None:
        return FunctionCall(call_id=call.id, name=call.function.name, arguments=call.function.arguments)
    if call.type == "custom" and call.custom is not None:
        return CustomToolCall(call_id=call.id, name=call.custom.name, input=call.custom.input)
    raise WireError(ErrorCode.INVALID_REQUEST, f"`{path}.{call.type}` is required.", param=f"{path}.{call.type}")


def _content(content: Content, path: str, *, assistant: bool = False) -> str | list[ContentPart]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{path}.content[{index}]", assistant=assistant) for index, part in enumerate(content)]


def _part(part: AnyPart, path: str, *, assistant: bool) -> ContentPart:
    match part:
        case TextPart():
            return OutputText(text=part.text) if assistant else InputText(text=part.text)
        case RefusalPart():
            return Refusal(refusal=part.refusal)
        case ImagePart(image_url=str(url)):
            return InputImage(image_url=url)
        case ImagePart(image_url=image):
            assert not isinstance(image, str)
            return InputImage(image_url=image.url, detail=image.detail or UNSET)
        case FilePart(file=file):
            return InputFile(
                file_data=file.file_data or UNSET, file_id=file.file_id or UNSET, filename=file.filename or UNSET
            )
        case AudioPart():
            raise unsupported(path, f"The model reads no audio: leave out `{path}`.")


def unsupported(param: str, text: str) -> WireError:
    """Return the refusal of a part of Chat Completions that this server does not support."""
    return WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=param)
