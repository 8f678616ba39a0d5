"""What the server sends is what the official SDK expects: each event is put through the SDK's own types, strictly."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, get_args

import msgspec
import pytest

from realtime.wire import codec
from realtime.wire import events as e
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    ApplyPatchCall,
    Compaction,
    CreateFile,
    CustomToolCall,
    DeleteFile,
    FunctionCall,
    LocalShellAction,
    LocalShellCall,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    McpTool,
    Message,
    OutputItem,
    OutputText,
    Reasoning,
    ReasoningText,
    Refusal,
    ShellAction,
    ShellCall,
    SummaryText,
    ToolSearchCall,
    UpdateFile,
)
from realtime.wire.requests import ReasoningOptions, ResponseCreate, TextOptions
from realtime.wire.response import CancelReceipt, IncompleteDetails, Response, ResponseError
from tests.support.responses import make_response, make_usage

AT: dict[str, Any] = {"item_id": "msg_1", "output_index": 0}
PART: dict[str, Any] = {**AT, "content_index": 0}
SUMMARY: dict[str, Any] = {**AT, "summary_index": 0}
TEXT = OutputText(text="hi")
ITEMS: list[OutputItem] = [
    Message(id="msg_1", status="completed", role="assistant", content=[TEXT, Refusal(refusal="no")]),
    Reasoning(id="rs_1", summary=[SummaryText(text="s")], content=[ReasoningText(text="r")], status="completed"),
    Reasoning(id="rs_2"),
    FunctionCall(id="fc_1", status="incomplete", call_id="call_1", name="f", arguments="{"),
    CustomToolCall(id="ctc_1", status="completed", call_id="call_1", name="f", input="x"),
    LocalShellCall(id="lsh_1", status="completed", call_id="c", action=LocalShellAction(command=["ls"], env={})),
    ShellCall(id="sh_1", status="incomplete", call_id="c", action=ShellAction(commands=["ls"], timeout_ms=1)),
    ApplyPatchCall(id="apc_1", status="completed", call_id="c", operation=CreateFile(path="p", diff="+x")),
    ApplyPatchCall(id="apc_2", status="in_progress", call_id="c", operation=UpdateFile(path="p", diff="@@")),
    ApplyPatchCall(id="apc_3", status="completed", call_id="c", operation=DeleteFile(path="p")),
    ToolSearchCall(id="tsc_1", status="completed", call_id="c", arguments={"q": "x"}, execution="client"),
    McpListTools(id="mcpl_1", server_label="s", tools=[McpTool(name="t", input_schema={})]),
    McpListTools(id="mcpl_2", server_label="s", tools=[], error="x"),
    McpCall(id="mcp_1", status="completed", server_label="s", name="t", arguments="{}", output="x"),
    McpCall(id="mcp_2", status="failed", server_label="s", name="t", arguments="{}", approval_request_id="mcpr_1",
            error={"type": "mcp_protocol_error", "code": 1, "message": "m"}),
    McpApprovalRequest(id="mcpr_1", server_label="s", name="t", arguments="{}"),
    Compaction(id="cmp_1", encrypted_content="x"),
]  # fmt: skip
RUNNING = make_response()
DONE = make_response(status="completed", completed_at=1, output=ITEMS, usage=make_usage())
CUT = make_response(status="incomplete", incomplete_details=IncompleteDetails("max_output_tokens"), usage=make_usage())
BROKEN = make_response(status="failed", error=ResponseError("server_error", "x"), usage=make_usage())

STEER = e.SteerRef(id="steer_1", previous_response_id="resp_0")

EVENTS: list[e.Event] = [
    e.ResponseCreated(response=RUNNING, epoch="epoch_1"),
    e.ResponseQueued(response=make_response(status="queued")),
    e.ResponseInProgress(response=RUNNING),
    e.ResponseCompleted(response=DONE),
    e.ResponseIncomplete(response=CUT),
    e.ResponseFailed(response=BROKEN),
    *[e.OutputItemAdded(output_index=0, item=item) for item in ITEMS],
    *[e.OutputItemDone(output_index=0, item=item) for item in ITEMS],
    *[e.ContentPartAdded(**PART, part=part) for part in (TEXT, Refusal(refusal="no"), ReasoningText(text=""))],
    *[e.ContentPartDone(**PART, part=part) for part in (TEXT, Refusal(refusal="no"), ReasoningText(text=""))],
    e.OutputTextDelta(**PART, delta="hi"),
    e.OutputTextDone(**PART, text="hi"),
    e.ReasoningTextDelta(**PART, delta="hm"),
    e.ReasoningTextDone(**PART, text="hm"),
    e.ReasoningSummaryPartAdded(**SUMMARY, part=SummaryText(text="")),
    e.ReasoningSummaryPartDone(**SUMMARY, part=SummaryText(text="s")),
    e.ReasoningSummaryTextDelta(**SUMMARY, delta="s"),
    e.ReasoningSummaryTextDone(**SUMMARY, text="s"),
    e.FunctionCallArgumentsDelta(**AT, delta="{"),
    e.FunctionCallArgumentsDone(**AT, arguments="{}", name="f"),
    e.CustomToolCallInputDelta(**AT, delta="x"),
    e.CustomToolCallInputDone(**AT, input="x"),
    e.CompactionCompacting(**AT),
    e.ShellCallCommandAdded(**AT, command_index=0, command=""),
    e.ShellCallCommandDelta(**AT, command_index=0, delta="ls"),
    e.ShellCallCommandDone(**AT, command_index=0, command="ls"),
    e.McpListToolsInProgress(**AT),
    e.McpListToolsCompleted(**AT),
    e.McpListToolsFailed(**AT),
    e.McpCallInProgress(**AT),
    e.McpCallArgumentsDelta(**AT, delta="{"),
    e.McpCallArgumentsDone(**AT, arguments="{}"),
    e.McpCallCompleted(**AT),
    e.McpCallFailed(**AT),
    e.ResponseSteerAccepted(steer=STEER),
    e.ResponseSteerPending(
        steer=STEER,
        required_input=[
            {"type": "function_call_output", "call_id": "call_1", "name": "f"},
            {"type": "custom_tool_call_output", "call_id": "call_2"},
        ],
    ),
    e.ResponseSteerFailed(
        error=e.SteerError(code="invalid_input", message="x"),
        steer=e.FailedSteer(input=msgspec.Raw(b'"no"'), previous_response_id="resp_0"),
    ),
    e.ResponseInjectCreated(),
    e.ResponseInjectFailed(
        input=msgspec.Raw(b'[{"type":"function_call_output","call_id":"c","output":"x"}]'),
        error=e.InjectError(code="response_not_found", message="x"),
    ),
    e.Error(status=400, error=e.ErrorBody(type="invalid_request_error", code="invalid_request", message="x")),
]
OURS = {  # types that OpenAI does not have
    e.SessionCreated,
    e.SessionHeartbeat,
    e.SessionUpdated,
    e.SessionDraining,
    e.ResponseResumed,
    e.ResponseTruncated,
}


@cache
def sdk_types() -> dict[str, Any]:
    """`type` on the wire -> the SDK's model. Imported late: it takes half a second."""
    from openai.types.beta import BetaResponseInjectCreatedEvent, BetaResponseInjectFailedEvent
    from openai.types.responses import ResponsesServerEvent

    union = (
        *get_args(get_args(ResponsesServerEvent)[0]),
        BetaResponseInjectCreatedEvent,
        BetaResponseInjectFailedEvent,
    )
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in union}


