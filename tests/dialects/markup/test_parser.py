"""Tokens and chunks: what is counted, what is left out, and what a chunk of several tokens means."""

from __future__ import annotations

import random

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.base import CallBegin, CallCut, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.machine import Start
from realtime.dialects.markup.parser import Asked, MarkupParser, WholeCallParser
from realtime.dialects.markup.tokens import Markup, Run
from realtime.engine.base import FinishReason, TokenChunk, TokenLogprob
from tests.support.markup import (
    PARIS,
    TOOLS,
    brief,
    calls_of,
    chunkings,
    pieces_of,
    reasons,
    speaker,
    wanted,
)

THINKING = [name for name, row in ALL_FAMILIES.items() if row.thinking]
ADDED = {1: ("<think>", False), 2: ("</think>", False), 3: ("<tool_call>", False), 4: ("</tool_call>", False),
         5: ("<|im_end|>", True), 6: ("<|odd|>", True)}  # fmt: skip


def qwen3() -> Markup:
    return Markup(
        ALL_FAMILIES["qwen3"], ADDED, lambda ids: "".join(ADDED[one][0] if one in ADDED else chr(one) for one in ids)
    )


@pytest.mark.parametrize("family", [name for name in THINKING if name != "apriel"])  # its marks are no tokens
def test_reasoning_tokens_are_counted(family: str) -> None:
    head, _ = reasons(family)
    one = speaker(family)
    ids = one.tokens(head + "Hi.")
    counts = {pieces_of(one, ids, sizes)[1].num_reasoning_tokens for sizes in chunkings(len(ids))}
    assert all(len("Let me see.") <= count < len(one.tokens(head)) for count in counts)


def test_the_count_does_not_depend_on_chunks() -> None:
    one = speaker("qwen3")
    text = f"<think>\nI <b> see. <tool_call> no, {calls_of('qwen3', [PARIS])}so.\n</think>\n\nHi."
    ids = one.tokens(text)
    counts = {pieces_of(one, ids, sizes)[1].num_reasoning_tokens for sizes in chunkings(len(ids), 4)}
    assert len(counts) == 1, counts
    assert counts == {len(one.tokens("\nI <b> see. <tool_call> no, so.\n"))}


def test_without_reasoning_nothing_is_counted() -> None:
    one = speaker("qwen3")
    assert pieces_of(one, one.tokens("Hi." + calls_of("qwen3", [PARIS])))[1].num_reasoning_tokens == 0


def test_special_tokens_that_mean_nothing_are_left_out() -> None:
    parser = MarkupParser(qwen3(), Asked(tools=TOOLS))
    got = parser.feed(TokenChunk("a<|odd|>b<tool_call>c<|im_end|>", [97, 6, 98, 3, 99, 5]))
    assert brief([*got, *parser.close()]) == [("text", "ab<tool_call>c")]
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": "x<|odd|>y</tool_call>"}}</tool_call>'
    ids = [3, *map(ord, '{"name": "get_weather", "arguments": {"city": "x'), 6, ord("y"), 4, *map(ord, '"}}'), 4]
    parser = MarkupParser(qwen3(), Asked(tools=TOOLS))
    assert brief([*parser.feed(TokenChunk(text, ids)), *parser.close()]) == wanted(
        ("get_weather", {"city": "xy</tool_call>"})
    )


def test_the_letters_of_a_special_token_are_text() -> None:
    markup = Markup(ALL_FAMILIES["mistral"], {1: ("[TOOL_CALLS]", True), 2: ("[ARGS]", True)})
    text = '[TOOL_CALLS]get_weather[ARGS]{"city": "x"}'
    parser = MarkupParser(markup, Asked(tools=TOOLS))
    assert brief([*parser.feed(TokenChunk(text, list(map(ord, text)))), *parser.close()]) == [("text", text)]
    parser = MarkupParser(markup, Asked(tools=TOOLS))
    ids = [1, *map(ord, "get_weather"), 2, *map(ord, '{"city": "x"}')]
    assert brief([*parser.feed(TokenChunk(text, ids)), *parser.close()]) == wanted(("get_weather", {"city": "x"}))


def test_a_token_is_found_among_its_letters() -> None:
    letters = list(map(ord, "<tool_call>"))
    runs = list(qwen3().runs("<tool_call><tool_call>x", [*letters, 3, ord("x")]))
    assert [run.mark for run in runs] == [False, True, False]
    assert [run.num_tokens for run in runs] == [11, 1, 1]
    runs = list(qwen3().runs("<tool_call><tool_call>", [3, *letters]))
    assert [run.num_tokens for run in runs] == [1, 11]


def test_a_token_without_text_is_no_less_a_mark() -> None:
    assert [run.mark for run in qwen3().runs("ab", [97, 98, 2])] == [False, True]
    assert list(qwen3().runs("", [97])) == [Run("", 1)]
    assert list(qwen3().runs("é", [])) == [Run("é", 0)]


def test_half_a_character_waits_with_its_logprob() -> None:
    one = speaker("hermes")
    parser = MarkupParser(one.markup, Asked(tools=TOOLS))
    from realtime.engine.base import TokenLogprob

    first = parser.feed(TokenChunk("", [200], logprobs=[[TokenLogprob(200, "?", -1.0)]]))
    second = parser.feed(TokenChunk("é", [201], logprobs=[[TokenLogprob(201, "é", -1.0)]]))
    assert list(first) == []
    (text,) = second
    assert isinstance(text, TextDelta)
    assert [entry["token"] for entry in text.logprobs] == ["?", "é"]


