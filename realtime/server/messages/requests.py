"""The body of a request for a message, as Anthropic's reference has it. Pure.

Members that a create has too have the types of `wire.requests`. Unknown members are ignored, because real clients send
them; what would change the answer and is not served is named in `translation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from realtime.wire.requests import Count, Name, StopString

# -- content blocks


class Block(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of blocks. `cache_control` has no effect: the cache is implicit."""


class TextBlock(Block, tag="text"):
    text: str


class Source(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of the sources of an image or a document."""


class Base64Source(Source, tag="base64"):
    media_type: Annotated[str, Meta(max_length=256)]
    data: str


class UrlSource(Source, tag="url"):
    url: str


class FileSource(Source, tag="file"):
    file_id: str


class TextSource(Source, tag="text"):
    data: str
    media_type: Literal["text/plain"] = "text/plain"


class ContentSource(Source, tag="content"):
    content: str | list[TextBlock]


class ImageBlock(Block, tag="image"):
    source: Base64Source | UrlSource | FileSource


class DocumentBlock(Block, tag="document"):
    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None


class ToolUseBlock(Block, tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]


class ToolResultBlock(Block, tag="tool_result"):
    """The result of a tool. `is_error` is for the reader of a log: a model learns it from the text."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    is_error: bool | None = None


class ThinkingBlock(Block, tag="thinking"):
    """A block of thinking. `signature`: the thinking, encrypted; without one the text counts."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Block, tag="redacted_thinking"):
    data: str


AnyBlock = (
    TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock
)


# -- messages


class MessageParam(msgspec.Struct, tag_field="role", kw_only=True):
    """Base class of messages."""


class UserParam(MessageParam, tag="user"):
    content: str | list[AnyBlock]


class AssistantParam(MessageParam, tag="assistant"):
    content: str | list[AnyBlock]


class SystemParam(MessageParam, tag="system"):
    content: str | list[TextBlock]


AnyParam = UserParam | AssistantParam | SystemParam


# -- the body


class ToolParam(msgspec.Struct, kw_only=True):
    """A tool that the client runs. Of any other `type` than `custom` it is one of Anthropic's own, which
    are refused.
    """

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class ToolChoiceParam(msgspec.Struct, kw_only=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingParam(msgspec.Struct, kw_only=True):
    """The form of thinking. `budget_tokens` is a hint that models here can't be given; the effort is, by
    `output_config`.
    """

    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: Count | None = None
    display: Literal["summarized", "omitted"] | None = None


class JsonFormat(msgspec.Struct, kw_only=True):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, kw_only=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class MessageMetadata(msgspec.Struct, kw_only=True):
    user_id: Name | None = None


class CountMessageTokens(msgspec.Struct, kw_only=True):
    """The members that make up a prompt. Further members are ignored."""

    model: Name
    messages: Annotated[list[AnyParam], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[ToolParam] | None = None
    tool_choice: ToolChoiceParam | None = None
    thinking: ThinkingParam | None = None
    output_config: OutputConfig | None = None
    # refused by name
    mcp_servers: Any = None
    container: Any = None
    context_management: Any = None


class CreateMessage(CountMessageTokens, kw_only=True):
    """The body of a request for a message. Further members are ignored."""

    max_tokens: Count
    metadata: MessageMetadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    stop_sequences: Annotated[list[StopString], Meta(max_length=16)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
