"""Calls and answers: every row of the table against every kind of item, and histories in any order."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import calls, codec
from realtime.wire.calls import ANSWERS, answered_call, call_id_of, names_of, required_input, unknown_call
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import (
    AnswerableCall,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ComputerCall,
    ComputerCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    DeleteFile,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    LocalShellAction,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    Message,
    OutputItem,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    kind_of,
)
from tests.support.fuzz import examples
from tests.wire.test_items import ITEMS


def said(text: str) -> Message:
    return Message(role="user", content=text)


def called(recipient: str = "functions.f", **members: Any) -> HarmonyMessage:
    return HarmonyMessage(role="assistant", recipient=recipient, content="{}", **members)


def function(call_id: str, **members: Any) -> FunctionCall:
    return FunctionCall(call_id=call_id, name="f", arguments="", **members)


def output(call_id: str) -> FunctionCallOutput:
    return FunctionCallOutput(call_id=call_id, output="")


def approval(name: str) -> McpApprovalRequest:
    return McpApprovalRequest(id=name, server_label="s", name="t", arguments="")


LOCAL = LocalShellAction(command=[])
ANSWERED: dict[str, tuple[InputItem, InputItem]] = {
    "function": (function("c"), output("c")),
    "custom": (CustomToolCall(call_id="c", name="f", input=""), CustomToolCallOutput(call_id="c", output="")),
    "shell": (ShellCall(call_id="c", action=ShellAction(commands=[])), ShellCallOutput(call_id="c", output=[])),
    "local shell": (LocalShellCall(call_id="c", action=LOCAL), LocalShellCallOutput(call_id="c", output="")),
    "by its id": (LocalShellCall(id="c", call_id="x", action=LOCAL), LocalShellCallOutput(id="c", output="")),
    "by the other id": (LocalShellCall(id="x", call_id="c", action=LOCAL), LocalShellCallOutput(id="c", output="")),
    "patch": (ApplyPatchCall(call_id="c", operation=DeleteFile(path="")), ApplyPatchCallOutput(call_id="c")),
    "search": (ToolSearchCall(call_id="c", arguments={}), ToolSearchOutput(call_id="c", tools=[])),
    "approval": (approval("c"), McpApprovalResponse(approval_request_id="c", approve=True)),
    "Harmony": (called(call_id="c"), output("c")),
}
COMPUTER = (ComputerCall(call_id="c"), ComputerCallOutput(call_id="c"))
EVERY_KIND = codec.decode_items(msgspec.json.encode(ITEMS), "items", len(ITEMS))


@pytest.mark.parametrize(("call", "answer"), ANSWERED.values(), ids=ANSWERED)
def test_an_output_answers_a_call_before_it(call: InputItem, answer: InputItem) -> None:
    assert unknown_call([call, said("x"), answer]) is None
    assert unknown_call([answer]) == unknown_call([said("x"), answer, call]) == "c"


def test_what_has_no_call_to_answer_is_left_alone() -> None:
    assert unknown_call([ToolSearchOutput(tools=[]), ToolSearchOutput(call_id=None, tools=[])]) is None
    assert unknown_call([COMPUTER[1]]) is None, "what OpenAI's service ran is kept as it came"


def test_the_pairs_of_these_tests_are_all_rows_of_the_table() -> None:
    pairs = {type(call): type(answer) for call, answer in [*ANSWERED.values(), COMPUTER] if type(call) in ANSWERS}
    assert pairs == {call: answer.kind for call, answer in ANSWERS.items()}
    assert {type(item) for item in EVERY_KIND} >= {*ANSWERS, *pairs.values()}


def test_what_a_client_is_to_answer_has_a_row() -> None:
    assert set(get_args(AnswerableCall)) == set(ANSWERS) - {ComputerCall}, "OpenAI's service alone makes those"


@pytest.mark.parametrize("item", EVERY_KIND, ids=lambda item: kind_of(item))
@pytest.mark.parametrize("call", ANSWERS, ids=kind_of)
def test_every_row_against_every_kind_of_item(call: type[InputItem], item: InputItem) -> None:
    """An item is a call of the row, its answer, or neither; and what it is tells which ids are read of it."""
    row = ANSWERS[call]
    if isinstance(item, call):
        assert answered_call(item) is None
        assert names_of(item) == tuple(getattr(item, name) or "" for name in row.names)
        assert call_id_of(item) == next(filter(None, names_of(item)), None)
    elif isinstance(item, row.kind):
        assert names_of(item) == ()
        assert call_id_of(item) == answered_call(item) == next(filter(None, (getattr(item, m) for m in row.refers)))
    elif type(item) not in ANSWERS and type(item) not in {answer.kind for answer in ANSWERS.values()}:
        assert (names_of(item), answered_call(item), call_id_of(item)) == ((), None, None)


def test_a_message_ties_its_call_and_its_output_by_its_call_id() -> None:
    told = HarmonyMessage(role="tool", name="functions.f", content="1", call_id="c")
    assert (names_of(called(call_id="c")), names_of(called()), names_of(told)) == (("c",), (), ())
    assert (call_id_of(called(call_id="c")), call_id_of(called()), call_id_of(told)) == ("c", None, "c")
    assert answered_call(told) is None, "the model's own format holds its answers without one of ours"


def test_a_message_without_a_call_id_is_answered_by_one_output() -> None:
    assert unknown_call([called(), output("a")]) is None
    assert unknown_call([called(), output("a"), output("b")]) == "b"
    assert unknown_call([called(), function("a"), output("a"), output("b")]) is None, "an output with a call is its own"
    assert unknown_call([called("all"), output("a")]) == "a", "what is said to all is not a call"
    assert unknown_call([called(), ANSWERED["shell"][1]]) == "c", "messages call functions"


def test_what_is_missing_is_named_in_the_error() -> None:
    assert calls.no_call_found([function("a"), output("a")]) is None
    calls.check_calls([function("a"), output("a")])
    with pytest.raises(WireError) as caught:
        calls.check_calls([output("x" * 200)])
    assert caught.value.message == f"No tool call found for the output with call_id '{'x' * 128}'."
    assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, "input")


@pytest.mark.parametrize(("call", "answer"), ANSWERED.values(), ids=ANSWERED)
def test_an_answer_to_a_response_is_checked_against_what_it_has_called(call: Any, answer: InputItem) -> None:
    calls.check_answers([said("x"), answer], [call])
    with pytest.raises(WireError, match="has made no call with call_id 'c'"):
        calls.check_answers([answer], [Message(id="c", role="assistant", content=[])])


STUBS: dict[str, tuple[OutputItem, dict[str, Any] | None]] = {
    "function": (function("c"), {"type": "function_call_output", "call_id": "c", "name": "f"}),
    "custom": (CustomToolCall(call_id="c", name="f", input=""), {"type": "custom_tool_call_output", "call_id": "c"}),
    "local shell": (
        LocalShellCall(id="i", call_id="c", action=LOCAL), {"type": "local_shell_call_output", "call_id": "c"},
    ),
    "search": (
        ToolSearchCall(call_id="c", arguments={}, execution="client"),
        {"type": "tool_search_output", "call_id": "c", "execution": "client"},
    ),
    "search that is not said to be anybody's": (
        ToolSearchCall(call_id="c", arguments={}),
        {"type": "tool_search_output", "call_id": "c", "execution": "client"},
    ),
    "search by the server": (ToolSearchCall(call_id="c", arguments={}, execution="server"), None),
    "approval": (approval("c"), {"type": "mcp_approval_response", "approval_request_id": "c"}),
    "cut off": (function("c", status="incomplete"), None),
    "no call": (Message(id="c", role="assistant", content=[]), None),
}  # fmt: skip


@pytest.mark.parametrize(("item", "stub"), STUBS.values(), ids=STUBS)
def test_what_the_client_must_answer_is_told_as_a_stub(item: OutputItem, stub: dict[str, Any] | None) -> None:
    assert required_input([item], []) == ([] if stub is None else [stub])
    assert [list(one) for one in required_input([item], [])] == ([] if stub is None else [list(stub)]), "in this order"


@pytest.mark.parametrize(("call", "answer"), list(ANSWERED.values())[:-1], ids=list(ANSWERED)[:-1])
def test_what_is_answered_is_not_required_again(call: Any, answer: InputItem) -> None:
    assert len(required_input([call], [said("x"), output("other")])) == 1
    assert required_input([call], [answer]) == []


NAMED = st.tuples(st.sampled_from(sorted(set(ANSWERED) - {"by its id", "by the other id"})), st.sampled_from("abc"))


def named(pair: tuple[str, str], *, answers: bool) -> InputItem:
    """The call, or the answer, of this row, under this name."""
    kind, name = pair
    item = ANSWERED[kind][answers]
    member = {"approval": ("id", "approval_request_id")[answers]}.get(kind, "call_id")
    return msgspec.structs.replace(item, **{member: name})


@examples(200)
@given(st.lists(st.tuples(st.booleans(), NAMED), max_size=12))
def test_an_answer_answers_exactly_its_call(steps: list[tuple[bool, tuple[str, str]]]) -> None:
    """Whatever the order: the first answer whose name no call before it has is the one that is found."""
    items = [named(pair, answers=answers) for answers, pair in steps]
    wanted = next(
        (
            pair[1]
            for index, (answers, pair) in enumerate(steps)
            if answers and pair[1] not in {earlier[1] for is_answer, earlier in steps[:index] if not is_answer}
        ),
        None,
    )
    assert unknown_call(items) == wanted
    given = [item for item in items if answered_call(item)]
    left = required_input([item for item in items if isinstance(item, AnswerableCall)], given)
    names = {answered_call(item) for item in given}
    assert [stub.get("call_id", stub.get("approval_request_id")) for stub in left] == [
        call_id_of(item) for item in items if isinstance(item, AnswerableCall) and call_id_of(item) not in names
    ]
