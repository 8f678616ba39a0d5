"""Calls whose results come later: whatever is said and wherever it is cut, the events are legal and nothing is lost."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from msgspec import UNSET

from realtime.context.tools import McpOrigin
from realtime.dialects.base import CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, Recovered, TextDelta
from realtime.runs.assembler import Assembler
from realtime.runs.mcp.open_items import CallResult
from realtime.wire import events as e
from realtime.wire.grammar import Grammar
from realtime.wire.items import FunctionCall, McpApprovalRequest, McpTool, Message
from tests.support.responses import make_response

FREE, ASKED = McpOrigin("s", needs_approval=False), McpOrigin("s", needs_approval=True)
DONE = CallResult(output="result")
SAID: list[Piece] = [
    ReasoningDelta("hm"), TextDelta("Look. "),
    CallBegin("a", mcp=FREE), CallDelta("{}"), CallEnd(),
    TextDelta(" Then. "),
    CallBegin("b", mcp=FREE), CallDelta("{"), CallDelta("}"), CallEnd(),
    CallBegin("mine"), CallDelta("{}"), CallEnd(),
    CallBegin("c", mcp=ASKED), CallDelta("{}"), CallEnd(),
    CallBegin("d", mcp=FREE), CallDelta("{}"), CallEnd(),
]  # fmt: skip


class Played:
    """An assembler whose events pass the grammar."""

    def __init__(self, max_calls: int = 9) -> None:
        ids = count()
        self.assembler = Assembler(lambda prefix: f"{prefix}_{next(ids)}", None, max_calls)
        self._grammar = Grammar()
        self.take([e.ResponseCreated(response=make_response(), epoch="x")])
        self.take([e.ResponseInProgress(response=make_response())])

    def take(self, events: Any) -> None:
        for event in events:
            self._grammar.accept(event)

    def end(self) -> list[tuple[str, str | None]]:
        """Close it as cut off; what the items are."""
        self.take(self.assembler.close("incomplete"))
        self.take([e.ResponseIncomplete(response=make_response())])
        output = self.assembler.output
        assert [item.id for item in output] == [item.id for item in self.assembler.remembered]
        return [(str(item.__struct_config__.tag), item.status or None) for item in output]


@pytest.mark.parametrize("length", range(len(SAID) + 1))
@pytest.mark.parametrize("num_results", [0, 1, 2, 3])
def test_a_cut_anywhere_is_legal(length: int, num_results: int) -> None:
    played = Played()
    played.take(played.assembler.feed(SAID[:length]))
    for _ in range(num_results):
        if played.assembler.calling is not None:
            played.take(played.assembler.finish_call(DONE))
    kinds = [kind for kind, _ in played.end()]
    whole = [
        "reasoning",
        "message",
        "mcp_call",
        "message",
        "mcp_call",
        "function_call",
        "mcp_approval_request",
        "mcp_call",
    ]
    assert kinds == whole[: len(kinds)]
    begun = sum(isinstance(piece, CallBegin) and piece.mcp is FREE for piece in SAID[:length])
    assert kinds.count("mcp_call") == begun  # cut or not, what was said of it is there


def test_what_is_said_after_a_call_waits_for_its_result() -> None:
    played = Played()
    played.take(played.assembler.feed(SAID))
    assert len(played.assembler.output) == 2
    for name, num_items in (("a", 4), ("b", 7), ("d", 8)):
        call = played.assembler.calling
        assert call is not None
        assert call.name == name
        played.take(played.assembler.finish_call(DONE))
        assert len(played.assembler.output) == num_items
    assert played.assembler.calling is None
    assert not played.assembler.wants_more  # the client and the user have to answer


def test_calls_beyond_the_limit_leave_no_item() -> None:
    played = Played(max_calls=1)
    played.take(played.assembler.feed([*SAID[2:5], *SAID[6:10], TextDelta("x")]))
    played.take(played.assembler.finish_call(DONE))
    assert (played.assembler.spent, played.assembler.wants_more) == (True, True)
    played.take(played.assembler.next_generation())
    assert not played.assembler.wants_more
    assert played.end() == [("mcp_call", "completed"), ("message", "completed")]


def test_a_listing_and_an_approved_call_can_be_cut() -> None:
    for steps in range(4):
        played = Played()
        if steps > 0:
            played.take(played.assembler.begin_listing("s"))
        if steps > 1:
            played.take(played.assembler.end_listing([McpTool(name="a", input_schema={})], None))
        if steps > 2:
            asked = McpApprovalRequest(id="mcpr_1", server_label="s", name="a", arguments="{}")
            played.take(played.assembler.begin_approved(asked))
        assert [kind for kind, _ in played.end()] == ["mcp_list_tools", "mcp_call"][: (0, 1, 1, 2)[steps]]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_how_pieces_are_grouped_does_not_matter(size: int) -> None:
    def items(size: int) -> list[Any]:
        played = Played()
        for start in range(0, len(SAID), size):
            played.take(played.assembler.feed(SAID[start : start + size]))
        while played.assembler.calling is not None:
            played.take(played.assembler.finish_call(DONE))
        played.end()
        return played.assembler.output

    whole, grouped = items(len(SAID)), items(size)
    for item in (*whole, *grouped):
        item.id = ""
        if isinstance(item, FunctionCall):
            item.call_id = ""
    assert grouped == whole


def test_white_space_does_not_end_a_call_and_text_does() -> None:
    played = Played()
    played.take(played.assembler.feed([CallBegin("a", mcp=FREE), CallDelta("{"), TextDelta("\n"), CallDelta("}")]))
    assert played.assembler.calling is None
    played.take(played.assembler.feed([TextDelta("x")]))
    assert played.assembler.calling is not None
    assert played.assembler.calling.text == "{}"
    played.take(played.assembler.finish_call(DONE))
    assert played.end() == [("mcp_call", "completed"), ("message", "incomplete")]


def test_malformed_markup_marks_the_item_that_it_is_around() -> None:
    played = Played()
    played.take(played.assembler.feed([CallBegin("a", mcp=FREE), Recovered(), CallEnd(), TextDelta("x")]))
    played.take(played.assembler.finish_call(DONE))
    played.end()
    assert [item.recovered for item in played.assembler.output] == [True, UNSET]


def test_what_is_discarded_is_a_call_and_what_was_said_after_it() -> None:
    played = Played()
    played.take(played.assembler.feed([TextDelta("kept"), *SAID[2:6]]))
    played.take(played.assembler.discard_open())
    assert [type(item) for item in played.assembler.output] == [Message]
    assert played.assembler.remembered == played.assembler.output


def test_an_approved_call_is_not_the_generations_own() -> None:
    played = Played(max_calls=1)
    asked = McpApprovalRequest(id="mcpr_1", server_label="s", name="a", arguments="{}")
    played.take(played.assembler.begin_approved(asked))
    played.take(played.assembler.finish_call(DONE))
    played.take(played.assembler.feed([TextDelta("x")]))
    assert (played.assembler.spent, played.assembler.wants_more) == (True, False)
