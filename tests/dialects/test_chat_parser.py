"""The repairs of dialects.chat_parser, each with a parser that needs it; and the way past the parser."""

# ruff: noqa: E501 (tables)
from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.context.tools import ToolSet, tool_set
from realtime.dialects.base import CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.dialects.chat_parser import ChatParser, WholeCallParser
from realtime.engine.base import FinishReason, TokenChunk, TokenLogprob
from realtime.engine.families import Family
from realtime.engine.parsing import CallFragment, Parsed
from tests.support.play import TOOLS, Model

TOOL_SET = tool_set([*TOOLS, {"type": "namespace", "name": "home", "tools": [{"type": "function", "name": "lamp"}]}],
                    None, None)  # fmt: skip


class FakeParser:
    """Says what it is told to, one list for each time that it is fed."""

    constraint = None
    reasoning_ended: bool | None = None
    skip_special_tokens = True

    def __init__(self, *says: Sequence[Parsed] | Parsed | Exception) -> None:
        self._says = list(says)
        self.fed: list[tuple[str, list[int], bool, bool]] = []

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False, plain: bool = False) -> list[Parsed]:
        """See OutputParser."""
        self.fed.append((text, list(token_ids), finished, plain))
        says = self._says.pop(0) if self._says else ()
        if isinstance(says, Exception):
            raise says
        return [says] if isinstance(says, Parsed) else list(says)

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return len(token_ids)


def call(index: int, name: str | None = None, arguments: str = "") -> Parsed:
    """A part of a call."""
    return Parsed(calls=[CallFragment(index, name, arguments)])


def pieces(*says: Sequence[Parsed] | Parsed | Exception, tools: ToolSet = TOOL_SET, **options: Any) -> list[Piece]:
    """What comes out when the parser says this, and then nothing more."""
    parser = ChatParser(FakeParser(*says), tools, quiet=False, **options)
    fed = [piece for number, _ in enumerate(says) for piece in parser.feed(TokenChunk(f"<{number}>", [number]))]
    return [*fed, *parser.close()]


def joined(some: Iterable[Piece]) -> list[Any]:
    """Pieces with neighbours of a kind put together."""
    out: list[Any] = []
    for piece in some:
        last = out[-1] if out else None
        match piece, last:
            case (TextDelta(), TextDelta()):
                out[-1] = TextDelta(last.text + piece.text, last.logprobs + piece.logprobs)
            case (ReasoningDelta(), ReasoningDelta()):
                out[-1] = ReasoningDelta(last.text + piece.text)
            case (CallDelta(), CallDelta()):
                out[-1] = CallDelta(last.arguments + piece.arguments)
            case _:
                out.append(piece)
    return out


