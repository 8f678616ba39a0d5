"""Whatever the grammar of events allows becomes Anthropic's events, and joined they are the message of the response."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from realtime.server.messages.answers import Thinking, to_message
from realtime.server.messages.errors import error_of
from realtime.server.messages.streams import MessageEvents
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.response import ResponseError
from tests.support.any_answer import ANSWERS, Answer, answer_of
from tests.support.fuzz import examples
from tests.support.responses import make_usage

THINKING = st.sampled_from([Thinking(), Thinking(shown=True), Thinking(shown=True, text=True)])
ALL = Thinking(shown=True, text=True)
# of what: the text, the JSON, ...
MEMBERS = {
    "text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"), "input_json_delta": ("partial_json", "input"),
}  # fmt: skip


@cache
def _sdk() -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
    """Of Anthropic's SDK, whose import takes seconds: its event, and its message."""
    from anthropic.types import Message, RawMessageStreamEvent

    return TypeAdapter(RawMessageStreamEvent), TypeAdapter(Message)


def refuse(error: ResponseError | None, response_id: str) -> WireError:
    return WireError(ErrorCode.SERVER_ERROR if error else ErrorCode.REQUEST_CANCELLED, "no", response_id=response_id)


def events_of(answer: Answer, thinking: Thinking) -> list[dict[str, Any]]:
    """What a client is sent, as JSON; pings left out."""

    def say(error: WireError) -> bytes:
        return codec.encode_line(error_of(error))

    words = MessageEvents(thinking, make_usage, refuse, say)
    sent = b"".join(words.event(number, entry) for number, entry in enumerate(answer.entries)).decode()
    assert sent.splitlines() == sent.split("\n")[:-1]
    blocks = sent.split("\n\n")
    assert blocks.pop() == ""
    events = []
    for block in blocks:
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    return [event for event in events if event["type"] != "ping"]


def joined(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message of a stream, as clients put it together."""
    start, *middle, delta, stop = events
    assert (start["type"], delta["type"], stop) == ("message_start", "message_delta", {"type": "message_stop"})
    message: dict[str, Any] = start["message"]
    content: list[dict[str, Any]] = message["content"]
    is_open = False
    for event in middle:
        match event["type"]:
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(content)
                content.append(event["content_block"])
                is_open, given = True, ""
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(content) - 1
                source, target = MEMBERS[event["delta"]["type"]]
                if target == "input":
                    given += event["delta"][source]
                else:
                    content[-1][target] += event["delta"][source]
            case "content_block_stop":
                assert is_open
                assert event["index"] == len(content) - 1
                is_open = False
                if content[-1]["type"] == "tool_use":
                    content[-1]["input"] = _read(given)
            case other:
                raise AssertionError(other)
    assert not is_open
    return {**message, **delta["delta"], "usage": delta["usage"]}


def _read(given: str) -> Any:
    try:
        return json.loads(given or "{}")
    except ValueError:
        return {}


@given(ANSWERS, THINKING)
@examples(60)
def test_joined_events_are_the_message(drawn: Any, thinking: Thinking) -> None:
    answer = answer_of(drawn)
    events = events_of(answer, thinking)
    if drawn[1] in ("cancelled", "failed"):
        assert events.pop()["type"] == "error"
        assert not {"message_delta", "message_stop"} & {event["type"] for event in events}
        return
    sdk_event, sdk_message = _sdk()
    for event in events:
        sdk_event.validate_python(event)
    whole = json.loads(msgspec.json.encode(to_message(answer.response, thinking)))
    sdk_message.validate_python(whole)
    assert joined(events) == whole
    assert thinking.shown or all(block["type"] != "thinking" for block in whole["content"])


REASONS: list[tuple[list[Any], str, str]] = [
    ([("message", [["a"]])], "completed", "end_turn"),
    ([("message", [["a"]])], "max_output_tokens", "max_tokens"),
    ([("message", [["a"]]), ("call", ["{}"])], "completed", "tool_use"),
    ([("broken call", ["{"])], "completed", "end_turn"),
    ([("call", ["{}"])], "max_output_tokens", "max_tokens"),
]


@pytest.mark.parametrize(("items", "end", "reason"), REASONS)
def test_why_it_stopped(items: list[Any], end: str, reason: str) -> None:
    answer = answer_of((items, end, False))
    assert to_message(answer.response, ALL).stop_reason == reason
    assert joined(events_of(answer, ALL))["stop_reason"] == reason


def test_the_end_of_the_window_and_a_stop_sequence_are_told() -> None:
    cut = answer_of(([("message", [["a"]])], "max_output_tokens", False)).response
    assert (
        to_message(msgspec.structs.replace(cut, max_output_tokens=9), ALL).stop_reason
        == "model_context_window_exceeded"
    )
    assert to_message(msgspec.structs.replace(cut, max_output_tokens=3), ALL).stop_reason == "max_tokens"
    whole = answer_of(([("message", [["a"]])], "completed", False)).response
    message = to_message(msgspec.structs.replace(whole, stop_sequence="END"), ALL)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_usage_keeps_cached_tokens_apart() -> None:
    usage = to_message(answer_of(([], "completed", False)).response, ALL).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (1, 1, 3)
