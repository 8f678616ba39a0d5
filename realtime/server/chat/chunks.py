"""Translate the events in a response's log to the chunks of a chat completion. Pure.

Joined chunks equal the completion that `completions` makes of the whole response. Events for which a chunk has no
member - the beginnings and ends of items and parts - make no chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.events import ErrorBody, error_body
from realtime.wire.response import IncompleteDetails, ResponseError, Usage, is_stopped

from .completions import (
    ChoiceLogprobs,
    CompletionUsage,
    FinishReason,
    Shown,
    finish_reason,
    to_usage,
)

# -- what is sent


class FunctionDelta(msgspec.Struct, kw_only=True):
    name: str | UnsetType = UNSET
    arguments: str


class CustomToolDelta(msgspec.Struct, kw_only=True):
    name: str | UnsetType = UNSET
    input: str


class ToolCallDelta(msgspec.Struct, kw_only=True):
    """The beginning of a call, with its `id`, `type` and name, or more of its arguments."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionDelta | UnsetType = UNSET
    custom: CustomToolDelta | UnsetType = UNSET


class ChunkDelta(msgspec.Struct, kw_only=True):
    """More of the message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, kw_only=True):
    index: int = 0
    delta: ChunkDelta
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(msgspec.Struct, kw_only=True):
    """One event of a stream. `usage`: in the last one, if the request asked for it; null before."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int  # unix seconds
    model: str
    service_tier: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | UnsetType | None = UNSET


class ErrorChunk(msgspec.Struct):
    """The event that replaces the rest of a stream that fails."""

    error: ErrorBody


# -- what is read


class _Response(msgspec.Struct):
    """The members of a Response that chunks need."""

    id: str
    created_at: int
    status: str
    model: str
    service_tier: str
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    usage: Usage | None


class _OfResponse(msgspec.Struct):
    response: _Response


class _Delta(msgspec.Struct):
    delta: msgspec.Raw  # a JSON string, which is sent as it is
    logprobs: msgspec.Raw = msgspec.Raw(b"[]")


class _Item(msgspec.Struct):
    type: str
    status: str | None = None
    call_id: str = ""
    name: str = ""


class _OfItem(msgspec.Struct):
    item: _Item


_read_response = msgspec.json.Decoder(_OfResponse).decode
_read_delta = msgspec.json.Decoder(_Delta).decode
_read_item = msgspec.json.Decoder(_OfItem).decode
_CALLS: dict[str, Literal["function", "custom"]] = {"function_call": "function", "custom_tool_call": "custom"}
Refuse = Callable[[ResponseError | None, str], WireError]


class Chunks:
    """The chunks of one response. `refuse` makes the error of one that failed, or that a client stopped."""

    keep_alive = b": keep-alive\n"
    end = b"data: [DONE]\n\n"

    def __init__(self, shown: Shown, refuse: Refuse, reword: Callable[[WireError], WireError]) -> None:
        self._shown = shown
        self._refuse = refuse
        self._reword = reword
        self._num_calls = 0
        self._called = False  # a whole call was made
        self._head = b""  # of each chunk, up to its choices
        self._tail = b',"usage":null}\n\n' if shown.usage else b"}\n\n"
        self._words: dict[bytes, Callable[[bytes], bytes]] = {
            b"response.created": self._begin,
            b"response.output_text.delta": self._text,
            b"response.reasoning_text.delta": self._reasoning,
            b"response.reasoning_summary_text.delta": self._reasoning,
            b"response.output_item.added": self._item_added,
            b"response.function_call_arguments.delta": self._arguments,
            b"response.custom_tool_call_input.delta": self._input,
            b"response.output_item.done": self._item_done,
            b"response.completed": self._finish,
            b"response.incomplete": self._finish,
            b"response.failed": self._finish,
        }

    def event(self, number: int, entry: bytes) -> bytes:
        """Return the chunks for the next entry of the log."""
        word = self._words.get(codec.type_of(entry))
        return word(entry) if word is not None else b""

    def failure(self, error: WireError, number: int) -> bytes:
        """Return the event that ends the stream early."""
        return b"data: %b\n\n" % codec.encode_line(ErrorChunk(error_body(self._reword(error))))

    def _begin(self, entry: bytes) -> bytes:
        response = _read_response(entry).response
        empty = ChatCompletionChunk(
            id=response.id,
            created=response.created_at,
            model=response.model,
            service_tier=response.service_tier,
            choices=[],
        )
        self._head = b"data: " + codec.encode_line(empty).removesuffix(b"[]}")
        return self._choice(ChunkDelta(role="assistant", content=""))

    def _choice(self, delta: ChunkDelta, finish: FinishReason | None = None) -> bytes:
        choice = codec.encode_line([ChunkChoice(delta=delta, finish_reason=finish)])
        return self._head + choice + self._tail

    def _more(self, member: bytes, text: msgspec.Raw, logprobs: bytes = b"null") -> bytes:
        """Return a chunk with more of one member. This is nearly every chunk, so nothing is encoded for it."""
        return b'%b[{"index":0,"delta":{"%b":%b},"logprobs":%b,"finish_reason":null}]%b' % (
            self._head, member, text, logprobs, self._tail,
        )  # fmt: skip

    def _text(self, entry: bytes) -> bytes:
        read = _read_delta(entry)
        if self._shown.logprobs and bytes(read.logprobs) != b"[]":
            return self._more(b"content", read.delta, b'{"content":%b,"refusal":null}' % read.logprobs)
        return self._more(b"content", read.delta)

    def _reasoning(self, entry: bytes) -> bytes:
        return self._more(b"reasoning_content", _read_delta(entry).delta) if self._shown.reasoning else b""

    def _item_added(self, entry: bytes) -> bytes:
        item = _read_item(entry).item
        kind = _CALLS.get(item.type)
        if kind is None:
            return b""
        call = ToolCallDelta(index=self._num_calls, id=item.call_id, type=kind)
        if kind == "function":
            call.function = FunctionDelta(name=item.name, arguments="")
        else:
            call.custom = CustomToolDelta(name=item.name, input="")
        self._num_calls += 1
        return self._choice(ChunkDelta(tool_calls=[call]))

    def _arguments(self, entry: bytes) -> bytes:
        return self._more_of_call(b"function", b"arguments", _read_delta(entry).delta)

    def _input(self, entry: bytes) -> bytes:
        return self._more_of_call(b"custom", b"input", _read_delta(entry).delta)

    def _more_of_call(self, kind: bytes, member: bytes, text: msgspec.Raw) -> bytes:
        call = b'[{"index":%d,"%b":{"%b":%b}}]' % (self._num_calls - 1, kind, member, text)
        return self._more(b"tool_calls", msgspec.Raw(call))

    def _item_done(self, entry: bytes) -> bytes:
        item = _read_item(entry).item
        self._called = self._called or (item.type in _CALLS and item.status == "completed")
        return b""

    def _finish(self, entry: bytes) -> bytes:
        response = _read_response(entry).response
        if response.error is not None or is_stopped(response.incomplete_details):
            return self.failure(self._refuse(response.error, response.id), 0)
        last = self._choice(ChunkDelta(), finish_reason(response.status, called=self._called))
        if not self._shown.usage or response.usage is None:
            return last
        return last + self._head + b'[],"usage":%b}\n\n' % codec.encode_line(to_usage(response.usage))
