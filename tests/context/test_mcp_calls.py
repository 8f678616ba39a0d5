"""MCP calls in a history: one wording, one name, whoever reads it; what was listed and what was allowed."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.compaction_plan import Budget, plan
from realtime.context.mcp_calls import MAX_LISTED, McpCalls, approved_calls, check_approvals, listing_of, tool_names
from realtime.context.mcp_tools import ServerUse, servers_of
from realtime.context.tools import McpOrigin, Tool
from realtime.settings.fields import McpServer, McpSettings
from realtime.wire.errors import WireError
from realtime.wire.items import (
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpItem,
    McpListTools,
    McpTool,
    Message,
)


def call(name: str = "t", label: str = "s", **members: Any) -> McpCall:
    return McpCall(id="mcp_1", server_label=label, name=name, arguments="{}", **members)


def listing(*names: str, label: str = "s", error: str | None = None) -> McpListTools:
    return McpListTools(server_label=label, tools=[McpTool(name=name, input_schema={}) for name in names], error=error)


def shown(name: str, shown_as: str, label: str | None = None) -> Tool:
    origin = McpOrigin(label, needs_approval=False) if label is not None else None
    return Tool(name=name, shown_as=shown_as, parameters={}, mcp=origin)


ASKED = McpApprovalRequest(id="mcpr_1", server_label="s", name="t", arguments="{}")


def reply(approve: bool, **members: Any) -> McpApprovalResponse:
    return McpApprovalResponse(approval_request_id="mcpr_1", approve=approve, **members)


CUT_OFF = "error: the call was cut off; it is not known whether it had an effect"
TOLD: dict[str, tuple[McpItem, str]] = {
    "output": (call(output="sunny"), "sunny"),
    "no output": (call(output=""), ""),
    "a tool's error": (
        call(error={"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "no"}, {"text": "way"}]}),
        "error: no\nway",
    ),
    "the protocol's error": (call(error={"type": "http_error", "code": 502, "message": "gone"}), "error: gone"),
    "an error in a client's words": (call(error="broken"), "error: broken"),
    "an error of another form": (call(error={"code": 5}), 'error: {"code": 5}'),
    "an error is stronger than output": (call(output="half", error="broken"), "error: broken"),
    "cut off": (call(), CUT_OFF),
    "refused": (reply(False), "The user did not allow this call."),
    "refused with a reason": (reply(False, reason="too hot"), "The user did not allow this call. Reason: too hot"),
}


@pytest.mark.parametrize("name", TOLD)
def test_a_call_is_said_as_a_functions(name: str) -> None:
    item, output = TOLD[name]
    call_id = "mcp_1" if isinstance(item, McpCall) else "mcpr_1"
    assert McpCalls([ASKED, item], ()).say(item) == (
        FunctionCall(call_id=call_id, name="s__t", arguments="{}"),
        FunctionCallOutput(call_id=call_id, output=output),
    )


@pytest.mark.parametrize(
    "item", [listing("t"), ASKED, reply(True), McpApprovalResponse(approval_request_id="mcpr_2", approve=False)]
)
def test_what_is_not_said(item: McpItem) -> None:
    assert McpCalls([ASKED, item], ()).say(item) == ()


NAMES: dict[str, tuple[list[InputItem], list[Tool], str | None]] = {
    "as it is shown": ([listing("t"), call()], [shown("t", "t_", "s")], "t_"),
    "as it was listed, when it is not shown": ([listing("t"), call()], [], "t"),
    "in characters that names may have": ([listing("a b"), call("a b")], [], "a_b"),
    "apart from another server's of the name": ([listing("t"), listing("t", label="r"), call()], [], "s__t"),
    "apart from the client's of the name": ([listing("t"), call()], [shown("t", "t")], "s__t"),
    "apart also when only the other one is shown": (
        [listing("t"), listing("t", label="r"), call()], [shown("t", "r__t", "r")], "s__t",
    ),
    "a listing that failed does not count": ([listing("t"), listing(error="gone"), call()], [], "t"),
    "nobody has listed it": ([call()], [], None),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_tool(name: str) -> None:
    items, tools, want = NAMES[name]
    called = items[-1]
    assert isinstance(called, McpCall)
    assert tool_names(items, tools).get(("s", called.name)) == want


def test_a_history_that_lists_more_than_may_be_shown_is_named_in_time() -> None:
    alike = listing(*["x" * 128 + str(n) for n in range(MAX_LISTED + 1)])
    found = tool_names([alike, call("x" * 128 + "0")], [])
    assert found["s", "x" * 128 + "0"] == "s__" + "x" * 128
    assert found["s", "x" * 128 + "1"] == "s__" + "x" * 128 + "_"
    assert len(found) == MAX_LISTED


def test_a_compaction_says_calls_in_the_same_words() -> None:
    items: list[InputItem] = [
        Message(role="user", content="go"), listing("t"), call(output="sunny"), call(error="broken"), ASKED,
        reply(False), Message(role="assistant", content="so"), Message(role="user", content="and?"),
    ]  # fmt: skip
    made = plan(items, Budget(head=0, words=0, kept=1, newest=10), only_open=True)
    called = "Assistant called the tool t with: {}"
    assert made.transcript == [
        "User: go", called, "[function call output] sunny", called, "[function call output] error: broken", called,
        "[function call output] The user did not allow this call.", "Assistant: so",
    ]  # fmt: skip


def test_the_newest_listing_that_did_not_fail_counts() -> None:
    items = [listing("a"), listing("b"), listing(error="gone"), listing("c", label="r")]
    assert listing_of(items, "s") is items[1]
    assert listing_of(items, "q") is None


def test_an_approved_call_is_made_once() -> None:
    made = call(approval_request_id="mcpr_1")
    assert approved_calls([ASKED], [reply(True), reply(True)]) == [ASKED]
    assert approved_calls([], [ASKED, reply(True)]) == [ASKED]
    assert approved_calls([ASKED], [reply(False)]) == []
    assert approved_calls([ASKED, reply(True)], []) == [], "an earlier response has seen to it"
    assert approved_calls([ASKED, made], [reply(True)]) == []
    assert approved_calls([], [reply(True)]) == []


def test_an_approved_call_needs_its_server() -> None:
    settings = McpSettings(mcp_servers={"s": McpServer(url="http://localhost/mcp"), "r": McpServer(url="http://r/mcp")})

    def uses(label: str) -> tuple[ServerUse, ...]:
        return servers_of([{"type": "mcp", "server_label": label}], settings)

    check_approvals([ASKED], uses("s"))
    with pytest.raises(WireError, match="needs the MCP server 's'") as caught:
        check_approvals([ASKED], uses("r"))
    assert caught.value.param == "tools"
