"""The body of a request for a chat completion, as OpenAI's reference and vLLM have it. Pure.

Members that a create has too have the types of `wire.requests`. Unknown members are ignored, because real clients send
them; what would change the answer and is not served is named in `translation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from realtime.wire.formats import JsonSchemaFormat, ReasoningEffort
from realtime.wire.requests import Bias, Count, Integer, Metadata, Name, Penalty, StopString, TemplateValue, TokenId

# -- parts of messages


class ContentPart(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of content parts."""


class TextPart(ContentPart, tag="text"):
    text: str


class RefusalPart(ContentPart, tag="refusal"):
    refusal: str


class ImageUrl(msgspec.Struct, kw_only=True):
    url: str
    detail: str | None = None


class ImagePart(ContentPart, tag="image_url"):
    image_url: ImageUrl | str


class FileData(msgspec.Struct, kw_only=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(ContentPart, tag="file"):
    file: FileData


class AudioPart(ContentPart, tag="input_audio"):
    """An audio part, which is refused by name."""


AnyPart = TextPart | RefusalPart | ImagePart | FilePart | AudioPart
Content = str | list[AnyPart]


# -- messages


class CalledFunction(msgspec.Struct, kw_only=True):
    name: str
    arguments: str


class CalledCustomTool(msgspec.Struct, kw_only=True):
    name: str
    input: str


class MessageToolCall(msgspec.Struct, kw_only=True):
    """A call that the assistant made, of one kind or the other."""

    id: str
    type: Literal["function", "custom"] = "function"
    function: CalledFunction | None = None
    custom: CalledCustomTool | None = None


class ChatMessage(msgspec.Struct, tag_field="role", kw_only=True):
    """Base class of messages. `name`, which tells participants of a role apart, has no place in a prompt here."""


class SystemMessage(ChatMessage, tag="system"):
    content: Content


class DeveloperMessage(ChatMessage, tag="developer"):
    content: Content


class UserMessage(ChatMessage, tag="user"):
    content: Content


class AssistantMessage(ChatMessage, tag="assistant"):
    """An assistant's message. `reasoning_content`, or `reasoning`: what an earlier answer had under this name."""

    content: Content | None = None
    refusal: str | None = None
    tool_calls: list[MessageToolCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    function_call: Any = None
    audio: Any = None


class ToolMessage(ChatMessage, tag="tool"):
    tool_call_id: str
    content: Content


class FunctionMessage(ChatMessage, tag="function"):
    """A message of the role `function`, which is refused by name."""


AnyMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


# -- the body


class ChatFormat(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of formats of an answer."""


class ChatText(ChatFormat, tag="text"):
    """Free text."""


class ChatJsonObject(ChatFormat, tag="json_object"):
    """One JSON object."""


class ChatJsonSchema(ChatFormat, tag="json_schema"):
    json_schema: JsonSchemaFormat


class StreamOptions(msgspec.Struct, kw_only=True):
    """Options of a stream. Of `include_obfuscation`: chunks are never padded here."""

    include_usage: bool | None = None


class CreateChatCompletion(msgspec.Struct, kw_only=True):
    """The body of a request for a chat completion. Further members are ignored."""

    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
    # OpenAI's
    model: Name | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Annotated[dict[TokenId, Bias], Meta(max_length=1024)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    metadata: Metadata | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: Name | None = None
    prompt_cache_retention: Name | None = None
    reasoning_effort: ReasoningEffort | None = None
    response_format: ChatText | ChatJsonObject | ChatJsonSchema | None = None
    safety_identifier: Name | None = None
    seed: Integer | None = None
    service_tier: Name | None = None
    stop: StopString | Annotated[list[StopString], Meta(max_length=16)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    user: Name | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    # OpenAI's, refused by name
    functions: Any = None
    function_call: Any = None
    audio: Any = None
    modalities: list[str] | None = None
    web_search_options: Any = None
    moderation: Any = None
    # vLLM's
    chat_template_kwargs: Annotated[dict[Name, TemplateValue], Meta(max_length=32)] | None = None
    cache_salt: Name | None = None
    ignore_eos: bool | None = None
    include_reasoning: bool | None = None
    min_p: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0.0, le=10.0)] | None = None
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=64)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    # vLLM's, refused by name
    continue_final_message: bool | None = None
    structured_outputs: Any = None