def validate(event: e.Event) -> Any:
    """The event as the SDK reads it. Strict: no value is converted."""
    sent = codec.encode(event)
    return sdk_types()[json.loads(sent)["type"]].model_validate_json(sent, strict=True)


def kinds(base: type[e.Event]) -> set[type[e.Event]]:
    return {one for kind in base.__subclasses__() for one in ({kind} | kinds(kind))}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("stream_id", [msgspec.UNSET, "lane-1"], ids=["default", "lane"])
def test_the_sdk_takes_every_event(event: e.Event, stream_id: Any) -> None:
    event = msgspec.structs.replace(event, sequence_number=3, response_id="resp_0", stream_id=stream_id)
    read = validate(event)
    assert read.sequence_number == 3
    assert read.stream_id == (None if stream_id is msgspec.UNSET else stream_id)


def test_every_kind_of_event_is_tried_above() -> None:
    assert {type(event) for event in EVENTS} == kinds(e.Event) - OURS - {e.InItem, e.Delta, e.StreamError}


def test_an_error_in_a_stream_over_http_is_flat_for_the_sdk_and_nested_for_others() -> None:
    from openai.types.responses import ResponseErrorEvent

    body = e.error_body(WireError(ErrorCode.SLOW_READER, "x", response_id="resp_0"))
    sent = codec.encode(
        e.StreamError(sequence_number=3, done=True, code=body.code, message="x", param=None, error=body)
    )
    read = ResponseErrorEvent.model_validate_json(sent, strict=True)
    assert (read.code, read.message, read.param, read.sequence_number) == ("slow_reader", "x", None, 3)
    assert json.loads(sent)["error"]["response_id"] == "resp_0"


