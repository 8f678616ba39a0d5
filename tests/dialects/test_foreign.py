"""Parsers of the engine's own: they are taken at their word, but no call is complete that is no JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime.context.request_tools import tool_set
from realtime.dialects.base import CallBegin, CallCut, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.dialects.foreign import ForeignReader
from realtime.dialects.reader import Reading
from realtime.engine.base import FinishReason, TokenChunk, TokenLogprob
from realtime.engine.parsing import CallFragment, Holds, Parsed

F: dict[str, Any] = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
NOTE: dict[str, Any] = {"type": "custom", "name": "note"}
TOOLS = tool_set([F, NOTE], None, None)


class Told:
    """A parser that says what it was told to, chunk by chunk."""

    holds = Holds(auto=False, forced=False)
    reasoning_ended: bool | None = None
    skip_special_tokens = True

    def __init__(self, *said: list[Parsed] | Exception) -> None:
        self._said = list(said)

    def open(self, *_: Any) -> Told:
        """See Parsers."""
        return self

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False) -> list[Parsed]:
        """See OutputParser."""
        said = self._said.pop(0) if self._said else []
        if isinstance(said, Exception):
            raise said
        return said

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return len(token_ids)


def pieces(*said: list[Parsed] | Exception, tools: Any = TOOLS, text: str = "x") -> list[Piece]:
    parser = ForeignReader(Told(*said)).open(Reading(tools=tools))
    got = [piece for _ in said for piece in parser.feed(TokenChunk(text, [1]))]
    return [*got, *parser.feed(TokenChunk("", [], FinishReason.STOP)), *parser.close()]


def call(index: int, name: str | None, arguments: str) -> Parsed:
    return Parsed(calls=[CallFragment(index, name, arguments)])


def test_what_it_says_is_said() -> None:
    said = [Parsed(reasoning="r", text="t")], [call(0, "f", '{"a"'), call(0, None, ": 1}")], [Parsed(text="u")]
    assert pieces(*said) == [
        ReasoningDelta("r"), TextDelta("t"), CallBegin("f"), CallDelta('{"a"'), CallDelta(": 1}"), CallEnd(),
        TextDelta("u"),
    ]  # fmt: skip


def test_no_call_is_complete_that_is_not_an_object() -> None:
    for arguments in ('{"a": ', "[]", '{"a": 1}}', "x", '{"a": NaN}'):
        assert pieces([call(0, "f", arguments)])[-1] == CallCut()
    assert pieces([call(0, "f", "")]) == [CallBegin("f"), CallDelta("{}"), CallEnd()]


def test_a_new_call_ends_the_one_before() -> None:
    got = pieces([call(0, "f", "{}"), call(1, "note", '{"input": "a\\n"}')])
    assert got == [
        CallBegin("f"), CallDelta("{}"), CallEnd(), CallBegin("note", custom=True), CallDelta("a\n"), CallEnd(),
    ]  # fmt: skip


def test_calls_that_are_not_allowed_are_left_out() -> None:
    both = [call(0, "f", "{}"), call(1, "f", "{}")]
    assert pieces(both, tools=tool_set([F], "none", None)) == []
    assert pieces(both, tools=tool_set([F], None, False)) == [CallBegin("f"), CallDelta("{}"), CallEnd()]


def test_one_that_raises_loses_nothing() -> None:
    parser = ForeignReader(Told([Parsed(text="a")], ValueError("lost"))).open(Reading(tools=TOOLS))
    got = [piece for text in "abc" for piece in parser.feed(TokenChunk(text, [1]))]
    assert [*got, *parser.close()] == [TextDelta("a"), TextDelta("b"), TextDelta("c")]
    assert isinstance(parser.trouble, ValueError)


def test_text_has_its_log_probabilities() -> None:
    parser = ForeignReader(Told([Parsed(text="a")])).open(Reading(tools=TOOLS))
    (piece,) = parser.feed(TokenChunk("a", [1], logprobs=[[TokenLogprob(1, "a", -0.5)]]))
    assert isinstance(piece, TextDelta)
    assert [one["token"] for one in piece.logprobs] == ["a"]


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert pieces([Parsed(text="\ud83d", reasoning="\udc00")]) == [ReasoningDelta("\ufffd"), TextDelta("\ufffd")]


def test_an_output_format_is_held_to_behind_the_reasoning() -> None:
    parser = ForeignReader(Told()).open(Reading(tools=TOOLS, schema={"type": "object"}))
    assert parser.constraint is not None
    assert parser.reasoning_ended is None
