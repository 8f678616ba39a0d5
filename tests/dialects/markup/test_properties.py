"""What holds for every family, whatever is said: all of it comes out, once, however it is chunked."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Elements, Literals, Tags
from realtime.dialects.markup.machine import Start
from realtime.engine.base import FinishReason
from tests.support.long import effort
from tests.support.markup import (
    SPELLINGS,
    Brief,
    Speaker,
    Spelling,
    brief,
    calls_of,
    pieces_of,
    speaker,
    wanted,
)  # fmt: skip

EXAMPLES = effort(60, 20_000)
FORMS = [(name, form) for name, row in ALL_FAMILIES.items() for form in range(len(row.calls))]
MARKS = sorted({part for row in ALL_FAMILIES.values() for mark in row.marks() for part in mark.split("\n") if part})
ODDS = ["<", "[", "{", "|", "]", "}", ">", '"', "'", "\\", "`", " ", "\n", "\t", "a", "é", "🙂", "get_weather", "nope",
        "input", ":", ",", "=", "(", ")", "\\n", "\u2028", "\x00", "call", "1"]  # fmt: skip
CHUNKS = st.lists(st.integers(1, 12), min_size=1, max_size=6)
properties = settings(max_examples=EXAMPLES)


def texts(family: str) -> st.SearchStrategy[str]:
    """Text that looks like markup: of this family, more often than of others."""
    own = [part for mark in ALL_FAMILIES[family].marks() for part in mark.split("\n") if part]
    part = st.one_of(st.sampled_from(own or ODDS), st.sampled_from(ODDS), st.sampled_from(MARKS), st.text(max_size=4))
    return st.lists(part, max_size=12).map("".join)


def played(one: Speaker, ids: list[int], sizes: list[int], **asked: Any) -> Brief:
    """The answer in these chunks, over and over; it is the same in single tokens and at once."""
    rest, chunks = len(ids), []
    while rest:
        for size in sizes:
            chunks.append(min(size, rest))
            rest -= chunks[-1]
            if not rest:
                break
    found = [
        brief(pieces_of(one, ids, cuts, **asked)[0]) for cuts in (chunks, [1] * len(ids), [len(ids)] if ids else [])
    ]
    assert found[0] == found[1] == found[2]
    return found[0]


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, int, Speaker, list[int]]:
    """A family, one of its forms, a tokenizer, and sizes of chunks."""
    family, form = draw(st.sampled_from(FORMS))
    spelling: Spelling = draw(st.sampled_from(SPELLINGS))
    return family, form, speaker(family, spelling), draw(CHUNKS)


@properties
@given(answers(), st.data())
def test_text_comes_out_as_it_went_in(answer: tuple[str, int, Speaker, list[int]], data: st.DataObject) -> None:
    family, _, one, sizes = answer
    text = "x" + data.draw(texts(family))
    letters = data.draw(st.booleans())
    assert played(one, one.tokens(text, letters=letters), sizes, start=Start.ANSWER) == [("text", text)]


@properties
@given(answers(), st.data())
def test_reasoning_comes_out_as_it_went_in(answer: tuple[str, int, Speaker, list[int]], data: st.DataObject) -> None:
    family, _, one, sizes = answer
    row = ALL_FAMILIES[family]
    if not row.thinking:
        return
    index = data.draw(st.integers(0, len(row.thinking) - 1))
    thinking = row.thinking[index]
    text = "x" + data.draw(texts(family)) + "y"
    if thinking.end.strip() in text + thinking.end.strip()[:-1]:
        return
    ids = [*one.tokens(thinking.begin), *one.tokens(text), *one.tokens(thinking.end + "Hi.")]
    assert played(one, ids, sizes) == [("reasoning", text), ("text", "Hi.")]
    ids = [*one.tokens(text), *one.tokens(thinking.end + "Hi.")]
    got = played(one, ids, sizes, start=Start.REASONING, thinking=index)
    assert got == [("reasoning", text), ("text", "Hi.")]


@st.composite
def arguments(draw: st.DrawFn, family: str, form: int, spelling: Spelling) -> dict[str, Any]:
    """Arguments for `get_weather`, but what the family has no way to say."""
    strings = texts(family).filter(lambda text: _can_be_said(text, family, form, spelling))
    scalars = st.one_of(
        strings,
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.floats(allow_nan=False, allow_infinity=False),
    )
    keys = st.sampled_from(["a", "b_c", "input", "name"])
    if isinstance(ALL_FAMILIES[family].calls[form].arguments, Elements):
        return draw(st.fixed_dictionaries({}, optional=_elements(strings)))
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
    )
    fields = {
        "city": strings,
        "deep": st.dictionaries(keys, values, max_size=3),
        "days": st.lists(values, max_size=3),
        "num": st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False),
        "yes": st.booleans(),
        "note": strings.filter(lambda text: text.strip() not in ("null", "None")) | st.none(),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), unique=True))
    return {key: draw(fields[key]) for key in chosen}


def _elements(strings: st.SearchStrategy[str]) -> dict[str, st.SearchStrategy[Any]]:
    """Arguments of which nothing but the schema, where it says something, tells what a text is."""
    words = strings.map(lambda text: f"x{text}y")
    scalars = st.one_of(words, st.none(), st.booleans(), st.integers(-(10**30), 10**30))
    lists = st.lists(scalars, min_size=1, max_size=3)
    inner = st.dictionaries(st.sampled_from(["a", "b_c", "name"]), scalars | lists, min_size=1, max_size=3)
    return {
        "city": strings,
        "deep": st.dictionaries(st.sampled_from(["a", "input"]), scalars | lists | inner, max_size=3),
        "days": st.lists(scalars | inner, max_size=3),
        "num": st.integers(-(10**30), 10**30),
        "yes": st.booleans(),
        "note": words | st.none(),
    }


def _can_be_said(text: str, family: str, form: int, spelling: Spelling) -> bool:
    row = ALL_FAMILIES[family].calls[form]
    closing = (row.close + row.call[1]).strip().split("\n")[0]
    match row.arguments:
        case Elements(before=before):
            return before not in text and not _overlaps(text, before)
        case Tags(end=end):
            # A mark that its end completes is read where it begins.
            marks = [end, closing]
            return not any(mark and (mark in text or _overlaps(text, mark)) for mark in marks)
        case Literals(escapes=False, quotes=quotes):
            return not any(quote in text or _overlaps(text, quote) for quote in quotes)
        case _:
            return True


def _overlaps(text: str, mark: str) -> bool:
    """Whether the end of the text and the mark behind it make the mark too early."""
    return any(text.endswith(mark[:size]) and (mark[:size] + mark).startswith(mark) for size in range(1, len(mark)))


@properties
@given(answers(), st.data())
def test_arguments_come_out_as_they_went_in(answer: tuple[str, int, Speaker, list[int]], data: st.DataObject) -> None:
    family, form, one, sizes = answer
    spelling: Spelling = "letters" if not one.marks else "tokens"
    call = ("get_weather", data.draw(arguments(family, form, spelling)))
    text = calls_of(family, [call], form)
    ids = one.tokens(text)
    ((kind, name, said),) = played(one, ids, sizes)
    assert (kind, name) == ("call", "get_weather")
    assert json.loads(said) == call[1]
    if not isinstance(ALL_FAMILIES[family].calls[form].arguments, Literals):
        assert said == wanted(call)[0][2]


@properties
@given(answers(), st.data())
def test_every_prefix_is_legal_and_says_nothing_twice(
    answer: tuple[str, int, Speaker, list[int]], data: st.DataObject
) -> None:
    family, form, one, sizes = answer
    row = ALL_FAMILIES[family]
    spelling: Spelling = "letters" if not one.marks else "tokens"
    calls = data.draw(st.lists(arguments(family, form, spelling), max_size=3 if row.calls[form].several else 1))
    head = "" if row.calls[form].bare else data.draw(texts(family))
    tail = data.draw(texts(family))
    written = calls_of(family, [("get_weather", one_call) for one_call in calls], form) if calls else ""
    ids = one.tokens(head + written + tail)
    cut = data.draw(st.integers(0, len(ids)))
    finish = data.draw(st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
    got = played(one, ids[:cut], sizes, finish=finish)
    text = one._decode(ids[:cut])
    at = 0
    for item in got:
        if item[0] in ("text", "reasoning"):
            at = text.index(item[1], at) + len(item[1])
    assert all(item[1] in ("get_weather", "anything", "note") for item in got if item[0].startswith("call"))


@properties
@given(answers(), st.data())
def test_stop_strings_cut_the_text_at_the_first(
    answer: tuple[str, int, Speaker, list[int]], data: st.DataObject
) -> None:
    family, _, one, sizes = answer
    text = "x" + data.draw(texts(family))
    stop = data.draw(
        st.lists(st.sampled_from(["<", "ab", "\n\n", "}]", "get_weather", " a", "🙂"]), min_size=1, max_size=3)
    )
    at = min((text.find(one_) for one_ in stop if one_ in text), default=len(text))
    got = played(one, one.tokens(text), sizes, start=Start.ANSWER, stop=tuple(stop))
    assert got == [("text", text[:at])]


@properties
@given(answers(), st.data())
def test_every_token_of_text_has_its_logprob_once(
    answer: tuple[str, int, Speaker, list[int]], data: st.DataObject
) -> None:
    family, form, one, _ = answer
    if ALL_FAMILIES[family].calls[form].bare:
        return
    text = "x" + data.draw(st.text("ab<[ ", max_size=12)) + "y"
    call = calls_of(family, [("get_weather", {"city": "x"})], form)
    ids = [
        *one.tokens(text),
        *one.tokens(call.lstrip()),
        *one.tokens("Done"),
    ]
    pieces, _ = pieces_of(one, ids, logprobs=True)
    said = [entry["token"] for piece in pieces for entry in getattr(piece, "logprobs", [])]
    assert "".join(said) == text + "Done"
