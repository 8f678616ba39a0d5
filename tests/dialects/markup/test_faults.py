"""What users have reported of other servers, word for word, in every family in which it can be said.

`test_families` has the same by properties of a row; here stand the answers that were seen to fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Json, Tags
from realtime.engine.base import FinishReason
from tests.support.long import places
from tests.support.markup import (
    EMPTY,
    PARIS,
    TOOLS,
    Brief,
    brief,
    calls_of,
    pieces_of,
    reasons,
    said,
    speaker,
    wanted,
)  # fmt: skip

# Rows that are the same are read by the same machine: one family of each is enough.
EVERY = list(
    {row.calls[form]: (name, form) for name, row in ALL_FAMILIES.items() for form in range(len(row.calls))}.values()
)
THINKING = list({(row.thinking, row.calls): name for name, row in ALL_FAMILIES.items() if row.thinking}.values())
ANY = list({(row.thinking, row.calls): name for name, row in ALL_FAMILIES.items()}.values())
THINKING_WITH_MARKS = [
    name
    for name in THINKING
    if ALL_FAMILIES[name].calls and (not ALL_FAMILIES[name].calls[0].bare or ALL_FAMILIES[name].calls[0].section[0])
]
LENGTH, STOP = FinishReason.LENGTH, FinishReason.STOP
DEEP = ("get_weather", {"city": "Paris", "deep": {"a": [1]}})
each_form = pytest.mark.parametrize(("family", "form"), EVERY)
each_thinking = pytest.mark.parametrize("family", THINKING)


def row_of(family: str, form: int) -> Any:
    return ALL_FAMILIES[family].calls[form]


def with_arguments(kind: type) -> pytest.MarkDecorator:
    found = [(name, form) for name, form in EVERY if isinstance(row_of(name, form).arguments, kind)]
    return pytest.mark.parametrize(("family", "form"), found)


def cut_answers(family: str, text: str, finish: FinishReason, last: int = 0) -> Iterator[tuple[str, Brief]]:
    """The beginnings of an answer, token by token, and what each comes to. `last`: only so many, the longest."""
    one = speaker(family)
    ids = one.tokens(text)
    for cut in places(len(ids))[1:][-last:]:
        yield one._decode(ids[:cut]), brief(pieces_of(one, ids[:cut], finish=finish)[0])


def calls_in(answer: Brief) -> list[tuple[str, ...]]:
    return [item for item in answer if item[0].startswith("call")]


# -- L1: a call that is cut by the limit on tokens


@each_form
def test_l1_a_call_that_is_cut_is_incomplete_unless_its_end_was_seen(family: str, form: int) -> None:
    text = calls_of(family, [DEEP], form)
    (full,) = wanted(DEEP)
    row = row_of(family, form)
    end = row.call[1].strip() or row.close.strip()
    for begun, answer in cut_answers(family, text, LENGTH):
        for kind, name, arguments in calls_in(answer):
            assert name == "get_weather"
            assert full[2].startswith(arguments)
            if kind == "call":
                assert arguments == full[2]
                assert end in begun or not end


@each_form
def test_l1_no_name_is_half_of_one(family: str, form: int) -> None:
    tools = tool_set(
        [{"type": "function", "name": name, "parameters": {}} for name in ("get_weather", "f")], None, None
    )
    text = calls_of(family, [PARIS], form)
    one = speaker(family)
    ids = one.tokens(text)
    for cut in places(len(ids)):
        for finish in (LENGTH, STOP):
            answer = brief(pieces_of(one, ids[:cut], [cut] if cut else [], finish=finish, tools=tools)[0])
            assert {call[1] for call in calls_in(answer)} <= {"get_weather"}


# -- L2, T15: a stop string in a call; a model that ends by itself within one


@each_form
@pytest.mark.parametrize("stop", ["city", "}", '"'])
def test_l2_a_stop_string_does_not_end_a_call(family: str, form: int, stop: str) -> None:
    assert said(family, calls_of(family, [PARIS], form), spellings=("tokens",), stop=(stop,)) == wanted(PARIS)


@each_form
def test_t15_a_model_that_ends_within_a_call(family: str, form: int) -> None:
    text = calls_of(family, [PARIS], form)
    text = text[: text.rindex("Paris") + 3]
    for _, answer in cut_answers(family, text, STOP, last=3):
        assert all(call[0] == "call!" for call in calls_in(answer))
    answer = said(family, text)
    assert not calls_in(answer) or calls_in(answer)[0][0] == "call!"


def test_t15_a_call_that_begins_again_before_its_end() -> None:
    text = "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n<tool_call>\n<function=get_weather>"
    for family in ("qwen3_coder", "nemotron_v3"):
        assert all(item[0] != "call" for item in said(family, text))


# -- D1: reasoning, one token at a time


@each_thinking
@pytest.mark.parametrize(
    "text",
    ["Code:\n<b>x</b>\nend", "a <b> c <d> e", "if x < y then", "see [1] and {2}", "Code:\n<b>x</b>"],
)
def test_d1_reasoning_is_not_doubled(family: str, text: str) -> None:
    thinking = ALL_FAMILIES[family].thinking[0]
    answer = said(family, f"{thinking.begin}{text}{thinking.end}Hi.")
    assert answer == [("reasoning", text), ("text", "Hi.")]


# -- T1, T2, T5, T6


@each_form
@pytest.mark.parametrize("value", ["print </tool_call> now", "a [TOOL_CALLS] b", "</div></function>", "</div>"])
def test_t1_marks_in_a_value(family: str, form: int, value: str) -> None:
    call = ("get_weather", {"city": value})
    assert said(family, calls_of(family, [call], form)) == wanted(call)


@with_arguments(Tags)
def test_t2_a_value_that_is_not_closed(family: str, form: int) -> None:
    tags = row_of(family, form).arguments
    text = calls_of(family, [PARIS], form)
    end = tags.pad + tags.end + tags.after
    at = text.rindex(end)
    for answer in (said(family, text[:at] + rest + text[at + len(end) :]) for rest in ("", tags.pad)):
        ((kind, name, arguments),) = answer
        assert (kind, name) == ("call", "get_weather")
        assert json.loads(arguments)["city"].strip() == "Paris"


@with_arguments(Tags)
def test_t5_white_space_at_the_end_of_a_value(family: str, form: int) -> None:
    call = ("get_weather", {"city": "a\n"})
    assert said(family, calls_of(family, [call], form)) == wanted(call)


@each_form
def test_t6_an_empty_section_loses_nothing(family: str, form: int) -> None:
    opened, closed = (mark.strip() for mark in row_of(family, form).section)
    if opened and closed and not row_of(family, form).bracket:
        text = f"Before. {opened}{closed} After it."
        assert said(family, text) == [("text", text)]


# -- T7c, T9c, R2, R1: marks where they mean nothing


@each_form
def test_t7c_a_quoted_call_without_tools_is_text(family: str, form: int) -> None:
    for text in (f"See: {calls_of(family, [PARIS], form)}", f"See: {calls_of(family, [PARIS], form)[:20]}"):
        assert said(family, text, tools=EMPTY) == [("text", text)]


@pytest.mark.parametrize("family", THINKING_WITH_MARKS)
def test_t9c_a_call_in_reasoning(family: str) -> None:
    thinking = ALL_FAMILIES[family].thinking[0]
    call = calls_of(family, [PARIS])
    answer = said(family, f"{thinking.begin}I need it.\n{call}\n{thinking.end.strip()}")
    assert answer == [("reasoning", "I need it."), *wanted(PARIS)]


@each_thinking
@pytest.mark.parametrize(
    "text",
    [
        "Some write <tool_call> and others <function=f>; I will not.",
        "Some write [TOOL_CALLS] and others [ARGS]; I will not.",
        "Some write <|tool_calls_section_begin|> and others <|tool_call_begin|>f; I will not.",
    ],
)
def test_r2_marks_that_reasoning_speaks_of(family: str, text: str) -> None:
    thinking = ALL_FAMILIES[family].thinking[0]
    answer = said(family, f"{thinking.begin}{text}{thinking.end}Hi there.")
    assert answer == [("reasoning", text), ("text", "Hi there.")]


@pytest.mark.parametrize("family", ANY)
@pytest.mark.parametrize("text", ['{"doc": "use <think> tags"}', '{"doc": "</think>"}'])
def test_r1_marks_of_reasoning_in_an_answer(family: str, text: str) -> None:
    head, before = reasons(family)
    assert said(family, head + text) == [*before, ("text", text)]


# -- T10, T13


@pytest.mark.parametrize("family", ANY)
@pytest.mark.parametrize("text", ['{"city": "Paris"}', "{not json", '{"name": "Alice", "age": 30}'])
def test_t10_an_answer_that_begins_like_an_object_is_text(family: str, text: str) -> None:
    head, before = reasons(family)
    assert said(family, head + text, tools=TOOLS) == [*before, ("text", text)]


@with_arguments(Json)
def test_t13_half_a_surrogate_pair(family: str, form: int) -> None:
    text = calls_of(family, [PARIS], form).replace("Paris", "\\ud83d")
    ((kind, name, arguments),) = said(family, text)
    assert (kind, name, json.loads(arguments)) == ("call", "get_weather", {"city": "\ufffd"})