WEATHER, END = CallBegin("get_weather"), CallEnd()
REPAIRS: dict[str, tuple[list[Any], list[Piece]]] = {
    "layout around reasoning is not content": (
        [Parsed(reasoning="\n"), Parsed(reasoning="a\n"), Parsed(reasoning=" b \n"), Parsed(text="\n\n"), Parsed("", "c")],
        [ReasoningDelta("a\n b"), TextDelta("c")],
    ),
    "white space between calls is no text": (
        [call(0, "anything", "{}"), Parsed(text="\n"), call(1, "get_weather", "{}")],
        [CallBegin("anything"), CallDelta("{}"), END, WEATHER, CallDelta("{}"), END],
    ),
    "arguments before the name wait": (
        [call(0, None, '{"city"'), call(0, "get_weather", ': "x"}')],
        [WEATHER, CallDelta('{"city": "x"}'), END],
    ),
    "a call begins once though its name comes again": (
        [call(0, "get_weather", "{"), call(0, "get_weather", "}")], [WEATHER, CallDelta("{}"), END],
    ),
    "a call without a name is none": ([call(0, None, "{}"), call(0)], []),
    "a name ends where a special token begins": ([call(0, "get_weather<|channel|>x ", "{}")], [WEATHER, CallDelta("{}"), END]),
    "an unknown name is passed on": ([call(0, "nope", "{}")], [CallBegin("nope"), CallDelta("{}"), END]),
    "a name with its namespace is taken apart": ([call(0, "home__lamp", "{}")], [CallBegin("lamp", "home"), CallDelta("{}"), END]),
    "a new index closes the call before it": (
        [Parsed(calls=[CallFragment(0, "get_weather", "{}"), CallFragment(1, "anything", "{}")])],
        [WEATHER, CallDelta("{}"), END, CallBegin("anything"), CallDelta("{}"), END],
    ),
    "fragments of two calls that alternate": (
        [call(0, "get_weather", '{"a"'), call(1, "anything", "{"), call(0, None, ": 1}"), call(1, None, "}")],
        [WEATHER, CallDelta('{"a": 1}'), END, CallBegin("anything"), CallDelta("{}"), END],
    ),
    "a call that waits for one that never ends": (
        [call(0, "get_weather", '{"a"'), call(1, "anything", "{}"), Parsed(text="x")],
        [WEATHER, CallDelta('{"a"'), END, CallBegin("anything"), CallDelta("{}"), END, TextDelta("x")],
    ),
    "the rest of a call comes before text that came with it": (
        [call(0, "get_weather", "{"), Parsed(text="\nDone", calls=[CallFragment(0, None, "}")])],
        [WEATHER, CallDelta("{}"), END, TextDelta("Done")],
    ),
    "a call without arguments has an empty object": ([call(0, "anything")], [CallBegin("anything"), CallDelta("{}"), END]),
    "a custom tool without arguments has no input": ([call(0, "note")], [CallBegin("note", custom=True), END]),
    "arguments do not begin with a colon": ([call(0, "get_weather", ": "), call(0, None, "{}")], [WEATHER, CallDelta("{}"), END]),
    "a custom tool's input is decoded": (
        [call(0, "note", '{"inp'), call(0, None, 'ut": "a\\'), call(0, None, 'nb"}')],
        [CallBegin("note", custom=True), CallDelta("a\nb"), END],
    ),
    "what a custom tool was given without an input": (
        [call(0, "note", '{"text": "a"}')], [CallBegin("note", custom=True), CallDelta('{"text": "a"}'), END],
    ),
    "a call that was cut stays open": ([call(0, "get_weather", '{"ci')], [WEATHER, CallDelta('{"ci')]),
    "a parser that raises": (
        [Parsed(text="a"), RuntimeError("bug"), Parsed(text="never")], [TextDelta("a<1><2>")],
    ),
    "a parser that raises in a call": (
        [call(0, "get_weather", "{}"), RuntimeError("bug")], [WEATHER, CallDelta("{}"), END, TextDelta("<1>")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPAIRS)
def test_repair(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    says, want = REPAIRS[name]
    assert joined(pieces(*says)) == want


def test_a_parser_that_raises_at_the_end_takes_nothing_back() -> None:
    parser = ChatParser(FakeParser(Parsed(text="a"), RuntimeError("bug")), TOOL_SET, quiet=False)
    assert [*parser.feed(TokenChunk("a", [0])), *parser.close()] == [TextDelta("a")]


def test_only_the_first_of_parallel_calls_is_kept_when_they_are_not_allowed() -> None:
    one = tool_set(TOOLS, None, False)
    says = [
        call(0, "get_weather", "{"),
        call(0, None, "}"),
        call(1, "anything", "{}"),
        call(1, None, ""),
        call(2, "note"),
    ]
    assert joined(pieces(*says, tools=one)) == [WEATHER, CallDelta("{}"), END]


def test_special_tokens_are_no_part_of_what_was_said() -> None:
    says = [Parsed(text="a<0>b"), call(0, "get_weather", '{"a": "<0>"}'), Parsed(reasoning="x<0>")]
    parser = ChatParser(FakeParser(*says), TOOL_SET, quiet=True, specials={0: "<0>", 9: "<9>"})
    fed = [piece for number in range(3) for piece in parser.feed(TokenChunk("-", [number]))]
    assert joined(fed) == [TextDelta("ab"), WEATHER, CallDelta('{"a": ""}'), END, ReasoningDelta("x")]


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    says = [Parsed(reasoning="a\ud83d", text="\udc00b"), call(0, "get_weather", '{"a": "\ud83d😀"}')]
    assert joined(pieces(*says)) == [
        ReasoningDelta("a\ufffd"),
        TextDelta("\ufffdb"),
        WEATHER,
        CallDelta('{"a": "\ufffd😀"}'),
        END,
    ]


def test_arguments_that_are_nested_without_end_end_nothing() -> None:
    deep = "[" * 100_000
    assert joined(pieces(call(0, "get_weather", deep), call(1, "anything", "{}")))[:2] == [WEATHER, CallDelta(deep)]


def test_what_looks_like_a_special_token_that_was_not_generated_is_text() -> None:
    assert pieces(Parsed(text="write <9>"), specials={9: "<9>"}) == [TextDelta("write <9>")]


def test_a_special_token_without_text_reaches_the_parser_at_once() -> None:
    fake = FakeParser(Parsed(reasoning="a"), Parsed(), Parsed(text="b"))
    parser = ChatParser(fake, TOOL_SET, quiet=True, specials={7: "</think>"})
    got = [p for text, ids in (("a", [1]), ("", [7]), ("b", [2])) for p in parser.feed(TokenChunk(text, ids))]
    assert got == [ReasoningDelta("a"), TextDelta("b")]
    assert [ids for _, ids, _, _ in fake.fed] == [[1], [7], [2]]


def test_text_carries_its_logprobs_once() -> None:
    logprobs = [[TokenLogprob(1, "a", -0.5), TokenLogprob(2, "b", -1.0)]]
    parser = ChatParser(FakeParser([Parsed(text="a"), Parsed(text="b")]), TOOL_SET, quiet=False, num_top_logprobs=1)
    first, second = parser.feed(TokenChunk("<ab>", [1], logprobs=logprobs))
    assert isinstance(first, TextDelta)
    assert [entry["token"] for entry in first.logprobs] == ["a"]
    assert len(first.logprobs[0]["top_logprobs"]) == 1
    assert second == TextDelta("b")


def test_everything_after_the_reasoning_is_the_input_of_a_tool_with_a_grammar() -> None:
    grammar = {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}}
    tools = tool_set([grammar], {"type": "custom", "name": "sql"}, None)
    assert tools.only is not None
    parser = WholeCallParser(FakeParser(Parsed(reasoning="r"), Parsed(text="aa"), Parsed(text="a")), tools, tools.only)
    ends = (None, None, FinishReason.STOP)
    got = [piece for end in ends for piece in parser.feed(TokenChunk("-", [1], end))]
    assert joined([*got, *parser.close()]) == [
        ReasoningDelta("r"),
        CallBegin("sql", custom=True),
        CallDelta("aaa"),
        END,
    ]
    assert parser.constraint is not None
    assert (parser.constraint.kind, parser.constraint.value) == ("regex", "a+")


@pytest.mark.parametrize(("reasoning_ended", "called"), [(True, True), (False, False), (None, False)])
def test_a_model_that_ends_in_its_reasoning_has_given_no_input(reasoning_ended: bool | None, called: bool) -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "a*"}
    tools = tool_set([{"type": "custom", "name": "sql", "format": grammar}], "required", None)
    assert tools.only is not None
    fake = FakeParser()
    fake.reasoning_ended = reasoning_ended
    parser = WholeCallParser(fake, tools, tools.only)
    got = [*parser.feed(TokenChunk("", [1], FinishReason.STOP)), *parser.close()]
    assert got == ([CallBegin("sql", custom=True), END] if called else [])


def test_what_a_model_says_behind_an_input_that_is_over_is_said_beside_it() -> None:
    """It goes on where `ignore_eos` lets it."""
    grammar = {"type": "grammar", "syntax": "regex", "definition": "a+"}
    tools = tool_set([{"type": "custom", "name": "sql", "format": grammar}], "required", None)
    assert tools.only is not None
    says = [Parsed(text="aa"), Parsed(reasoning="r"), Parsed(text="b")]
    parser = WholeCallParser(FakeParser(*says), tools, tools.only)
    got = [piece for end in (None, None, FinishReason.STOP) for piece in parser.feed(TokenChunk("-", [1], end))]
    assert joined([*got, *parser.close()]) == [
        CallBegin("sql", custom=True),
        CallDelta("aa"),
        END,
        ReasoningDelta("r"),
        TextDelta("b"),
    ]


# -- past the parser


def test_ordinary_text_goes_past_the_parser_and_reaches_it_with_the_next_markup() -> None:
    fake = FakeParser(Parsed(text="a"), Parsed(text="bc"), Parsed(text="<"))
    parser = ChatParser(fake, TOOL_SET, quiet=True)
    got = [p for number, text in enumerate("abc<") for p in parser.feed(TokenChunk(text, [number]))]
    assert got == [TextDelta("a"), TextDelta("b"), TextDelta("c"), TextDelta("<")]
    assert fake.fed == [("a", [0], False, False), ("bc", [1, 2], False, True), ("<", [3], False, False)]


def test_a_parser_that_keeps_white_space_to_itself_loses_no_text() -> None:
    says = [Parsed(reasoning="a"), Parsed(reasoning=" b"), Parsed(text="c")]
    parser = ChatParser(FakeParser(*says), TOOL_SET, quiet=True)
    got = [p for text in ("a", " b\n", "</think>c") for p in parser.feed(TokenChunk(text, [0]))]
    assert joined(got) == [ReasoningDelta("a b"), TextDelta("c")]


_MODELS: dict[str, Model] = {}
_PART = st.sampled_from(
    ["<think>", "\n", "</think>", "a b", " <", "<<", ":", "{x}", "é🙂", "`", "|", "<tool_call>", "</tool_call>",
     '\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n', '{"name": "note", "arguments": {"input": "a\\n"}}']
)  # fmt: skip


def _real(quiet: bool) -> ChatParser:
    """Qwen3's reasoning and Hermes's calls."""
    if not _MODELS:
        _MODELS["qwen3"] = Model(Family("qwen3", "hermes"))
    model = _MODELS["qwen3"]
    from realtime.wire.requests import ResponseCreate

    parser = model.dialect.parser(ResponseCreate(tools=TOOLS), TOOL_SET, model.dialect.render())
    parser._quiet = quiet
    return parser


@settings(max_examples=150)
@given(parts=st.lists(_PART, max_size=12), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_the_way_past_the_parser_says_what_the_parser_says(parts: list[str], sizes: list[int]) -> None:
    quiet, loud = _real(True), _real(False)
    model = _MODELS["qwen3"]
    stream = [(model.tokenizer.decode([token]), token) for token in model.tokens("".join(parts))]
    if any("\ufffd" in text for text, _ in stream):
        return  # a character in several tokens: test_event_sequences has those
    at, got = 0, {quiet: list[Piece](), loud: list[Piece]()}
    while at < len(stream):
        size = sizes[at % len(sizes)]
        for parser, said in got.items():
            text = "".join(text for text, _ in stream[at : at + size])
            said += parser.feed(TokenChunk(text, [token for _, token in stream[at : at + size]]))
        at += size
    assert joined([*got[quiet], *quiet.close()]) == joined([*got[loud], *loud.close()])


def test_arguments_of_a_real_call_are_json() -> None:
    parser = _real(True)
    text = '<think></think><tool_call>{"name": "get_weather", "arguments": {"city": "x"}}</tool_call>'
    said = joined([*parser.feed(TokenChunk(text, _MODELS["qwen3"].tokens(text))), *parser.close()])
    assert json.loads(said[1].arguments) == {"city": "x"}
