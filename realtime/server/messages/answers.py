"""Messages of Anthropic's API: their form, and the translation of a whole response to one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from realtime.wire import response as wire
from realtime.wire.items import FunctionCall, Message, OutputItem, OutputText, Reasoning
from realtime.wire.json_text import loads

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class SaidText(msgspec.Struct, tag_field="type", tag="text", kw_only=True):
    text: str
    citations: None = None


class SaidToolUse(msgspec.Struct, tag_field="type", tag="tool_use", kw_only=True):
    id: str
    name: str
    input: dict[str, Any]


class SaidThinking(msgspec.Struct, tag_field="type", tag="thinking", kw_only=True):
    """A block of thinking. `signature`: the thinking itself, encrypted, for the next request."""

    thinking: str
    signature: str


SaidBlock = SaidText | SaidToolUse | SaidThinking


class ThinkingTokens(msgspec.Struct, kw_only=True):
    thinking_tokens: int


class MessageUsage(msgspec.Struct, kw_only=True):
    """Tokens of one message. `input_tokens`: those that did not come from the cache; the prompt has the sum of the
    three.
    """

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: ThinkingTokens


class AnthropicMessage(msgspec.Struct, kw_only=True):
    """A response as a message; `id` is the response's."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[SaidBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class MessageTokensCount(msgspec.Struct, kw_only=True):
    """The size of a prompt."""

    input_tokens: int


class Thinking(msgspec.Struct, frozen=True):
    """The form of thinking in the answer: whether it has blocks of thinking, and whether these have the text."""

    shown: bool = False
    text: bool = False


NOTHING = MessageUsage(
    input_tokens=0,
    cache_creation_input_tokens=0,
    cache_read_input_tokens=0,
    output_tokens=0,
    output_tokens_details=ThinkingTokens(thinking_tokens=0),
)


def to_message(response: wire.Response, thinking: Thinking) -> AnthropicMessage:
    """Translate a response that has completed, or has reached a limit, to one message."""
    called = any(isinstance(item, FunctionCall) and item.status == "completed" for item in response.output)
    stopped_by = response.stop_sequence or None
    return AnthropicMessage(
        id=response.id,
        model=response.model,
        content=[block for item in response.output for block in _blocks(item, thinking)],
        stop_reason=stop_reason(
            response.status, response.usage, response.max_output_tokens, called=called, stopped_by=stopped_by
        ),
        stop_sequence=stopped_by,
        usage=to_usage(response.usage),
    )


def stop_reason(
    status: str, usage: wire.Usage | None, max_tokens: int | None, *, called: bool, stopped_by: str | None
) -> StopReason:
    """Return why the model stopped. `status`: of a response that neither failed nor was stopped by a client. `called`:
    it has made a complete call: incomplete ones are not to be run. `stopped_by`: a stop sequence.
    """
    if status == "incomplete":
        fits = usage is None or max_tokens is None or usage.output_tokens >= max_tokens
        return "max_tokens" if fits else "model_context_window_exceeded"
    if stopped_by is not None:
        return "stop_sequence"
    return "tool_use" if called else "end_turn"


def to_usage(usage: wire.Usage | None) -> MessageUsage:
    """Return the same counts in the form of Anthropic's API."""
    if usage is None:
        return NOTHING
    details = usage.input_tokens_details
    return MessageUsage(
        input_tokens=usage.input_tokens - details.cached_tokens - details.cache_write_tokens,
        cache_creation_input_tokens=details.cache_write_tokens,
        cache_read_input_tokens=details.cached_tokens,
        output_tokens=usage.output_tokens,
        output_tokens_details=ThinkingTokens(thinking_tokens=usage.output_tokens_details.reasoning_tokens),
    )


def _blocks(item: OutputItem, thinking: Thinking) -> Iterator[SaidBlock]:
    match item:
        case Message(content=list() as parts):
            yield from (SaidText(text=part.text) for part in parts if isinstance(part, OutputText) and part.text)
        case FunctionCall():
            yield SaidToolUse(id=item.call_id, name=item.name, input=_input(item.arguments))
        case Reasoning() if thinking.shown:
            text = "".join(part.text for part in (*(item.content or ()), *item.summary)) if thinking.text else ""
            signature = item.encrypted_content or ""
            if text or signature:
                yield SaidThinking(thinking=text, signature=signature)
        case _:
            pass


def _input(arguments: str) -> dict[str, Any]:
    """Return the arguments of a call; nothing if they were cut."""
    try:
        value = loads(arguments) if arguments else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
