"""Which calls wait for their outputs, and which outputs come a second time."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.compaction import Policy
from realtime.context.outputs import check_no_output_missing, check_no_second_output, needs_outputs, pending_calls
from realtime.context.turns import Turn
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    LocalShellAction,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    ToolSearchCall,
)
from realtime.wire.requests import ResponseCreate
from tests.support.jobs import user


def call(call_id: str, status: str = "completed") -> FunctionCall:
    return FunctionCall(id=f"fc_{call_id}", call_id=call_id, name="f", arguments="{}", status=status)


def output(call_id: str, text: str = "x") -> FunctionCallOutput:
    return FunctionCallOutput(call_id=call_id, output=text)


SHELL = LocalShellCall(
    id="lsh_1", call_id="call_1", action=LocalShellAction(command=["ls"], env={}), status="completed"
)
ASKED = McpApprovalRequest(id="mcpr_1", server_label="s", name="t", arguments="{}")


def missing(parent: Turn | None, *given: InputItem) -> str | None:
    """The message, if something is missing."""
    try:
        check_no_output_missing(parent, given)
    except WireError as error:
        return f"{error.spec.code} {error.param}: {error.message}"
    return None


def turn(*said: Any, parent: Turn | None = None, given: tuple[InputItem, ...] = (), name: str = "resp_1") -> Turn:
    return Turn(name, parent, given, said)


def test_every_finished_call_of_the_newest_turn_has_to_be_answered() -> None:
    parent = turn(call("a"), call("b"), call("c", "incomplete"))
    assert missing(parent, output("a"), output("b")) is None
    assert missing(parent, user("and?"), output("b"), output("a")) is None
    told = missing(parent, output("b"))
    assert told is not None
    assert told.startswith("missing_tool_output input: No tool output found for function call a.")
    assert "No tool output found for function calls a, b." in str(missing(parent, user("never mind")))
    assert missing(None, user("hi")) is None


def test_calls_of_earlier_turns_do_not_count() -> None:
    first = turn(call("a"))
    assert missing(turn(parent=first, given=(user("go on"),), name="resp_2"), user("hi")) is None
    assert missing(turn(call("b"), parent=first, name="resp_2"), output("b")) is None


@pytest.mark.parametrize(
    "said",
    [
        McpCall(server_label="s", name="t", arguments="{}", status="completed"),
        ToolSearchCall(arguments={}, call_id="x", execution="server", status="completed"),
        ASKED,
        call("c", "incomplete"),
    ],
)
def test_what_the_server_calls_what_was_cut_and_what_the_user_may_ignore_needs_no_output(said: Any) -> None:
    assert missing(turn(said), user("hi")) is None


def test_a_call_may_be_answered_by_any_of_its_names() -> None:
    by_item = LocalShellCallOutput(id="lsh_1", output="x")
    assert missing(turn(SHELL), by_item) is None
    assert missing(turn(SHELL), LocalShellCallOutput(call_id="call_1", output="x")) is None
    assert missing(turn(SHELL), LocalShellCallOutput(call_id="call_2", output="x"))


def test_what_was_posted_to_a_conversation_since_counts_as_given() -> None:
    posted = Turn("", turn(call("a"), call("b")), (output("a"), user("x")), ())
    assert missing(posted, output("b")) is None
    assert "function call b." in str(missing(posted, user("hi")))


def test_of_a_conversation_that_does_not_know_who_said_what_the_newest_exchange_counts() -> None:
    flat = Turn("", None, (user("1"), call("old"), user("2"), call("a"), output("a"), call("b")), ())
    assert "function call b." in str(missing(flat, user("hi")))
    assert missing(flat, output("b")) is None
    assert missing(Turn("", None, (call("a"),), ()), user("hi"))


def test_a_long_list_is_told_in_part() -> None:
    told = str(missing(turn(*[call(f"c{n}") for n in range(40)])))
    assert "c15 and 24 more" in told
    assert "c16" not in told


def test_who_asks_for_no_answer_needs_no_outputs() -> None:
    assert needs_outputs(ResponseCreate(), None)
    assert needs_outputs(ResponseCreate(allow_missing_outputs=False), Policy(threshold=1))
    assert not needs_outputs(ResponseCreate(allow_missing_outputs=True), None)
    assert not needs_outputs(ResponseCreate(generate=False), None)
    assert not needs_outputs(ResponseCreate(), Policy(now=True))


def test_pending_calls_name_what_is_called_and_how_to_answer() -> None:
    calls: list[Any] = [call("a"), SHELL, ASKED, call("cut", "incomplete"), call("b")]
    pending = [(one.call_id, one.type, one.name) for one in pending_calls(calls, [output("b")])]
    assert pending == [
        ("a", "function_call", "f"),
        ("call_1", "local_shell_call", "local_shell"),
        ("mcpr_1", "mcp_approval_request", "t"),
    ]


def test_a_second_output_is_refused_with_the_one_that_is_kept() -> None:
    first = output("a", "first")
    check_no_second_output([call("a")], [first])
    check_no_second_output([call("a"), call("b"), first], [output("b")])
    tries: list[tuple[list[InputItem], list[InputItem]]] = [
        ([call("a"), first], [output("a", "second")]),
        ([call("a")], [first, output("a", "second")]),
    ]
    for before, given in tries:
        with pytest.raises(WireError) as refused:
            check_no_second_output(before, given)
        assert refused.value.code is ErrorCode.TOOL_OUTPUT_ALREADY_ACCEPTED
        assert refused.value.item is first


def test_a_second_output_by_another_name_is_one_too() -> None:
    kept = LocalShellCallOutput(id="lsh_1", output="x")
    with pytest.raises(WireError) as refused:
        check_no_second_output([SHELL, kept], [LocalShellCallOutput(call_id="call_1", output="y")])
    assert refused.value.item is kept


def test_an_approval_may_be_given_again() -> None:
    approved = McpApprovalResponse(approval_request_id="mcpr_1", approve=True)
    check_no_second_output([ASKED, approved], [approved])
