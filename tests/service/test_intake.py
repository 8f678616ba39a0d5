"""From a request and what was looked up to a job: everything that is decided before a response starts."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from realtime.context.compaction import Policy
from realtime.context.directives import MAX_REFERENCES
from realtime.context.encrypted import COMPACTION, KEY_BYTES, REASONING, Cipher
from realtime.context.turns import Turn
from realtime.engine.base import ModelInfo
from realtime.engine.parsing import ALWAYS
from realtime.runs.job import Job
from realtime.service.intake import Asked, Intake, LookedUp, digest_of, references
from realtime.settings.fields import ImageSettings, McpServer, McpSettings, ResponseSettings
from realtime.store.conversations import Conversation
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.formats import JsonSchemaFormat
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import (
    AdditionalTools,
    CompactionTrigger,
    ConfigurationUpdate,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputItem,
    ItemReference,
    Message,
    Reasoning,
    ReasoningText,
    ReasoningUpdate,
    TextUpdate,
)
from realtime.wire.limits import DEFAULT, Limits
from realtime.wire.requests import OnDisconnect, ReasoningOptions, ResponseCreate, TextOptions
from tests.support.jobs import make_request, user
from tests.support.responses import MODEL

CIPHER = Cipher(bytes(KEY_BYTES))
SUMMARY = {"reasoning": ReasoningOptions(summary="auto")}
RAW = {"include": ["reasoning.content"]}
CALL = FunctionCall(call_id="c", name="f", arguments="{}")
OUTPUT = FunctionCallOutput(call_id="c", output="4")
FUNCTION = {"type": "function", "name": "f", "parameters": {}}


def make_intake(*, mcp: McpSettings | None = None, limits: Limits = DEFAULT, **settings: Any) -> Intake:
    return Intake(
        settings=ResponseSettings(**settings), images=ImageSettings(), mcp=mcp or McpSettings(), cipher=CIPHER,
        limits=limits,
    )  # fmt: skip


def decide(
    request: ResponseCreate, found: LookedUp | None = None, *, given: Any = (), native: bool = True,
    model: ModelInfo = MODEL, **settings: Any,
) -> Job:  # fmt: skip
    asked = Asked("me", request, native, given)
    return make_intake(**settings).job(asked, found or LookedUp(), model, ALWAYS, "resp_1", 1700)


def turn(*items: Any) -> Turn:
    return Turn("resp_0", None, tuple(items), ())


def refused(code: ErrorCode, param: str, request: ResponseCreate, found: LookedUp | None = None, **how: Any) -> str:
    with pytest.raises(WireError) as error:
        decide(request, found, **how)
    assert (error.value.code, error.value.param) == (code, param)
    return error.value.message


def test_a_job_says_whose_it_is_what_it_is_called_and_how_it_begins() -> None:
    request = make_request("hi", stream_id="lane", metadata={"a": "b"})
    job = decide(request)
    assert (job.response_id, job.tenant, job.stream_id, job.generates) == ("resp_1", "me", "lane", True)
    assert (job.response.id, job.response.created_at, job.response.metadata) == ("resp_1", 1700, {"a": "b"})
    assert (job.parent, job.conversation, job.compaction, job.mcp) == (None, None, None, None)
    assert job.on_disconnect.policy == "linger"
    assert decide(request, native=False).on_disconnect.policy == "cancel"


def test_the_same_request_is_known_by_what_came_whatever_became_of_it() -> None:
    request = make_request("hi", request_id="r")
    digest = digest_of(request)
    kept = msgspec.json.encode(request)
    job = decide(request, LookedUp(parent=turn(user("before"))), given=[user("given")])
    assert job.digest == digest
    assert msgspec.json.encode(request) == kept, "the request is not written to"


CHOICE = {"enum": ["a", "b"]}
COLOR = {"type": "function", "name": "f", "strict": True, "parameters": {"type": "object", "properties": {"c": CHOICE}}}
LARK = {"type": "custom", "name": "f", "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"~8'}}


@pytest.mark.parametrize(
    ("limits", "param", "request_"),
    [
        (Limits(max_enum_values=1), "text.format.schema", ResponseCreate(
            items=[user("hi")], text=TextOptions(format=JsonSchemaFormat(name="n", schema=CHOICE)))),
        (Limits(max_enum_values=1), "tools[0].parameters", make_request("hi", tools=[COLOR])),
        (Limits(max_tools=1), "tools", make_request("hi", tools=[FUNCTION, {**FUNCTION, "name": "g"}])),
        (Limits(max_grammar_repeat=7), "tools[0].format.definition", make_request("hi", tools=[LARK])),
    ],
)  # fmt: skip
def test_limits_are_the_operators(limits: Limits, param: str, request_: ResponseCreate) -> None:
    decide(request_)
    refused(ErrorCode.INVALID_REQUEST, param, request_, limits=limits)


def test_what_is_given_goes_before_the_requests_own_items() -> None:
    job = decide(make_request("own"), given=[user("given")])
    assert [item.content for item in job.request.items if isinstance(item, Message)] == ["given", "own"]


def test_places_in_errors_count_the_clients_own_items() -> None:
    """Not what is put before them: items that were given, and messages that the client holds."""
    bad = ConfigurationUpdate(text=TextUpdate(format=JsonSchemaFormat(name="n", schema={"type": "nope"})))
    held = [HarmonyMessage(role="user", content="held")] * 2
    request = ResponseCreate(items=[user("own"), bad], previous_input_messages=held)
    with pytest.raises(WireError) as caught:
        decide(request, given=[user("given")] * 3)
    assert caught.value.param == "input[1].text.format.schema"
    request = ResponseCreate(items=[user("own")], previous_input_messages=held)
    job = decide(request, given=[user("given")] * 3)
    assert (job.request.own_items, len(job.request.items)) == ([user("own")], 6)


def test_references_are_what_has_to_be_looked_up_and_no_more_than_is_accepted() -> None:
    items: list[InputItem] = [user("x"), ItemReference(id="a"), ItemReference(id="b"), ItemReference(id="a")]
    assert references(ResponseCreate(items=items)) == ["a", "b", "a"]
    many = ResponseCreate(items=[ItemReference(id=str(number)) for number in range(MAX_REFERENCES + 5)])
    assert len(references(many)) == MAX_REFERENCES
    refused(ErrorCode.INVALID_REQUEST, "input", many)


def test_a_reference_stands_for_what_is_continued_else_for_what_was_found() -> None:
    mine = Message(id="a", role="user", content="continued")
    found = LookedUp(parent=turn(mine), items={"a": user("found a"), "b": user("found b")})
    job = decide(ResponseCreate(items=[ItemReference(id="a"), ItemReference(id="b")]), found)
    assert [item.content for item in job.request.items if isinstance(item, Message)] == ["continued", "found b"]
    refused(ErrorCode.INVALID_REQUEST, "input[0].id", ResponseCreate(items=[ItemReference(id="c")]), found)


def test_what_the_client_keeps_for_us_is_decrypted_for_its_tenant_alone() -> None:
    blob = CIPHER.encrypt(REASONING, "me", "a thought")
    (item,) = decide(ResponseCreate(items=[Reasoning(encrypted_content=blob)])).request.items
    assert isinstance(item, Reasoning)
    assert item.content == [ReasoningText(text="a thought")]
    foreign = CIPHER.encrypt(REASONING, "you", "a thought")
    (item,) = decide(ResponseCreate(items=[Reasoning(encrypted_content=foreign)])).request.items
    assert isinstance(item, Reasoning)
    assert not item.content
    assert CIPHER.decrypt(COMPACTION, "me", decide(make_request()).encrypt_compaction("text")) == "text"


def test_what_was_said_before_decides_about_tools_and_settings() -> None:
    before = turn(AdditionalTools(tools=[FUNCTION]), ConfigurationUpdate(reasoning=ReasoningUpdate(effort="low")))
    job = decide(make_request(), LookedUp(parent=before))
    assert [tool.name for tool in job.tools.tools] == ["f"]
    assert job.request.reasoning is not None
    assert job.request.reasoning.effort == "low"
    assert job.response.reasoning.effort == "low"


def test_a_conversation_is_continued_from_what_is_in_it_and_checked_only_when_the_response_starts() -> None:
    conversation = Conversation("conv_1", "me", 0, {})
    conversation.post(items := [AdditionalTools(tools=[FUNCTION])], items, lambda prefix: f"{prefix}_1", 0)
    found = LookedUp(conversation=conversation)
    job = decide(ResponseCreate(items=[OUTPUT], conversation="conv_1"), found)
    assert (job.conversation, job.parent) == (conversation, None)
    assert [tool.name for tool in job.tools.tools] == ["f"]


def test_an_output_needs_its_call_in_what_is_continued() -> None:
    answer = ResponseCreate(items=[OUTPUT])
    refused(ErrorCode.INVALID_REQUEST, "input", answer)
    assert decide(answer, LookedUp(parent=turn(CALL))).request.items == [OUTPUT]


def test_a_trigger_is_a_wish_and_no_item() -> None:
    job = decide(ResponseCreate(items=[user("x"), CompactionTrigger()]))
    assert (job.compaction, len(job.request.items)) == (Policy(now=True), 1)


def test_mcp_tools_are_planned_and_chosen_when_they_are_known() -> None:
    mcp = McpSettings(mcp_servers={"s": McpServer(url="http://127.0.0.1:1/mcp")})
    tool = {"type": "mcp", "server_label": "s"}
    choice = {"type": "mcp", "server_label": "s", "name": "g"}
    request = make_request(tools=[tool, FUNCTION], tool_choice=choice, max_tool_calls=3)
    job = decide(request, mcp=mcp)
    assert job.mcp is not None
    assert [use.label for use in job.mcp.uses] == ["s"]
    assert job.mcp.max_calls == 3
    assert [one.name for one in job.tools.tools] == ["f"]
    assert decide(make_request(tools=[tool], generate=False), mcp=mcp).mcp is None


def test_images_are_for_models_that_see() -> None:
    picture = Message(role="user", content=[InputImage(image_url="data:image/png;base64,")])
    with pytest.raises(WireError):
        decide(ResponseCreate(items=[picture]))


TOO_LONG = {"on_disconnect": OnDisconnect(policy="linger", seconds=1e9)}


@pytest.mark.parametrize(
    ("items", "members", "param"),
    [
        ([ItemReference(id="c"), CompactionTrigger(), OUTPUT], TOO_LONG, "input[0].id"),
        ([CompactionTrigger(), OUTPUT], {**TOO_LONG, "tools": [{"type": "odd"}]}, "tools[0].type"),
        ([CompactionTrigger(), OUTPUT], TOO_LONG, "input[0]"),
        ([OUTPUT], TOO_LONG, "input"),
        ([user("x")], TOO_LONG, "on_disconnect.seconds"),
    ],
)
def test_of_several_things_that_are_wrong_the_first_one_is_told(
    items: list[Any], members: dict[str, Any], param: str
) -> None:
    with pytest.raises(WireError) as error:
        decide(ResponseCreate(items=items, **members))
    assert error.value.param == param


@pytest.mark.parametrize(
    ("setting", "members", "shown"),
    [
        ("none", {}, (False, False)),
        ("none", SUMMARY, (True, False)),
        ("none", {"reasoning": ReasoningOptions(generate_summary="concise")}, (True, False)),
        ("none", RAW, (False, True)),
        ("summary", {}, (True, False)),
        ("raw", {}, (False, True)),
        ("raw", SUMMARY, (True, False)),
    ],
)
def test_reasoning_is_shown_as_the_client_asks_else_as_the_operator_says(
    setting: Literal["none", "summary", "raw"], members: dict[str, Any], shown: tuple[bool, bool]
) -> None:
    policy = decide(ResponseCreate(**members), show_reasoning=setting).shown
    assert (policy.summary, policy.raw) == shown
