"""Chat completions: their form, and the translation of a whole response to one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from realtime.wire import response as wire
from realtime.wire.items import CustomToolCall, FunctionCall, Message, OutputItem, OutputText, Reasoning

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class PromptTokensDetails(msgspec.Struct, kw_only=True):
    cached_tokens: int


class CompletionTokensDetails(msgspec.Struct, kw_only=True):
    reasoning_tokens: int


class CompletionUsage(msgspec.Struct, kw_only=True):
    """Tokens of one completion; `completion_tokens` includes reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class SaidFunction(msgspec.Struct, kw_only=True):
    name: str
    arguments: str


class SaidCustomTool(msgspec.Struct, kw_only=True):
    name: str
    input: str


class FunctionToolCall(msgspec.Struct, tag_field="type", tag="function", kw_only=True):
    id: str
    function: SaidFunction


class CustomToolCallSaid(msgspec.Struct, tag_field="type", tag="custom", kw_only=True):
    id: str
    custom: SaidCustomTool


ChatToolCall = FunctionToolCall | CustomToolCallSaid


class CompletionMessage(msgspec.Struct, kw_only=True):
    """The model's message. `reasoning_content`: as far as the reasoning policy shows it; absent if there is none."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ChatToolCall] | UnsetType = UNSET


class ChoiceLogprobs(msgspec.Struct, kw_only=True):
    content: list[Any]
    refusal: None = None


class CompletionChoice(msgspec.Struct, kw_only=True):
    index: int = 0
    message: CompletionMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason


class ChatCompletion(msgspec.Struct, kw_only=True):
    """A response as a chat completion; `id` is the response's."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int  # unix seconds
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None
    service_tier: str


class Shown(msgspec.Struct, frozen=True):
    """The parts of an answer that the request wants to see."""

    reasoning: bool = True
    logprobs: bool = False
    usage: bool = False  # in a stream; otherwise it is there in any case


def to_completion(response: wire.Response, shown: Shown) -> ChatCompletion:
    """Translate a response that has completed, or has reached a limit, to one completion."""
    texts = list(_texts(response.output))
    reasoning = reasoning_of(response.output) if shown.reasoning else ""
    said = [item for item in response.output if isinstance(item, FunctionCall | CustomToolCall)]
    calls = [_call(item) for item in said]
    message = CompletionMessage(
        content="".join(part.text for part in texts) if texts or not calls else None,
        reasoning_content=reasoning or UNSET,
        tool_calls=calls or UNSET,
    )
    logprobs = [one for part in texts for one in part.logprobs or ()]
    choice = CompletionChoice(
        message=message,
        logprobs=ChoiceLogprobs(content=logprobs) if shown.logprobs else None,
        finish_reason=finish_reason(response.status, called=any(item.status == "completed" for item in said)),
    )
    return ChatCompletion(
        id=response.id,
        created=response.created_at,
        model=response.model,
        choices=[choice],
        usage=to_usage(response.usage) if response.usage is not None else None,
        service_tier=response.service_tier,
    )


def finish_reason(status: str, *, called: bool) -> FinishReason:
    """Return why the model stopped. `status`: of a response that neither failed nor was stopped. `called`: it has made
    a complete call: incomplete ones are not to be run.
    """
    if status == "incomplete":
        return "length"
    return "tool_calls" if called else "stop"


def to_usage(usage: wire.Usage) -> CompletionUsage:
    """Return the same counts under the names of completions."""
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.input_tokens_details.cached_tokens),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=usage.output_tokens_details.reasoning_tokens
        ),
    )


def reasoning_of(output: Sequence[OutputItem]) -> str:
    """Return all reasoning that is shown, in whichever form."""
    thought = [item for item in output if isinstance(item, Reasoning)]
    return "".join(part.text for item in thought for part in (*(item.content or ()), *item.summary))


def _texts(output: Sequence[OutputItem]) -> Iterable[OutputText]:
    for item in output:
        if isinstance(item, Message):
            yield from (part for part in item.content if isinstance(part, OutputText))


def _call(item: FunctionCall | CustomToolCall) -> ChatToolCall:
    if isinstance(item, FunctionCall):
        return FunctionToolCall(id=item.call_id, function=SaidFunction(name=item.name, arguments=item.arguments))
    return CustomToolCallSaid(id=item.call_id, custom=SaidCustomTool(name=item.name, input=item.input))