def test_a_stop_token_of_the_requests_is_not_the_models_end() -> None:
    text = '<tool_call>\n{"name": "get_weather", "arguments": {}}'
    for reason, kind in ((None, "call"), (7, "call!"), ("x", "call!"), (8, "call")):
        parser = MarkupParser(qwen3(), Asked(tools=TOOLS, stop_token_ids=frozenset({7})))
        parser.feed(TokenChunk(text, list(map(ord, text)), FinishReason.STOP, reason))
        got = parser.feed(TokenChunk("", []))
        assert brief([CallBegin("get_weather"), *got, *parser.close()])[0][0] == kind


def test_everything_after_the_reasoning_is_the_input_of_a_tool_with_a_grammar() -> None:
    grammar = {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}}
    tools = tool_set([grammar], {"type": "custom", "name": "sql"}, None)
    assert tools.only is not None
    for finish, end in ((FinishReason.STOP, [CallEnd()]), (FinishReason.LENGTH, [CallCut()])):
        parser = WholeCallParser(qwen3(), Asked(tools=tools, start=Start.REASONING), tools.only)
        got = [
            *parser.feed(TokenChunk("r</think>", [114, 2])),
            *parser.feed(TokenChunk("a<tool_call>", [97, 3], finish)),
        ]
        got += parser.close()
        assert got[1:] == [CallBegin("sql", custom=True), CallDelta("a"), CallDelta("<tool_call>"), *end] or got[
            1:
        ] == [CallBegin("sql", custom=True), CallDelta("a<tool_call>"), *end]


def test_layout_has_no_log_probabilities() -> None:
    parser = MarkupParser(qwen3(), Asked(tools=TOOLS))
    ids = [1, ord("r"), 2, ord("\n"), ord("\n"), ord("a"), ord(" "), ord("b")]
    given = [[TokenLogprob(one, ADDED[one][0] if one in ADDED else chr(one), -0.5)] for one in ids]
    got = parser.feed(TokenChunk("<think>r</think>\n\na b", ids, logprobs=given))
    said = [one["token"] for piece in [*got, *parser.close()] if isinstance(piece, TextDelta) for one in piece.logprobs]
    assert said == ["a", " ", "b"]


def whole(start: Start, *chunks: TokenChunk) -> list[Piece]:
    grammar = {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "regex", "definition": "a*"}}
    tools = tool_set([grammar], {"type": "custom", "name": "sql"}, None)
    assert tools.only is not None
    parser = WholeCallParser(qwen3(), Asked(tools=tools, start=start), tools.only)
    return [*(piece for chunk in chunks for piece in parser.feed(chunk)), *parser.close()]


def test_a_model_that_ends_in_its_reasoning_has_given_no_input() -> None:
    end = TokenChunk("", [5], FinishReason.STOP)
    assert whole(Start.REASONING, TokenChunk("r", [114]), end) == [ReasoningDelta("r")]
    empty = [CallBegin("sql", custom=True), CallEnd()]
    assert whole(Start.REASONING, TokenChunk("r</think>", [114, 2]), end) == [ReasoningDelta("r"), *empty]
    assert whole(Start.ANSWER, end) == empty


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_an_adversary_can_not_make_it_slow(family: str) -> None:
    """Each of these is read in one walk, or the test does not end."""
    rng = random.Random(0)
    mark = calls_of(family, [PARIS]).split("get_weather")[0]
    for text in (mark * 100, mark + "get_weather" * 50, mark + " \n" * 500, mark + '{"' + "k" * 2000, "[" * 1000,
                 mark + "get_weather(" + "k" * 2000, "".join(rng.choices("<[{|tool_cal>\n ", k=1000))):  # fmt: skip
        one = speaker(family, "letters")
        ids = one.tokens(text)
        got = brief(pieces_of(one, ids)[0])
        assert got == brief(pieces_of(one, ids, [len(ids)])[0])


@pytest.mark.parametrize("family", sorted(ALL_FAMILIES))
def test_a_chunk_that_is_only_text_need_not_be_fed(family: str) -> None:
    one = speaker(family)
    text = f"Hi, {calls_of(family, [PARIS])}<b>so & {{it}} is</b>. " if ALL_FAMILIES[family].calls else "Hi, <b>so.</b>"
    ids = one.tokens(text)
    num_skipped = 0
    for sizes in chunkings(len(ids), 3):
        fed, spared = (MarkupParser(one.markup, Asked(tools=TOOLS)) for _ in range(2))
        at = 0
        for size in sizes:
            chunk = one.chunk(ids[at : at + size])
            pieces = fed.feed(chunk)
            if spared.only_text(chunk):
                assert pieces == (TextDelta(chunk.text),)
                num_skipped += 1
            else:
                assert list(spared.feed(chunk)) == list(pieces)
            at += size
        assert list(spared.close()) == list(fed.close())
        assert spared.num_reasoning_tokens == fed.num_reasoning_tokens
    assert num_skipped


def test_what_has_log_probabilities_or_no_text_or_is_a_tools_input_must_be_fed() -> None:
    parser = MarkupParser(qwen3(), Asked(tools=TOOLS))
    parser.feed(TokenChunk("a", [97]))
    assert parser.only_text(TokenChunk("b", [98]))
    assert not parser.only_text(TokenChunk("", [98]))
    assert not parser.only_text(TokenChunk("b", [98], logprobs=[[TokenLogprob(98, "b", 0.0)]]))
    assert not parser.only_text(TokenChunk("<|odd|>", [6]))
    tools = tool_set([{"type": "custom", "name": "run"}], {"type": "custom", "name": "run"}, None)
    assert tools.only is not None
    whole = WholeCallParser(qwen3(), Asked(tools=tools, start=Start.ANSWER), tools.only)
    whole.feed(TokenChunk("a", [97]))
    assert not whole.only_text(TokenChunk("b", [98]))
