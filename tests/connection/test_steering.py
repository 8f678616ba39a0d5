"""The rules of what may be given into a response that runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.connection import steering
from realtime.connection.steering import Steer, SteerRefused
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import FunctionCall, FunctionCallOutput, Message
from realtime.wire.requests import ContextManagement, ResponseCreate
from tests.support.responses import make_response

LIMITS = codec.Limits()
CALL = FunctionCall(id="fc_0", status="completed", call_id="call_0", name="f", arguments="{}")
OUTPUT = {"type": "function_call_output", "call_id": "call_0", "output": "18"}
CUSTOM = {"type": "custom_tool_call_output", "call_id": "call_0", "output": "18"}


def user(content: Any = "x", role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def encoded(given: Any) -> bytes:
    return json.dumps(given).encode()


# -- what may be steered at all


@pytest.mark.parametrize(
    ("request_", "fine"),
    [
        (ResponseCreate(), True),
        (ResponseCreate(generate=True, context_management=[]), True),
        (ResponseCreate(generate=False), False),
        (ResponseCreate(conversation="conv_0"), False),
        (ResponseCreate(context_management=[ContextManagement(type="compaction")]), False),
    ],
)
def test_only_a_response_that_may_have_a_successor_takes_input(request_: ResponseCreate, fine: bool) -> None:
    if fine:
        steering.check_steerable(request_)
        return
    with pytest.raises(SteerRefused) as refused:
        steering.check_steerable(request_)
    assert refused.value.code == "steering_not_supported"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("completed", "response_already_completed"), ("cancelled", "response_not_active"),
        ("incomplete", "response_not_active"), ("failed", "response_not_active"),
    ],
)  # fmt: skip
def test_what_is_over_says_how(status: str, code: str) -> None:
    refused = steering.refusal(status, "resp_0")
    assert refused.code == code
    assert "resp_0" in refused.message


# -- the input of a steer


@pytest.mark.parametrize(
    "given",
    [
        "x",
        [user()],
        [user([{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:,"}]), OUTPUT],
    ],
)
def test_a_user_may_speak_and_answer_calls(given: Any) -> None:
    items = steering.steer_items(encoded(given), LIMITS, [CALL])
    assert len(items) == (len(given) if isinstance(given, list) else 1)
    assert isinstance(items[0], Message)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ([], "at least one"),
        (5, "input"),
        ([5], "input[0]"),
        ([user(), user(role="assistant")], "input[1]"),
        ([user([{"type": "output_text", "text": "x"}])], "input[0]"),
        ([CUSTOM], "input[0]"),
        ([{**OUTPUT, "call_id": "unknown"}], "unknown"),
        ([{"type": "item_reference", "id": "msg_0"}], "input[0]"),
    ],
)
def test_what_a_steer_may_not_hold(given: Any, part: str) -> None:
    with pytest.raises(SteerRefused) as refused:
        steering.steer_items(encoded(given), LIMITS, [CALL])
    assert refused.value.code == "invalid_input"
    assert part in refused.value.message


# -- the input of an injection


def test_outputs_of_calls_may_be_injected() -> None:
    (item,) = steering.inject_items(encoded([OUTPUT]), LIMITS, [CALL])
    assert isinstance(item, FunctionCallOutput)
    assert len(steering.inject_items(encoded([OUTPUT, CUSTOM]), LIMITS, [CALL])) == 2


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([], "input"),
        ("x", "input[0].type"),
        ([OUTPUT, user()], "input[1].type"),
        ([{**OUTPUT, "call_id": "?"}], "input"),
    ],
)
def test_what_an_injection_may_not_hold(given: Any, param: str) -> None:
    with pytest.raises(WireError) as refused:
        steering.inject_items(encoded(given), LIMITS, [CALL])
    assert (refused.value.code, refused.value.param) == (ErrorCode.INVALID_REQUEST, param)


# -- the successor, and what is given back


def test_a_successor_has_the_settings_and_takes_what_was_given_outputs_first() -> None:
    request = ResponseCreate(
        model="m", temperature=0.5, request_id="once", event_id="e", previous_response_id="before", stream_id="a"
    )
    steers = [
        Steer(f"steer_{number}", "resp_0", b"", steering.steer_items(encoded([given]), LIMITS, [CALL]))
        for number, given in enumerate([user("1"), OUTPUT, user("2")])
    ]
    successor = steering.successor_request(request, make_response("resp_0"), steers)
    assert [getattr(item, "content", None) for item in successor.items] == [None, "1", "2"]
    assert (successor.previous_response_id, successor.request_id, successor.event_id) == ("resp_0", None, None)
    assert (successor.model, successor.temperature, successor.stream_id) == ("m", 0.5, "a")
    assert (request.request_id, request.items) == ("once", []), "the request itself stays as it is"


@pytest.mark.parametrize(
    ("steer_id", "type_", "code"),
    [
        ("steer_0", "response.steer.failed", "invalid_input"),
        (None, "response.inject.failed", "response_already_completed"),
    ],
)
def test_input_is_given_back_in_the_words_of_its_event(steer_id: str | None, type_: str, code: str) -> None:
    steer = Steer(steer_id, "resp_0", b'"x"', ())
    told = json.loads(codec.encode(steering.failed(steer, SteerRefused("invalid_input", "no"))))
    assert (told["type"], told["error"]["code"], told["error"]["message"]) == (type_, code, "no")
    assert told.get("response_id", "resp_0") == "resp_0"


def test_input_that_was_left_out_is_given_back_as_null() -> None:
    told = json.loads(codec.encode(steering.steer_failed("resp_0", b"", SteerRefused("invalid_input", "no"))))
    assert told["steer"] == {"input": None, "previous_response_id": "resp_0"}
