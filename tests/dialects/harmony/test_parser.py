"""Generated Harmony tokens to pieces: well-formed, malformed and cut, however they are chunked."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_harmony import Role, StreamableParser

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.dialects.base import (
    BlockEnd,
    CallBegin,
    CallCut,
    CallDelta,
    CallEnd,
    MessageBegin,
    Piece,
    ReasoningBegin,
    ReasoningDelta,
    Recovered,
    TextDelta,
)  # fmt: skip
from realtime.dialects.harmony.parser import HarmonyParser
from realtime.engine.base import FinishReason, TokenChunk, TokenLogprob
from tests.support.harmony import chunks, encoding, library, merged, text_in, text_of, tokens

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]},
]
STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH


def read(
    transcript: str | list[int], *, sizes: Any = (), finish: FinishReason = STOP, tools: ToolSet | None = None
) -> tuple[list[Any], HarmonyParser]:
    """Parse what a model generated after `<|start|>assistant`."""
    parser = HarmonyParser(encoding().vocabulary, tools or tool_set(TOOLS, None, None))
    token_ids = tokens(transcript) if isinstance(transcript, str) else transcript
    pieces: list[Piece] = []
    for chunk in chunks(token_ids, sizes, finish):
        pieces += parser.feed(chunk)
    return merged([*pieces, *parser.close()]), parser


def ids_of(transcript: Any) -> list[int]:
    """The tokens of a row of the tables. One is made when it is needed: the library takes half a second to load."""
    ids: list[int] = tokens(transcript) if isinstance(transcript, str) else transcript()
    return ids


def thought(text: str) -> list[Piece]:
    return [ReasoningBegin(), ReasoningDelta(text), BlockEnd()]


def said(text: str, phase: Any = "final_answer") -> list[Piece]:
    return [MessageBegin(phase), TextDelta(text), BlockEnd()]


def odd(pieces: list[Piece]) -> list[Piece]:
    """The same, marked right after its beginning."""
    return [pieces[0], Recovered(), *pieces[1:]]


def cut(pieces: list[Piece]) -> list[Piece]:
    """The same, marked at its end."""
    return [*pieces[:-1], Recovered(), pieces[-1]]


def called(arguments: str, name: str = "get_weather", **what: Any) -> list[Piece]:
    return [CallBegin(name, **what), CallDelta(arguments), CallEnd()]


CALL = "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{}<|call|>"
NEXT = "<|end|><|start|>assistant"
WELL_FORMED: dict[str, tuple[Any, Any]] = {
    "final": ("<|channel|>final<|message|>Hello.<|return|>", said("Hello.")),
    "no channel": ("<|message|>Hello.<|return|>", said("Hello.")),
    "analysis, final": (
        f"<|channel|>analysis<|message|>Hm.{NEXT}<|channel|>final<|message|>Yes.<|return|>",
        [*thought("Hm."), *said("Yes.")],
    ),
    "analysis twice": (
        f"<|channel|>analysis<|message|>One.{NEXT}<|channel|>analysis<|message|>Two.{NEXT}"
        "<|channel|>final<|message|>Yes.<|return|>",
        [*thought("One."), *thought("Two."), *said("Yes.")],
    ),
    "a preamble and a call": (
        f"<|channel|>analysis<|message|>Hm.{NEXT}<|channel|>commentary<|message|>I look.{NEXT}{CALL}",
        [*thought("Hm."), *said("I look.", "commentary"), *called("{}")],
    ),
    "recipient before the channel": (
        ' to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{"a": 1}<|call|>',
        called('{"a": 1}'),
    ),
    "recipient before the channel, without constrain": (
        " to=functions.get_weather<|channel|>commentary json<|message|>{}<|call|>",
        called("{}"),
    ),
    "constrain at the recipient": (
        "<|channel|>commentary to=functions.get_weather<|constrain|>json<|message|>{}<|call|>",
        called("{}"),
    ),
    "code": ("<|channel|>commentary to=functions.get_weather code<|message|>{}<|call|>", called("{}")),
    "recipient only": (" to=functions.get_weather<|message|>{}<|call|>", called("{}")),
    "E17: a call in the analysis": (
        "<|channel|>analysis to=functions.get_weather code<|message|>{}<|call|>",
        called("{}", channel="analysis"),
    ),
    "a call without its namespace": ("<|channel|>commentary to=get_weather<|message|>{}<|call|>", called("{}")),
    "a call of a namespace": (
        "<|channel|>commentary to=functions.crm__find <|constrain|>json<|message|>{}<|call|>",
        called("{}", "find", namespace="crm"),
    ),
    "a call without arguments": (
        "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|><|call|>",
        called("{}"),
    ),
    "a tool that nobody knows": (
        "<|channel|>commentary to=browser.search <|constrain|>json<|message|>{}<|call|>",
        called("{}", "browser.search"),
    ),
    "custom": (
        '<|channel|>commentary to=functions.patch <|constrain|>json<|message|>{"input": "a\\n\\"b\\""}<|call|>',
        called('a\n"b"', "patch", custom=True),
    ),
    "an empty answer": ("<|channel|>final<|message|><|return|>", [MessageBegin("final_answer"), BlockEnd()]),
    "to all": ("<|channel|>final to=all<|message|>Hi.<|return|>", said("Hi.")),
    "text that looks like markup": (
        # each character a token of its own
        lambda: [*tokens("<|channel|>final<|message|>"), *itertools.chain(*map(tokens, "<|end|>"))],
        said("<|end|>")[:-1],
    ),
}  # fmt: skip

MALFORMED: dict[str, tuple[Any, Any]] = {
    "text without a header": ("Hello there.<|return|>", odd(said("Hello there."))),
    "text without a header, cut": ("Hello there.", odd(said("Hello there."))[:-1]),
    "no message mark": ("<|channel|>final Hello.<|return|>", odd(said("Hello."))),
    "no message mark before the next": (
        "<|channel|>analysis Hm.<|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        [*odd(thought("Hm.")), *said("Yes.")],
    ),
    "no end": (
        "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        [*cut(thought("Hm.")), *said("Yes.")],
    ),
    "no end, no start": (
        "<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Yes.<|return|>",
        [*cut(thought("Hm.")), *said("Yes.")],
    ),
    "no start": (
        "<|channel|>analysis<|message|>Hm.<|end|><|channel|>final<|message|>Yes.<|return|>",
        [*thought("Hm."), *said("Yes.")],
    ),
    "no start, but a role": (
        "<|channel|>analysis<|message|>Hm.<|end|>assistant<|channel|>final<|message|>Yes.<|return|>",
        [*thought("Hm."), *said("Yes.")],
    ),
    "no header at all": (
        "<|channel|>analysis<|message|>Hm.<|end|><|message|>Yes.<|return|>",
        [*thought("Hm."), *said("Yes.")],
    ),
    "text after the end": (
        "<|channel|>analysis<|message|>Hm.<|end|>And yes.<|return|>",
        [*thought("Hm."), *odd(said("And yes."))],
    ),
    "an unknown channel": ("<|channel|>musing<|message|>La.<|end|>", odd(said("La.", "commentary"))),
    "text in the header": ("<|channel|>final well well<|message|>Yes.<|end|>", odd(said("well wellYes."))),
    "two channels": ("<|channel|>analysis<|channel|>final<|message|>Yes.<|return|>", said("Yes.")),
    "a nameless call": (
        "<|channel|>commentary to=functions.<|message|>{}<|call|>",
        odd(said("{}", "commentary")),
    ),
    "the user's turn": (
        f"<|channel|>final<|message|>Yes.<|end|><|start|>user<|message|>More!{NEXT}<|channel|>final<|message|>No.<|return|>",
        [*said("Yes."), *odd(said("More!", "commentary")), *said("No.")],
    ),
    "a tool's turn": (
        f"{CALL}<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>Sun.<|end|>",
        [*called("{}"), *odd(said("Sun.", "commentary"))],
    ),
    "message mark in text": ("<|channel|>final<|message|>a<|message|>b<|return|>", None),
    "constrain in text": ("<|channel|>final<|message|>a<|constrain|>b<|return|>", None),
    "E16: markup in a name": (
        "<|channel|>commentary to=functions.get_weather<|channel|>commentary<|message|>{}<|call|>",
        called("{}"),
    ),
    "a call without its content": ("<|channel|>commentary to=functions.get_weather<|call|>", None),
    "nothing": ("<|return|>", []),
    "nothing but a channel": ("<|channel|>analysis<|return|>", []),
    "end of text": ("<|channel|>final<|message|>Yes.<|endoftext|>", said("Yes.")),
}


@pytest.mark.parametrize("name", WELL_FORMED)
def test_what_is_well_formed(name: str) -> None:
    transcript, expected = WELL_FORMED[name]
    pieces, parser = read(ids_of(transcript), finish=LENGTH)
    assert pieces == expected
    assert parser.trouble is None


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_kept_and_marked(name: str) -> None:
    transcript, expected = MALFORMED[name]
    pieces, parser = read(transcript)
    if expected is not None:
        assert pieces == expected
    assert (parser.trouble is not None) == any(isinstance(piece, Recovered) for piece in pieces)


def test_markup_in_the_middle_of_text_is_dropped_and_the_text_is_not() -> None:
    for mark in ("<|message|>", "<|constrain|>", "<|reserved_200000|>"):
        token = tokens(mark) if mark != "<|reserved_200000|>" else [200000]
        pieces, parser = read([*tokens("<|channel|>final<|message|>a"), *token, *tokens("b<|return|>")])
        assert pieces == [MessageBegin("final_answer"), TextDelta("a"), Recovered(), TextDelta("b"), BlockEnd()]
        assert str(parser.trouble) == "markup where none belongs"


def test_a_call_whose_content_is_missing_is_a_call() -> None:
    pieces, _ = read(MALFORMED["a call without its content"][0])
    assert pieces == [CallBegin("get_weather"), Recovered(), CallDelta("{}"), CallEnd()]


ALL = {**WELL_FORMED, **MALFORMED}


@pytest.mark.parametrize("name", ALL)
def test_chunks_make_no_difference(name: str) -> None:
    """Cut at each position into two, and into single tokens."""
    transcript = ALL[name][0]
    token_ids = ids_of(transcript)
    whole, _ = read(token_ids, sizes=(len(token_ids),))
    for at in range(1, len(token_ids)):
        assert read(token_ids, sizes=(at, len(token_ids)))[0] == whole
    assert read(token_ids, sizes=(1,))[0] == whole


@pytest.mark.parametrize("name", ALL)
def test_a_cut_at_each_position_ends_cleanly(name: str) -> None:
    """The pieces of a cut transcript are the beginning of those of the whole one, but for the last delta and marks."""
    transcript = ALL[name][0]
    token_ids = ids_of(transcript)
    whole, _ = read(token_ids, finish=LENGTH)
    for at in range(len(token_ids)):
        pieces, _ = read(token_ids[:at], finish=LENGTH)
        assert balanced(pieces)
        joined = "".join(texts(pieces))
        assert "<|" not in joined or "looks like" in name
        assert "".join(texts(whole)).startswith(joined)


def texts(pieces: list[Any]) -> list[str]:
    return [piece.arguments if isinstance(piece, CallDelta) else getattr(piece, "text", "") for piece in pieces]


WORDS = ["Hello", " world", "\n\n", " naïve", "🙂", "👩‍🚀", " 日本", "{", '"a"', "}", " to=", "functions", "."]
MARKS = ["<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"]
HEADS = ["assistant", "analysis", "final", "commentary", " to=functions.get_weather", " json", "user"]
soups = st.lists(st.sampled_from(WORDS + MARKS + HEADS), max_size=40)


@settings(max_examples=400)
@given(soups, st.lists(st.integers(1, 7), max_size=10))
def test_any_soup_of_tokens_keeps_all_content_and_shows_no_markup(soup: list[str], sizes: list[int]) -> None:
    token_ids = list(itertools.chain.from_iterable(tokens(word) for word in soup))
    pieces, _ = read(token_ids, sizes=sizes, finish=LENGTH)
    said_text = "".join(texts(pieces))
    assert not any(mark in said_text for mark in MARKS)
    assert not any("<|" in piece.name for piece in pieces if isinstance(piece, CallBegin))
    for content in contents(soup):
        assert content in said_text
    assert balanced(pieces)


def contents(soup: list[str]) -> list[str]:
    """What stands between a message mark and the next markup."""
    out, current = [], None
    for word in soup:
        if word in MARKS:
            if current:
                out.append(current)
            current = "" if word == "<|message|>" else None
        elif current is not None:
            current += word
    return out + ([current] if current else [])


def balanced(pieces: list[Any]) -> bool:
    """Every block that begins ends before the next one begins, but the last."""
    is_open = False
    for piece in pieces:
        if isinstance(piece, MessageBegin | ReasoningBegin | CallBegin):
            if is_open:
                return False
            is_open = True
        elif isinstance(piece, BlockEnd | CallEnd | CallCut):
            is_open = False
        elif not is_open:
            return False
    return True


prose = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)
messages = st.lists(
    st.tuples(st.sampled_from(["analysis", "commentary", "final", "call"]), prose), min_size=1, max_size=6
)


@settings(max_examples=150)
@given(messages)
def test_well_formed_output_is_read_as_the_library_reads_it(spoken: list[tuple[str, str]]) -> None:
    token_ids: list[int] = []
    for index, (channel, text) in enumerate(spoken):
        head, end = f"<|channel|>{channel}", "<|end|>"
        if channel == "call":
            head, end = "<|channel|>commentary to=functions.get_weather <|constrain|>json", "<|call|>"
        start = "<|start|>assistant" if index else ""
        body = library().encode(text, disallowed_special=())
        token_ids += [*tokens(f"{start}{head}<|message|>"), *body, *tokens(end)]
    oracle = StreamableParser(library(), Role.ASSISTANT)
    for token in token_ids:
        oracle.process(token)
    pieces, parser = read(token_ids)
    assert parser.trouble is None
    assert as_messages(pieces) == [
        ("call" if message.recipient else message.channel, text_in(message)) for message in oracle.messages
    ]


def as_messages(pieces: list[Any]) -> list[tuple[str, str]]:
    out: list[list[str]] = []
    for piece in pieces:
        match piece:
            case MessageBegin(phase=phase):
                out.append(["final" if phase == "final_answer" else "commentary", ""])
            case ReasoningBegin():
                out.append(["analysis", ""])
            case CallBegin():
                out.append(["call", ""])
            case CallDelta(arguments=text) | TextDelta(text=text) | ReasoningDelta(text=text):
                out[-1][1] += text
    return [(kind, text) for kind, text in out]


def test_no_delta_ends_within_a_character() -> None:
    parser = HarmonyParser(encoding().vocabulary, tool_set(None, None, None))
    text = "👩‍🚀🙂日本語naïve𓀀"
    deltas = []
    for token in tokens(f"<|channel|>final<|message|>{text}<|return|>"):
        pieces = parser.feed(TokenChunk(text="", token_ids=(token,)))
        deltas += [piece.text for piece in pieces if isinstance(piece, TextDelta)]
    assert "".join(deltas) == text
    assert not any("\ufffd" in delta for delta in deltas)
    assert len(tokens(text)) > len(deltas)  # there were halves to wait for


def test_half_a_character_at_a_cut_is_nothing_and_at_an_end_is_marked() -> None:
    half = tokens("𓀀")[:1]
    head = tokens("<|channel|>final<|message|>a")
    assert read([*head, *half], finish=LENGTH)[0] == [MessageBegin("final_answer"), TextDelta("a")]
    assert read([*head, *half, *tokens("<|return|>")])[0] == said("a\ufffd")


def test_no_more_calls_than_the_request_allows() -> None:
    one = CALL.replace("<|call|>", "<|end|>")
    transcript = f"{one}<|start|>assistant{CALL}"
    assert read(transcript)[0] == [*called("{}"), *called("{}")]
    assert read(transcript, tools=tool_set(TOOLS, None, False))[0] == called("{}")
    forbidden = f"{one}<|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    assert read(forbidden, tools=tool_set(TOOLS, "none", None))[0] == said("Yes.")


def test_reasoning_tokens_are_counted() -> None:
    transcript = "<|channel|>analysis<|message|>One two three.<|end|><|start|>assistant<|channel|>final<|message|>x"
    assert read(transcript)[1].num_reasoning_tokens == len(tokens("One two three."))


def test_logprobs_belong_to_the_text() -> None:
    parser = HarmonyParser(encoding().vocabulary, tool_set(None, None, None), num_top_logprobs=1)
    token_ids = tokens(f"<|channel|>analysis<|message|>Hm{NEXT}<|channel|>final<|message|>Yes 🙂<|return|>")
    given_logprobs = [[TokenLogprob(token, text_of([token]), -0.5)] for token in token_ids]
    pieces: list[Piece] = []
    for token, one in zip(token_ids, given_logprobs, strict=True):
        pieces += parser.feed(TokenChunk(text="", token_ids=(token,), logprobs=[one]))
    found = [logprob["token"] for piece in pieces if isinstance(piece, TextDelta) for logprob in piece.logprobs]
    assert found == [text_of([token]) for token in tokens("Yes 🙂")]


def test_a_header_without_end_becomes_text() -> None:
    text = " word" * 400
    pieces, parser = read(text, finish=LENGTH)
    assert pieces == [MessageBegin("final_answer"), Recovered(), TextDelta(text)]
    assert str(parser.trouble) == "a message without <|message|>"


def test_a_header_without_end_is_not_cut_within_a_character() -> None:
    for words in range(4):
        text = " word" * words + "𓀀🫠" * 150
        assert read(text, finish=LENGTH)[0] == [MessageBegin("final_answer"), Recovered(), TextDelta(text)]
    (half,) = tokens("𓀀")[:1]
    assert read([half] * 300, finish=LENGTH)[0][0] == MessageBegin("final_answer")  # it isn't waited for for ever


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('commentary to=functions.get_weather <|constrain|>json{"city": "Paris"}', called('{"city": "Paris"}')),
        ('commentary to=functions.get_weather json{"city": "Paris"}', called('{"city": "Paris"}')),
        ('final<|constrain|>{"city": "Paris"}', said('{"city": "Paris"}')),
        ("final <|constrain|>json jsonish", said(" jsonish")),
    ],
)
def test_content_behind_a_constraint_is_not_lost_without_its_mark(header: str, expected: list[Piece]) -> None:
    assert read(f"<|channel|>{header}<|call|>")[0] == odd(expected)


@pytest.mark.parametrize("white", ["\n", "\t", "  ", " \n "])
def test_any_white_space_ends_a_channel(white: str) -> None:
    pieces, parser = read(f"<|channel|>final{white}<|message|>Hello.<|return|>")
    assert (pieces, parser.trouble) == (said("Hello."), None)


def test_a_header_is_read_in_linear_time() -> None:
    vocabulary = encoding().vocabulary
    (white,) = (token for token in range(100_000) if vocabulary.decode([token]) == b" " * 64)
    pieces, _ = read([white] * 20_000, finish=LENGTH)  # with backtracking: minutes
    assert not "".join(texts(pieces)).strip()


def test_logprobs_of_a_call_that_is_left_out_belong_to_nothing() -> None:
    parser = HarmonyParser(encoding().vocabulary, tool_set(TOOLS, "none", None), num_top_logprobs=1)
    call = CALL.replace("<|call|>", "<|end|>")
    token_ids = tokens(f"{call}<|start|>assistant<|channel|>final<|message|>Yes<|return|>")
    logprobs = [[TokenLogprob(token, text_of([token]), -0.5)] for token in token_ids]
    pieces = parser.feed(TokenChunk(text="", token_ids=tuple(token_ids), logprobs=logprobs))
    assert [one["token"] for piece in pieces if isinstance(piece, TextDelta) for one in piece.logprobs] == ["Yes"]