def test_every_kind_of_item_that_comes_out_is_tried_above() -> None:
    assert {type(item) for item in ITEMS} == set(get_args(OutputItem))


def test_the_validation_would_notice_a_missing_and_a_mistyped_member() -> None:
    with pytest.raises(ValueError, match="logprobs"):
        sdk_types()["response.output_text.delta"].model_validate_json(
            b'{"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":""}',
            strict=True,
        )
    with pytest.raises(ValueError, match="sequence_number"):
        validate(msgspec.structs.replace(EVENTS[0], sequence_number="1"))


def test_the_end_of_a_cancelled_response_differs_from_the_sdk_in_the_reason_only() -> None:
    """A decision of this server: the SDK has no word for it, and does not validate what it receives."""
    response = make_response(
        status="cancelled",
        incomplete_details=IncompleteDetails("cancelled"),
        cancel=CancelReceipt(tokens_generated=3, tokens_delivered=2, abort_ms=0.5),
    )
    with pytest.raises(ValueError, match=r"(?s)1 validation error.*incomplete_details\.reason"):
        validate(e.ResponseIncomplete(response=response))
    response.incomplete_details = None
    assert validate(e.ResponseIncomplete(response=response)).response.status == "cancelled"


def test_our_own_types_are_none_of_openais() -> None:
    tags = {kind: kind.__struct_config__.tag for kind in kinds(e.Event)}
    assert {kind for kind, tag in tags.items() if tag in sdk_types()} == kinds(e.Event) - OURS - {e.InItem, e.Delta}


# -- presence (of every key)

NULL_AT_FIRST = {
    "completed_at", "incomplete_details", "previous_response_id", "instructions", "error", "usage", "max_output_tokens",
    "max_tool_calls", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "moderation", "user",
}  # fmt: skip
RESPONSE_KEYS = NULL_AT_FIRST | {
    "id", "object", "created_at", "status", "model", "output", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature",
    "reasoning", "store", "background", "service_tier", "metadata",
}  # fmt: skip


def on_the_wire(value: Any) -> Any:
    return json.loads(codec.encode(value))


@pytest.mark.parametrize("response", [RUNNING, DONE, CUT, BROKEN], ids=lambda response: response.status)
def test_the_response_has_every_key(response: Response) -> None:
    assert on_the_wire(response).keys() == RESPONSE_KEYS


