"""Pieces to events: whatever a parser says, the events are legal and agree with each other (E1-E4, E6, E7, E10)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from realtime.dialects.base import (
    BlockEnd,
    CallBegin,
    CallDelta,
    CallEnd,
    MessageBegin,
    Piece,
    ReasoningBegin,
    ReasoningDelta,
    Recovered,
    TextDelta,
)  # fmt: skip
from realtime.runs.assembler import Assembler
from realtime.runs.open_items import ReasoningShown
from realtime.wire import events as e
from realtime.wire.grammar import Grammar
from realtime.wire.items import (
    ContentPart,
    FunctionCall,
    ItemStatus,
    Message,
    OutputItem,
    OutputText,
    Reasoning,
    ShellCall,
)
from tests.support.fuzz import examples
from tests.support.responses import make_response

T, R, D, END = TextDelta, ReasoningDelta, CallDelta, CallEnd()
CALL = [CallBegin("f"), D('{"a":'), D("1}"), END]


def run(feeds: Iterable[list[Piece]], status: ItemStatus = "completed") -> tuple[list[e.Event], list[OutputItem]]:
    """All events of the items, checked against the grammar, and the output."""
    ids = count()
    assembler = Assembler(lambda prefix: f"{prefix}_{next(ids)}", ReasoningShown(raw=True))
    events = [event for pieces in feeds for event in assembler.feed(pieces)]
    events += assembler.close(status)
    grammar = Grammar()
    response = make_response()
    for event in (
        e.ResponseCreated(response=response, epoch="x"),
        e.ResponseInProgress(response=response),
        *events,
        e.ResponseCompleted(response=response),
    ):
        grammar.accept(event)
    assert grammar.sealed
    return events, assembler.output


def parts_of(item: Message) -> list[ContentPart]:
    assert not isinstance(item.content, str)
    return item.content


def short(item: OutputItem) -> str:
    """An item in a few letters: what it is and what it says."""
    match item:
        case Message():
            (part,) = parts_of(item)
            assert isinstance(part, OutputText)
            return f"T:{part.text}"
        case Reasoning():
            assert item.content
            return f"R:{item.content[0].text}"
        case FunctionCall():
            return f"{item.name}:{item.arguments}"
        case _:
            raise AssertionError(item)


def output(*pieces: Piece, status: ItemStatus = "completed") -> list[str]:
    return [short(item) for item in run([list(pieces)], status)[1]]


ITEMS: dict[str, tuple[list[Piece], list[str]]] = {
    "nothing": ([], []),
    "text": ([T("Hel"), T("lo")], ["T:Hello"]),
    "reasoning, text": ([R("a"), R("b"), T("c")], ["R:ab", "T:c"]),
    "any order, more than once": (
        [R("a"), *CALL, R("b"), T("c"), *CALL, T("d")],
        ["R:a", 'f:{"a":1}', "R:b", "T:c", 'f:{"a":1}', "T:d"],
    ),
    "two calls at once": ([*CALL, CallBegin("g"), END], ['f:{"a":1}', "g:"]),
    "a call that the next one ends": ([CallBegin("f"), D("x"), CallBegin("g"), D("y")], ["f:x", "g:y"]),
    "layout between reasoning and a call is no item": ([R("a"), T("\n"), T(" \n"), *CALL], ["R:a", 'f:{"a":1}']),
    "layout between calls is no item": ([*CALL, T("\n"), *CALL], ['f:{"a":1}'] * 2),
    "layout between reasoning and more of it": ([R("a"), T(" "), R("b"), T("c")], ["R:ab", "T:c"]),
    "layout at the end is no item": ([*CALL, T("\n")], ['f:{"a":1}']),
    "layout after reasoning is no item": ([R("a"), T("\n\n")], ["R:a"]),
    "white space before text belongs to it": ([T("\n"), T(" "), T("a")], ["T:\n a"]),
    "white space before text belongs to it, after reasoning": ([R("a"), T("\n\n"), T("b")], ["R:a", "T:\n\nb"]),
    "and in one piece": ([R("a"), T("\n\nb")], ["R:a", "T:\n\nb"]),
    "and after a call": ([*CALL, T("\n"), T("b")], ['f:{"a":1}', "T:\nb"]),
    "white space inside and after text belongs to it": ([T("a"), T(" "), T("b"), T("\n")], ["T:a b\n"]),
    "white space before a call does not come back after it": ([T(" "), *CALL, T("b")], ['f:{"a":1}', "T:b"]),
    "white space is all there is: then it is the answer": ([T(" "), T("\n")], ["T: \n"]),
}  # fmt: skip


@pytest.mark.parametrize(("pieces", "items"), ITEMS.values(), ids=ITEMS)
def test_pieces_become_items(pieces: list[Piece], items: list[str]) -> None:
    assert output(*pieces) == items


def test_the_minimal_transcript() -> None:
    """docs/protocol.md 2.2."""
    events, _ = run([[T("Hel")], [T("lo")]])
    assert [type(event).__name__ for event in events] == [
        "OutputItemAdded", "ContentPartAdded", "OutputTextDelta", "OutputTextDelta", "OutputTextDone",
        "ContentPartDone", "OutputItemDone",
    ]  # fmt: skip
    added, part = events[:2]
    assert isinstance(added, e.OutputItemAdded)
    assert added.item == Message(id="msg_0", status="in_progress", role="assistant", content=[])
    assert isinstance(part, e.ContentPartAdded)
    assert part.part == OutputText(text="", annotations=[], logprobs=[])


def test_a_cut_answer_is_incomplete_and_what_was_finished_before_is_not() -> None:
    cuts: list[tuple[list[Piece], list[str]]] = [
        ([R("a"), T("b")], ["completed", "incomplete"]),
        ([R("a")], ["incomplete"]),
        ([T("a"), CallBegin("f"), D("{")], ["completed", "incomplete"]),
        ([T("a"), *CALL], ["completed", "completed"]),
        ([T(" ")], ["incomplete"]),
    ]
    for cut, statuses in cuts:
        events, items = run([cut], "incomplete")
        assert [item.status for item in items] == statuses
        assert [event.item.status for event in events if isinstance(event, e.OutputItemDone)] == statuses


def test_log_probabilities_of_all_pieces_arrive_also_of_white_space_that_was_held_back() -> None:
    events, items = run([[T(" ", [1]), T("a", [2]), T("b", [3])]])
    deltas = [event for event in events if isinstance(event, e.OutputTextDelta)]
    assert [delta.logprobs for delta in deltas] == [[1], [2], [3]]
    (done,) = [event for event in events if isinstance(event, e.OutputTextDone)]
    assert isinstance(items[0], Message)
    (part,) = parts_of(items[0])
    assert isinstance(part, OutputText)
    assert done.logprobs == part.logprobs == [1, 2, 3]


@pytest.mark.parametrize("bad", [D("x"), END, Piece()], ids=["arguments", "end", "unknown"])
@pytest.mark.parametrize("before", [[], [R("a")], [T("a")], CALL], ids=["first", "reasoning", "text", "after a call"])
def test_a_bug_of_a_parser_raises_and_what_came_before_it_can_be_closed(before: list[Piece], bad: Piece) -> None:
    assembler = Assembler(lambda prefix: prefix)
    seen: list[e.Event] = []
    with pytest.raises(AssertionError):
        seen.extend(assembler.feed([*before, bad, T("never")]))
    grammar = Grammar()
    response = make_response()
    start = [e.ResponseCreated(response=response, epoch="x"), e.ResponseInProgress(response=response)]
    for event in (*start, *seen, *assembler.close("incomplete"), e.ResponseFailed(response=response)):
        grammar.accept(event)
    assert len(assembler.output) == (1 if before else 0)


# -- tools with items of their own

SHELL = CallBegin("shell", kind="shell")
OWN: dict[str, tuple[list[Piece], ItemStatus, list[str], str]] = {
    "a shell call": (
        [SHELL, D('{"commands": ["l'), D('s", "pwd"]}'), END], "completed",
        ["OutputItemAdded", *[f"ShellCallCommand{what}" for what in ("Added", "Delta", "Done")] * 2, "OutputItemDone"],
        "sh_0",
    ),
    "a shell call of nothing": (
        [SHELL, D('{"commands": []}'), END], "completed", ["OutputItemAdded", "OutputItemDone"], "sh_0",
    ),
    "a local shell call": (
        [CallBegin("local_shell", kind="local_shell"), D('{"command": ["ls"]}')], "completed",
        ["OutputItemAdded", "OutputItemDone"], "lsh_0",
    ),
    "a patch": (
        [CallBegin("apply_patch", kind="apply_patch"), D('{"type": "delete_file", "path": "p"}'), END], "completed",
        ["OutputItemAdded", "OutputItemDone"], "apc_0",
    ),
    "a search": (
        [CallBegin("tool_search", kind="tool_search"), D("{}"), END], "completed",
        ["OutputItemAdded", "OutputItemDone"], "tsc_0",
    ),
    "what does not fit is a function's": (
        [SHELL, D('{"cmd": '), D("1}"), END], "completed",
        ["OutputItemAdded", "FunctionCallArgumentsDelta", "FunctionCallArgumentsDone", "OutputItemDone"], "fc_0",
    ),
    "and what was cut": (
        [SHELL, D('{"commands": ["ls"]}')], "incomplete",
        ["OutputItemAdded", "FunctionCallArgumentsDelta", "FunctionCallArgumentsDone", "OutputItemDone"], "fc_0",
    ),
    "and what was cut before it began": (
        [SHELL], "incomplete", ["OutputItemAdded", "FunctionCallArgumentsDone", "OutputItemDone"], "fc_0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pieces", "status", "kinds", "item_id"), OWN.values(), ids=OWN)
def test_a_tool_with_an_item_of_its_own(
    pieces: list[Piece], status: ItemStatus, kinds: list[str], item_id: str
) -> None:
    events, (item,) = run([pieces], status)
    assert [type(event).__name__ for event in events] == kinds
    assert (item.id, item.status) == (item_id, status)
    first, last = events[0], events[-1]
    assert isinstance(first, e.OutputItemAdded)
    assert isinstance(last, e.OutputItemDone)
    assert (type(first.item), first.item.id, first.item.status) == (type(item), item_id, "in_progress")
    assert last.item == item
    if isinstance(item, ShellCall):
        assert isinstance(first.item, ShellCall)
        assert first.item.action.commands == []
        told = [event for event in events if isinstance(event, e.ShellCallCommandDone)]
        assert [(event.command_index, event.command) for event in told] == list(enumerate(item.action.commands))
        assert [event.delta for event in events if isinstance(event, e.ShellCallCommandDelta)] == item.action.commands
    if isinstance(item, FunctionCall):
        assert (item.name, item.arguments) == ("shell", "".join(p.text for p in pieces if isinstance(p, D)))


def test_a_call_that_the_next_thing_ends_comes_before_it() -> None:
    _, items = run([[SHELL, D('{"commands": ["ls"]}'), T("text"), *CALL]])
    assert [type(item) for item in items] == [ShellCall, Message, FunctionCall]


# -- whatever comes

WORDS = st.sampled_from(["a", "bc ", " d", "\n", "  ", "\n\n", "e\nf", "", "\u00e9"])


@st.composite
def parsed(draw: st.DrawFn) -> list[Piece]:
    """Any sequence of pieces that a parser may say: arguments and ends only while a call is open."""
    pieces: list[Piece] = []
    in_call = False
    for kind in draw(st.lists(st.sampled_from("TTTRBDDE"), max_size=25)):
        match kind:
            case "T":
                text = draw(WORDS)
                in_call = in_call and not text.strip()
                pieces.append(T(text, [len(pieces)]))
            case "R":
                in_call = False
                pieces.append(R(draw(WORDS)))
            case "B":
                in_call = True
                pieces.append(CallBegin(draw(st.sampled_from("fg"))))
            case "D" if in_call:
                pieces.append(D(draw(WORDS)))
            case "E" if in_call:
                in_call = False
                pieces.append(END)
    return pieces


def agree(events: list[e.Event], items: list[OutputItem]) -> None:
    """Invariants 3 and 4: ids, indexes, and one text wherever it is said."""
    deltas: dict[Any, str] = {}
    added: dict[int, Any] = {}
    closed: list[OutputItem] = []
    for event in events:
        match event:
            case e.OutputItemAdded():
                assert event.output_index == len(added) == len(closed)
                assert event.item.status == "in_progress"
                added[event.output_index] = event.item
            case e.OutputTextDelta() | e.ReasoningTextDelta() | e.FunctionCallArgumentsDelta():
                deltas[event.item_id] = deltas.get(event.item_id, "") + event.delta
            case e.OutputTextDone() | e.ReasoningTextDone():
                assert event.text == deltas.get(event.item_id, "")
            case e.FunctionCallArgumentsDone():
                assert event.arguments == deltas.get(event.item_id, "")
                assert event.name == added[event.output_index].name
            case e.ContentPartDone():
                assert event.part.text == deltas.get(event.item_id, "")  # type: ignore[union-attr]
            case e.OutputItemDone():
                first = added[event.output_index]
                assert (type(first), first.id) == (type(event.item), event.item.id)
                assert getattr(first, "call_id", None) == getattr(event.item, "call_id", None)
                assert short(event.item).partition(":")[2] == deltas.get(event.item.id, "")
                closed.append(event.item)
        if isinstance(event, e.InItem):
            assert event.item_id == added[event.output_index].id
            assert getattr(event, "content_index", 0) == 0
    assert closed == items
    ids = [item.id for item in items]
    assert len(set(ids)) == len(ids)


@examples(60)
@given(parsed(), st.sampled_from(["completed", "incomplete"]), st.data())
def test_any_pieces_in_any_feeds(pieces: list[Piece], status: ItemStatus, data: st.DataObject) -> None:
    events, items = run([pieces], status)
    agree(events, items)
    assert [item.status for item in items[:-1]] == ["completed"] * len(items[:-1])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pieces)), max_size=4)))
    feeds = [pieces[start:end] for start, end in zip([0, *cuts], [*cuts, len(pieces)], strict=True)]
    assert run(feeds, status) == (events, items), "how pieces are grouped must not matter"
    # nothing that was said is lost, but for white space between items
    said = "".join(getattr(piece, "text", "") or getattr(piece, "arguments", "") for piece in pieces)
    kept = "".join(short(item).partition(":")[2] for item in items)
    assert "".join(kept.split()) == "".join(said.split())


@examples(32)
@given(parsed(), st.data())
def test_how_a_text_is_chunked_does_not_change_it(pieces: list[Piece], data: st.DataObject) -> None:
    """The engine merges tokens when it is busy; the answer must not depend on how busy it was."""
    split: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, T):
            at = data.draw(st.integers(0, len(piece.text)))
            split += [T(piece.text[:at]), T(piece.text[at:])]
        else:
            split.append(piece)
    assert output(*split) == output(*pieces)


def test_a_dialect_that_marks_messages_gets_an_item_for_each() -> None:
    pieces = [
        ReasoningBegin(), R("a"), BlockEnd(), ReasoningBegin(), BlockEnd(),
        MessageBegin("commentary"), T(" "), BlockEnd(), MessageBegin("commentary"), T("b"), BlockEnd(),
        MessageBegin("final_answer"), T("c"), Recovered(),
    ]  # fmt: skip
    _, items = run([pieces], "incomplete")
    assert [(short(item), item.status) for item in items] == [
        ("R:a", "completed"), ("R:", "completed"), ("T: ", "completed"), ("T:b", "completed"), ("T:c", "incomplete"),
    ]  # fmt: skip
    messages = [item for item in items if isinstance(item, Message)]
    assert [message.phase for message in messages] == ["commentary", "commentary", "final_answer"]
    assert [item.recovered for item in items] == [UNSET, UNSET, UNSET, UNSET, True]


def test_a_mark_belongs_to_one_item() -> None:
    _, items = run([[MessageBegin(), Recovered(), T("a"), BlockEnd(), MessageBegin(), T("b")]])
    assert [item.recovered for item in items] == [True, UNSET]
