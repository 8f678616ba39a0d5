"""Translate the events in a response's log to the events of a message. Pure.

A block begins with its first content, so an empty one makes no block. Joined, the events equal the message that
`answers` makes of the whole response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.response import IncompleteDetails, ResponseError, Usage, is_stopped

from .answers import (
    NOTHING,
    AnthropicMessage,
    SaidBlock,
    SaidText,
    SaidThinking,
    SaidToolUse,
    Thinking,
    stop_reason,
    to_usage,
)

# -- what is read


class _Response(msgspec.Struct):
    """The members of a Response that the events need."""

    id: str
    status: str
    model: str
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    max_output_tokens: int | None
    usage: Usage | None
    stop_sequence: str | UnsetType = UNSET


class _OfResponse(msgspec.Struct):
    response: _Response


class _Delta(msgspec.Struct):
    delta: msgspec.Raw  # a JSON string, which is sent as it is


class _Item(msgspec.Struct):
    type: str
    status: str | None = None
    call_id: str = ""
    name: str = ""
    encrypted_content: str | None = None


class _OfItem(msgspec.Struct):
    item: _Item


_read_response = msgspec.json.Decoder(_OfResponse).decode
_read_delta = msgspec.json.Decoder(_Delta).decode
_read_item = msgspec.json.Decoder(_OfItem).decode

Refuse = Callable[[ResponseError | None, str], WireError]
SayError = Callable[[WireError], bytes]


class MessageEvents:
    """The events of one message.

    used: the tokens that the response has used so far, for the first event; None while that is not known. refuse: makes
    the error of a response that failed, or that a client stopped. say_error: makes the JSON of an error.
    """

    keep_alive = b'event: ping\ndata: {"type":"ping"}\n\n'
    end = b""

    def __init__(
        self, thinking: Thinking, used: Callable[[], Usage | None], refuse: Refuse, say_error: SayError
    ) -> None:
        self._thinking = thinking
        self._used = used
        self._refuse = refuse
        self._say_error = say_error
        self._index = -1  # of the newest block
        self._is_open = False  # it has no end yet
        self._called = False  # a whole call was made
        self._words: dict[bytes, Callable[[bytes], bytes]] = {
            b"response.created": self._begin,
            b"response.output_text.delta": self._text,
            b"response.content_part.done": self._part_done,
            b"response.reasoning_text.delta": self._thought,
            b"response.reasoning_summary_text.delta": self._thought,
            b"response.output_item.added": self._item_added,
            b"response.function_call_arguments.delta": self._arguments,
            b"response.output_item.done": self._item_done,
            b"response.completed": self._finish,
            b"response.incomplete": self._finish,
            b"response.failed": self._finish,
        }

    def event(self, number: int, entry: bytes) -> bytes:
        """Return the events for the next entry of the log."""
        word = self._words.get(codec.type_of(entry))
        return word(entry) if word is not None else b""

    def failure(self, error: WireError, number: int) -> bytes:
        """Return the event that ends the stream early."""
        return b"event: error\ndata: %b\n\n" % self._say_error(error)

    def _begin(self, entry: bytes) -> bytes:
        response = _read_response(entry).response
        usage = to_usage(self._used())
        usage.output_tokens, usage.output_tokens_details = 0, NOTHING.output_tokens_details
        message = AnthropicMessage(
            id=response.id, model=response.model, content=[], stop_reason=None, stop_sequence=None, usage=usage
        )
        return _event("message_start", message=message) + self.keep_alive

    # -- blocks

    def _open(self, block: SaidBlock) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        self._index += 1
        return _event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> bytes:
        if not self._is_open:
            return b""
        self._is_open = False
        return _event("content_block_stop", index=self._index)

    def _more(self, kind: bytes, member: bytes, text: bytes | msgspec.Raw) -> bytes:
        """Return an event with more of the open block. This is nearly every event, so nothing is encoded for it."""
        return (
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":%b}}\n\n'
        ) % (self._index, kind, member, text)

    def _text(self, entry: bytes) -> bytes:
        begun = self._open(SaidText(text=""))
        return begun + self._more(b"text_delta", b"text", _read_delta(entry).delta)

    def _part_done(self, entry: bytes) -> bytes:
        """End a text. Reasoning continues in the next part."""
        return self._close() if b'"part":{"type":"output_text"' in entry else b""

    def _thought(self, entry: bytes) -> bytes:
        if not self._thinking.text:
            return b""
        begun = self._open(SaidThinking(thinking="", signature=""))
        return begun + self._more(b"thinking_delta", b"thinking", _read_delta(entry).delta)

    def _item_added(self, entry: bytes) -> bytes:
        item = _read_item(entry).item
        if item.type != "function_call":
            return b""
        return self._open(SaidToolUse(id=item.call_id, name=item.name, input={}))

    def _arguments(self, entry: bytes) -> bytes:
        return self._more(b"input_json_delta", b"partial_json", _read_delta(entry).delta)

    def _item_done(self, entry: bytes) -> bytes:
        item = _read_item(entry).item
        self._called = self._called or (item.type == "function_call" and item.status == "completed")
        if item.type != "reasoning" or not self._thinking.shown or not item.encrypted_content:
            return self._close()
        begun = self._open(SaidThinking(thinking="", signature=""))
        signature = codec.encode_line(item.encrypted_content)
        return begun + self._more(b"signature_delta", b"signature", signature) + self._close()

    # -- the end

    def _finish(self, entry: bytes) -> bytes:
        response = _read_response(entry).response
        if response.error is not None or is_stopped(response.incomplete_details):
            return self.failure(self._refuse(response.error, response.id), 0)
        stopped_by = response.stop_sequence or None
        reason = stop_reason(
            response.status, response.usage, response.max_output_tokens, called=self._called, stopped_by=stopped_by
        )
        delta = {"stop_reason": reason, "stop_sequence": stopped_by}
        return _event("message_delta", delta=delta, usage=to_usage(response.usage)) + _event("message_stop")


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), codec.encode_line({"type": kind, **members}))
