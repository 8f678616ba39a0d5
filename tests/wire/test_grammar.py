"""The order of events, against an oracle of its own: the language of docs/protocol.md 2.2 as a regular expression.

One letter stands for one kind of event:

    C created  Q queued  P in progress  K completed  N incomplete  L failed
    M R F      a message, a reasoning item, a function call is added    O the open item is done
    S B        a shell call is added; a patch, of which only the item itself is told
    c k l      a command added, delta, done
    t d D e    text part added, delta, text done, part done
    s u U v    summary part added, delta, text done, part done
    r x X y    reasoning part added, delta, text done, part done
    a A        arguments delta, arguments done
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import events as e
from realtime.wire import grammar
from realtime.wire.grammar import Grammar, GrammarError
from realtime.wire.items import (
    ApplyPatchCall,
    DeleteFile,
    FunctionCall,
    Message,
    OutputItem,
    OutputText,
    Reasoning,
    ReasoningText,
    Refusal,
    ShellAction,
    ShellCall,
    SummaryText,
)
from tests.support.fuzz import examples
from tests.support.responses import make_response

ITEM = r"M(?:td*De)+O|R(?:su*Uv|rx*Xy)*O|Fa*AO|S(?:ck*l)*O|BO"
LANGUAGE = re.compile(rf"C(?:[KNL]|Q[NL]|Q?P(?:{ITEM})*[KNL])")
ITEMS = [
    "MtDeO",
    "MtddDetdDeO",
    "RO",
    "RsuUvO",
    "RrxXyO",
    "RsUvrxxXyO",
    "RrXysUvO",
    "FAO",
    "FaaAO",
    "SO",
    "SckklO",
    "SclcklO",
    "BO",
]
LETTERS = "CQPKNLMRFSBOtdDesuUvrxXyaAckl"


class Writer:
    """Makes the event of a letter, with the ids of the item that is open."""

    def __init__(self) -> None:
        self.index = -1
        self.kind = "M"

    def event(self, letter: str, **other: Any) -> e.Event:
        if letter in "MRFSB":
            self.index += 1
            self.kind = letter
        index = other.get("output_index", self.index)
        item_id = other.get("item_id", f"item_{index}")
        items: dict[str, OutputItem] = {
            "M": Message(id=item_id, role="assistant", content=[]),
            "R": Reasoning(id=item_id),
            "F": FunctionCall(id=item_id, call_id="c", name="f", arguments=""),
            "S": ShellCall(id=item_id, call_id="c", action=ShellAction(commands=[])),
            "B": ApplyPatchCall(id=item_id, call_id="c", operation=DeleteFile(path="p")),
        }
        item = items[self.kind]
        at: dict[str, Any] = {"item_id": item_id, "output_index": index}
        part, summary = {**at, "content_index": 0}, {**at, "summary_index": 0}
        command = {**at, "command_index": 0}
        response = make_response()
        made: dict[str, Any] = {
            "C": lambda: e.ResponseCreated(response=response, epoch="x"),
            "Q": lambda: e.ResponseQueued(response=response),
            "P": lambda: e.ResponseInProgress(response=response),
            "K": lambda: e.ResponseCompleted(response=response),
            "N": lambda: e.ResponseIncomplete(response=response),
            "L": lambda: e.ResponseFailed(response=response),
            "M": lambda: e.OutputItemAdded(output_index=index, item=item),
            "O": lambda: e.OutputItemDone(output_index=index, item=item),
            "t": lambda: e.ContentPartAdded(**part, part=OutputText(text="")),
            "d": lambda: e.OutputTextDelta(**part, delta="x"),
            "D": lambda: e.OutputTextDone(**part, text="x"),
            "e": lambda: e.ContentPartDone(**part, part=OutputText(text="x")),
            "r": lambda: e.ContentPartAdded(**part, part=ReasoningText(text="")),
            "x": lambda: e.ReasoningTextDelta(**part, delta="x"),
            "X": lambda: e.ReasoningTextDone(**part, text="x"),
            "y": lambda: e.ContentPartDone(**part, part=ReasoningText(text="x")),
            "s": lambda: e.ReasoningSummaryPartAdded(**summary, part=SummaryText(text="")),
            "u": lambda: e.ReasoningSummaryTextDelta(**summary, delta="x"),
            "U": lambda: e.ReasoningSummaryTextDone(**summary, text="x"),
            "v": lambda: e.ReasoningSummaryPartDone(**summary, part=SummaryText(text="x")),
            "a": lambda: e.FunctionCallArgumentsDelta(**at, delta="x"),
            "A": lambda: e.FunctionCallArgumentsDone(**at, arguments="x", name="f"),
            "c": lambda: e.ShellCallCommandAdded(**command, command=""),
            "k": lambda: e.ShellCallCommandDelta(**command, delta="x"),
            "l": lambda: e.ShellCallCommandDone(**command, command="x"),
        }
        made["R"] = made["F"] = made["S"] = made["B"] = made["M"]
        event: e.Event = made[letter]()
        return event


def accepted(letters: str) -> bool:
    """The grammar takes the whole sequence and is sealed at its end."""
    writer, checker = Writer(), Grammar()
    try:
        for letter in letters:
            checker.accept(writer.event(letter))
    except GrammarError:
        return False
    return checker.sealed


LEGAL = [
    "CPMtdddDeOK", "CPK", "CK", "CL", "CN", "CQL", "CQN", "CQPK", "CPMtDeON", "CPROMtdDeOK", "CPRrxxXyOMtdDeOK",
    "CPRsuUvsUvrxXyOFaAOFAOK", "CPMtdDetdDeOK", "CPRrXyOMtdDeOFaaAORrxXyOMtDeOFAOL",
]  # fmt: skip
ILLEGAL = {
    "": "not a word", "P": "no beginning", "C": "no end", "CCK": "twice", "CPPK": "twice", "CPQK": "backwards",
    "CQK": "queued but never in progress", "CPQN": "backwards", "CQQPK": "twice", "CKK": "after the end",
    "CPKMtDeO": "after the end", "CMtDeOK": "not in progress", "CPMOK": "a message without a part",
    "CPMtDOK": "an open part", "CPMtdeOK": "no text done", "CPMdDeOK": "no part",
    "CPMtDdeOK": "a delta after the text", "CPMtDDeOK": "twice", "CPMtDeK": "an open item", "CPMtDeOOK": "twice",
    "CPMtDeMtDeOK": "an item in an item", "CPMrXyOK": "reasoning in a message", "CPRtDeOK": "text in reasoning",
    "CPRsXvOK": "one part ends as another", "CPRrxXvOK": "one part ends as another",
    "CPRrUyOK": "one part ends as another", "CPFOK": "a call without arguments done", "CPFAaOK": "a delta after all",
    "CPFAAOK": "twice", "CPMaAOK": "arguments in a message", "CPFtDeOK": "text in a call", "CPOK": "nothing open",
    "CPScOK": "an open command", "CPSkO": "no command", "CPBcklOK": "a command in a patch", "CPSccllOK": "twice",
    "CPFcklAOK": "a command in a call",
}  # fmt: skip


@pytest.mark.parametrize("letters", LEGAL)
def test_legal_sequences(letters: str) -> None:
    assert accepted(letters)
    assert LANGUAGE.fullmatch(letters), "the oracle disagrees"


@pytest.mark.parametrize("letters", ILLEGAL, ids=lambda letters: f"{letters}: {ILLEGAL[letters]}")
def test_illegal_sequences(letters: str) -> None:
    assert not accepted(letters)
    assert not LANGUAGE.fullmatch(letters), "the oracle disagrees"


@st.composite
def almost_legal(draw: st.DrawFn) -> str:
    """About a word of the language, with up to two letters taken out, put in, or exchanged."""
    items = draw(st.lists(st.sampled_from(ITEMS), max_size=3))
    letters = [*draw(st.sampled_from(["CP", "CQP", "C", "CQ"])), *"".join(items), *draw(st.sampled_from("KNL"))]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(letters)))
        letters[at : at + draw(st.integers(0, 1))] = draw(st.sampled_from(["", *LETTERS]))
    return "".join(letters)


@examples(60)
@given(almost_legal())
def test_the_grammar_is_the_language_of_the_protocol(letters: str) -> None:
    assert accepted(letters) == bool(LANGUAGE.fullmatch(letters))


def state_of(checker: Grammar) -> list[object]:
    return [getattr(checker, name) for name in Grammar.__slots__]


def allowed(checker: Grammar, letter: str, kind: type) -> bool:
    """What the tables say about the event of this letter, given that its ids are right."""
    event = Writer().event(letter)
    if checker._state is not grammar.ResponseState.ITEM:
        return type(event) in grammar._RESPONSE[checker._state]
    if letter == "O":
        return checker._item_state in grammar._CLOSABLE[kind]
    row: Any = grammar._ITEM[kind][checker._item_state]
    part = getattr(event, "part", None)
    return type(event) in row or (type(event), type(part)) in row


@examples(24)
@given(st.lists(st.integers(0, 1000), max_size=30))
def test_at_every_step_exactly_what_the_tables_allow(choices: list[int]) -> None:
    """A random walk over legal events; at each of its stations all events are tried."""
    writer, checker = Writer(), Grammar()
    kinds = {"M": Message, "R": Reasoning, "F": FunctionCall, "S": ShellCall, "B": ApplyPatchCall}
    for choice in choices:
        legal = [letter for letter in LETTERS if allowed(checker, letter, kinds[writer.kind])]
        for letter in set(LETTERS) - set(legal):
            trial = Writer()
            trial.index, trial.kind = writer.index, writer.kind
            before = state_of(checker)
            with pytest.raises(GrammarError):
                checker.accept(trial.event(letter))
            assert state_of(checker) == before
        if not legal:
            assert checker.sealed
            return
        checker.accept(writer.event(legal[choice % len(legal)]))


WRONG_IDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "the first item is not the first": ("CP", "M", {"output_index": 1}),
    "an item leaves one out": ("CPMtDeO", "F", {"output_index": 2}),
    "an item comes again": ("CPMtDeO", "M", {"output_index": 0}),
    "another item's delta": ("CPMt", "d", {"item_id": "item_7"}),
    "another index's delta": ("CPMt", "d", {"output_index": 1, "item_id": "item_0"}),
    "another item's part": ("CPM", "t", {"item_id": "item_7"}),
    "another item is done": ("CPMtDe", "O", {"item_id": "item_7"}),
    "another index is done": ("CPMtDe", "O", {"output_index": 1, "item_id": "item_0"}),
    "another call's arguments": ("CPF", "A", {"item_id": "item_7"}),
}


@pytest.mark.parametrize(("before", "letter", "ids"), WRONG_IDS.values(), ids=WRONG_IDS)
def test_ids_and_indexes_must_be_those_of_the_open_item(before: str, letter: str, ids: dict[str, Any]) -> None:
    writer, checker = Writer(), Grammar()
    for one in before:
        checker.accept(writer.event(one))
    state = state_of(checker)
    with pytest.raises(GrammarError):
        checker.accept(writer.event(letter, **ids))
    assert state_of(checker) == state


def test_a_part_of_a_kind_that_no_table_has_is_refused() -> None:
    writer, checker = Writer(), Grammar()
    for letter in "CPM":
        checker.accept(writer.event(letter))
    with pytest.raises(GrammarError):
        checker.accept(e.ContentPartAdded(item_id="item_0", output_index=0, content_index=0, part=Refusal(refusal="")))


def test_the_error_says_where_and_what() -> None:
    with pytest.raises(GrammarError, match="ResponseCompleted is not legal in state 'idle'"):
        Grammar().accept(Writer().event("K"))
    writer, checker = Writer(), Grammar()
    for letter in "CPM":
        checker.accept(writer.event(letter))
    with pytest.raises(GrammarError, match="OutputTextDone is not legal in a Message in state 'bare'"):
        checker.accept(writer.event("D"))