def test_what_is_not_known_is_null_and_the_rest_has_its_default() -> None:
    sent = on_the_wire(RUNNING)
    assert {key for key, value in sent.items() if value is None} == NULL_AT_FIRST
    assert (sent["object"], sent["output"], sent["tools"], sent["metadata"]) == ("response", [], [], {})
    assert sent["text"] == {"format": {"type": "text"}}
    assert sent["reasoning"] == {"effort": None, "summary": None}
    assert (sent["tool_choice"], sent["truncation"], sent["service_tier"]) == ("auto", "disabled", "default")
    assert (sent["store"], sent["background"], sent["parallel_tool_calls"]) == (True, False, True)


def test_usage_has_its_details() -> None:
    assert on_the_wire(make_usage()) == {
        "input_tokens": 2,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }


BARE: dict[str, tuple[Any, set[str]]] = {
    "a message": (
        Message(id="m", status="completed", role="assistant", content=[TEXT]),
        {"id", "status", "role", "content"},
    ),
    "reasoning": (Reasoning(id="r", status="completed"), {"id", "status", "summary"}),
    "a call": (
        FunctionCall(id="f", status="completed", call_id="c", name="f", arguments=""),
        {"id", "status", "call_id", "name", "arguments"},
    ),
    "a shell call": (
        ShellCall(id="f", status="completed", call_id="c", action=ShellAction(commands=[])),
        {"id", "status", "call_id", "action"},
    ),
    "the action of a shell call": (LocalShellAction(command=["ls"], env={}), {"command", "env"}),
}  # fmt: skip


@pytest.mark.parametrize(("item", "keys"), BARE.values(), ids=BARE)
def test_optional_members_of_items_are_absent_rather_than_null(item: Any, keys: set[str]) -> None:
    assert on_the_wire(item).keys() == keys | {"type"}


def test_the_response_echoes_what_holds() -> None:
    request = ResponseCreate(
        instructions="i", temperature=0, max_output_tokens=5, store=False, metadata={"a": "b"},
        text=TextOptions(verbosity="low"), reasoning=ReasoningOptions(effort="low", generate_summary="auto"),
        tools=[{"type": "function", "name": "f"}, {"type": "web_search"}], prompt_cache_retention="24h",
    )  # fmt: skip
    sent = on_the_wire(make_response(request=request))
    assert (sent["instructions"], sent["temperature"], sent["max_output_tokens"]) == ("i", 0, 5)
    assert (sent["store"], sent["metadata"], sent["text"]["verbosity"]) == (False, {"a": "b"}, "low")
    assert (sent["reasoning"], sent["prompt_cache_retention"]) == ({"effort": "low", "summary": "auto"}, "24h")
    function = {"type": "function", "name": "f", "description": None, "parameters": None, "strict": False}
    assert sent["tools"] == [function, {"type": "web_search"}]
    validate(e.ResponseCreated(response=make_response(request=request), epoch="x", sequence_number=0))


def test_deltas_are_all_that_are_called_so() -> None:
    assert {kind for kind in kinds(e.Event) if str(kind.__struct_config__.tag).endswith(".delta")} == set(e.DELTAS)


def test_every_event_says_whether_it_is_the_last() -> None:
    for event in EVENTS:
        assert on_the_wire(event)["done"] is False, "stamped by the log"


def test_an_error_says_whose_fault_it_is_and_whether_to_retry() -> None:
    spec = ErrorCode.SERVER_IS_OVERLOADED.value
    body = e.ErrorBody(type=spec.fault.value, code=spec.code, message="full", retry=spec.retry, retry_after=2.0)
    assert on_the_wire(e.Error(status=spec.status, error=body, event_id="x")) == {
        "type": "error", "sequence_number": -1, "done": False, "status": 503, "event_id": "x",
        "error": {"type": "server_error", "code": "server_is_overloaded", "message": "full", "param": None,
                  "retry": True, "retry_after": 2.0},
    }  # fmt: skip
