"""What nodes say to each other: one of our messages, or garbage; requests and errors arrive as they were."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.server.peers import messages
from realtime.service.intake import digest_of
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.events import error_body

BODIES = (
    b'{"input": "hi", "request_id": "r1", "metadata": {"a": "b"}, "novelty": 1}',
    b'{"input": [{"role": "user", "content": [{"type": "input_text", "text": "\\u2028 hi"}]},'
    b' {"type": "function_call_output", "call_id": "c", "output": "x"}], "conversation": {"id": "conv_1"},'
    b' "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}},'
    b' {"type": "mcp", "server_label": "s", "server_url": "https://x", "authorization": "secret"}]}',
    b'{"input": [{"type": "item_reference", "id": "msg_1"}], "on_disconnect": {"policy": "continue"}, "stream": true}',
)


@pytest.mark.parametrize("body", BODIES)
def test_a_create_arrives_as_it_was(body: bytes) -> None:
    request = codec.decode_create(body, codec.Limits())
    again = messages.decode_request(messages.encode_request(request))
    assert again == request
    assert digest_of(again) == digest_of(request)
    assert again.unknown == request.unknown


def test_an_error_arrives_as_it_was() -> None:
    error = WireError(ErrorCode.CONVERSATION_MOVED_ON, "no", param="p", retry_after=2.5, response_id="r", item={"a": 1})
    again = messages.error_of(messages.refused(3, error))
    assert codec.encode(error_body(again)) == codec.encode(error_body(error))
    assert again.spec is error.spec
    unknown = msgspec.structs.replace(messages.refused(3, error), code="of_a_newer_node")
    assert messages.error_of(unknown).code is ErrorCode.SERVER_ERROR


@given(st.binary(max_size=200))
def test_anything_else_is_garbage(frame: bytes) -> None:
    for decode in (messages.decode_asked, messages.decode_answered):
        with contextlib.suppress(messages.Garbage):
            assert isinstance(decode(frame), list)


def test_what_another_version_says_is_told_from_garbage() -> None:
    """The tag and the number come first in every version."""
    known = messages.Settle(3, "resp_1")
    told = [[99, 5, "new"], known, [4, 7, "a member that is not known"], [99], [99, "no number"]]
    unknown = messages.Unknown
    assert messages.decode_asked(messages.encode(told)) == [
        unknown(5), known, unknown(7), unknown(None), unknown(None)
    ]  # fmt: skip
    answered = [[99, 5], messages.Done(3, "resp_1")]
    assert messages.decode_answered(messages.encode(answered)) == [unknown(5), answered[1]]
    frames: list[Any] = [[["what", 1]], [[]], [5], 5, {}]
    for frame in frames:
        with pytest.raises(messages.Garbage):
            messages.decode_asked(messages.encode(frame))
