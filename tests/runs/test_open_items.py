"""Open items: legal by the grammar wherever they end, and their events agree with the item that comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec import UNSET

from realtime.context.turns import ExpandedCompaction
from realtime.dialects.base import CallBegin, CallDelta, ReasoningDelta, TextDelta
from realtime.runs.mcp.open_items import CallResult, IgnoredMcpCall, OpenMcpApproval, OpenMcpCall, OpenMcpListing
from realtime.runs.open_items import (
    OpenClientCall,
    OpenCompaction,
    OpenCustomCall,
    OpenFunctionCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    ReasoningShown,
)  # fmt: skip
from realtime.wire import events as e
from realtime.wire.grammar import Grammar
from realtime.wire.items import (
    Compaction,
    CustomToolCall,
    FunctionCall,
    InputText,
    ItemStatus,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    McpTool,
    Message,
    OutputItem,
    OutputText,
    Reasoning,
    ReasoningText,
    ShellCall,
    SummaryText,
)  # fmt: skip
from tests.support.responses import make_response

SHELL = CallBegin("shell", kind="shell")
COMMANDS = CallDelta('{"commands": ["ls"]}')

OPEN: dict[str, tuple[Callable[[], Any], Any]] = {
    "message": (lambda: OpenMessage("i", 0), TextDelta("ab")),
    "reasoning": (lambda: OpenReasoning("i", 0, ReasoningShown()), ReasoningDelta("ab")),
    "reasoning, raw": (lambda: OpenReasoning("i", 0, ReasoningShown(raw=True)), ReasoningDelta("ab")),
    "reasoning, summary": (lambda: OpenReasoning("i", 0, ReasoningShown(summary=True)), ReasoningDelta("ab")),
    "function": (lambda: OpenFunctionCall("i", 0, "c", CallBegin("f")), CallDelta("{}")),
    "custom": (lambda: OpenCustomCall("i", 0, "c", CallBegin("f")), CallDelta("text")),
    "shell": (lambda: OpenClientCall("i", 0, "c", SHELL), COMMANDS),
    "shell that does not fit": (lambda: OpenClientCall("i", 0, "c", SHELL), CallDelta("{}")),
    "compaction": (lambda: OpenCompaction("i", 0), None),
    "listing": (lambda: OpenMcpListing("i", 0, "s"), None),
    "mcp call": (lambda: OpenMcpCall("i", 0, "s", "t"), CallDelta("{}")),
    "approval": (lambda: OpenMcpApproval("i", 0, "s", "t"), CallDelta("{}")),
    "ignored": (lambda: IgnoredMcpCall("i", 0, "s", "t"), CallDelta("{}")),
}


class Checked:
    """The events of one item, in a response, as far as the grammar lets them."""

    def __init__(self) -> None:
        self.events: list[e.Event] = []
        self._grammar = Grammar()
        for event in (
            e.ResponseCreated(response=make_response(), epoch="x"),
            e.ResponseInProgress(response=make_response()),
        ):
            self._grammar.accept(event)

    def take(self, events: e.Event | Iterable[e.Event]) -> None:
        for event in [events] if isinstance(events, e.Event) else events:
            self._grammar.accept(event)
            self.events.append(event)

    def end(self, item: OpenItem, status: ItemStatus) -> OutputItem | None:
        events, ended = item.end(status)
        self.take(events)
        self._grammar.accept(e.ResponseCompleted(response=make_response()))  # only between items
        return ended


@pytest.mark.parametrize("status", ["completed", "incomplete"])
@pytest.mark.parametrize("num_steps", range(4))
@pytest.mark.parametrize("name", OPEN)
def test_an_item_may_end_anywhere(name: str, num_steps: int, status: ItemStatus) -> None:
    make, delta = OPEN[name]
    item, checked = make(), Checked()
    steps: list[Callable[[], Any]] = [*[lambda: item.delta(delta)] * 2 * (delta is not None), item.written]
    checked.take(item.begin())
    for step in steps[:num_steps]:
        checked.take(step())
    ended = checked.end(item, status)
    added = [event.item for event in checked.events if isinstance(event, e.OutputItemAdded)]
    done = [event.item for event in checked.events if isinstance(event, e.OutputItemDone)]
    assert len(added) == len(done) == (ended is not None)
    if ended is not None:
        assert done == [ended]
        assert (type(added[0]), added[0].id) == (type(ended), ended.id)


def finished(name: str, status: ItemStatus = "completed") -> tuple[OpenItem, OutputItem | None]:
    """An item with one delta."""
    make, delta = OPEN[name]
    item, checked = make(), Checked()
    checked.take(item.begin())
    if delta is not None:
        checked.take(item.delta(delta))
    if not item.at_work:
        checked.take(item.written())
    return item, checked.end(item, status)


PART = OutputText(text="ab")
WHOLE: dict[str, OutputItem | None] = {
    "message": Message(id="i", status="completed", role="assistant", content=[PART]),
    "reasoning": Reasoning(id="i", status="completed"),
    "reasoning, raw": Reasoning(id="i", status="completed", content=[ReasoningText(text="ab")]),
    "reasoning, summary": Reasoning(id="i", status="completed", summary=[SummaryText(text="ab")]),
    "function": FunctionCall(id="i", status="completed", call_id="c", name="f", arguments="{}"),
    "custom": CustomToolCall(id="i", status="completed", call_id="c", name="f", input="text"),
    "shell that does not fit": FunctionCall(id="i", status="completed", call_id="c", name="shell", arguments="{}"),
    "compaction": Compaction(id="i", encrypted_content=""),
    "listing": McpListTools(id="i", server_label="s", tools=[], error="The listing was cut off."),
    "mcp call": McpCall(id="i", status="incomplete", server_label="s", name="t", arguments="{}"),
    "approval": McpApprovalRequest(id="i", server_label="s", name="t", arguments="{}"),
    "ignored": None,
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_comes_of_an_item(name: str) -> None:
    assert finished(name)[1] == WHOLE[name]


def test_half_a_call_can_not_be_allowed_and_half_a_command_is_not_run() -> None:
    assert finished("approval", "incomplete")[1] is None
    assert isinstance(finished("shell")[1], ShellCall)
    _, cut = finished("shell", "incomplete")
    assert cut == FunctionCall(id="i", status="incomplete", call_id="c", name="shell", arguments=COMMANDS.text)


@pytest.mark.parametrize("name", ["reasoning", "reasoning, raw", "reasoning, summary"])
def test_the_history_keeps_all_reasoning(name: str) -> None:
    item, ended = finished(name)
    assert ended is not None
    want = Reasoning(id="i", status="completed", content=[ReasoningText(text="ab")])
    assert item.remembered(ended) == want


def test_reasoning_is_encrypted_for_a_client_that_sends_it_back() -> None:
    item = OpenReasoning("i", 0, ReasoningShown(encrypt=lambda text: text[::-1]))
    list(item.delta(ReasoningDelta("ab")))
    _, ended = item.end("completed")
    assert isinstance(ended, Reasoning)
    assert (ended.encrypted_content, ended.content, ended.summary) == ("ba", UNSET, [])


def test_a_call_has_the_members_that_it_began_with() -> None:
    _, ended = OpenFunctionCall("i", 0, "c", CallBegin("f", namespace="n", channel="analysis")).end("completed")
    assert isinstance(ended, FunctionCall)
    assert (ended.namespace, ended.channel) == ("n", "analysis")


def test_a_compaction_goes_out_encrypted_and_is_remembered_expanded() -> None:
    item, checked = OpenCompaction("i", 0), Checked()
    checked.take(item.begin())
    expanded = ExpandedCompaction.of(
        Compaction(id="i", encrypted_content="blob"), [Message(role="user", content=[InputText(text="a")])]
    )
    item.result = expanded
    ended = checked.end(item, "completed")
    assert ended is not None
    assert type(ended) is Compaction
    assert ended.encrypted_content == "blob"
    assert item.remembered(ended) is expanded


def test_a_listing_says_what_its_server_said() -> None:
    tools = [McpTool(name="t", input_schema={})]
    for error, over in ((None, e.McpListToolsCompleted), ("gone", e.McpListToolsFailed)):
        item, checked = OpenMcpListing("i", 0, "s"), Checked()
        checked.take(item.begin())
        item.answer(tools, error)
        ended = checked.end(item, "completed")
        assert isinstance(ended, McpListTools)
        assert (ended.tools, ended.error) == (tools, error if error is not None else UNSET)
        assert type(checked.events[-2]) is over


RESULTS: list[tuple[CallResult, str, type[e.Event]]] = [
    (CallResult(output="fine"), "completed", e.McpCallCompleted),
    (CallResult(error={"type": "http_error"}), "failed", e.McpCallFailed),
]


@pytest.mark.parametrize(("result", "status", "over"), RESULTS)
def test_an_mcp_call_has_the_result_that_it_waited_for(result: CallResult, status: str, over: type[e.Event]) -> None:
    item, checked = OpenMcpCall("i", 0, "s", "t", approved_by="mcpr_1"), Checked()
    checked.take(item.begin())
    checked.take(item.delta(CallDelta("{}")))
    assert not item.at_work
    checked.take(item.written())
    assert item.at_work
    item.result = result
    ended = checked.end(item, "incomplete")  # the response's end does not undo a result
    assert isinstance(ended, McpCall)
    assert (ended.status, ended.approval_request_id, ended.arguments) == (status, "mcpr_1", "{}")
    assert (ended.output, ended.error) == (result.output or UNSET, result.error or UNSET)
    assert type(checked.events[-2]) is over
