"""Every family's answers through the machine, in every form that the table has, and what was seen to fail elsewhere."""

from __future__ import annotations

import json

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Elements, Json, Member, Tags
from realtime.dialects.markup.machine import Start
from realtime.engine.base import FinishReason
from tests.support.long import places
from tests.support.markup import (
    ANYTHING,
    EMPTY,
    HARD,
    NONE,
    NOTHING,
    OSLO,
    PARIS,
    WEATHER,
    brief,
    calls_of,
    pieces_of,
    reasons,
    said,
    speaker,
    wanted,
)  # fmt: skip

# Each way to write calls once, in the first family that has it.
FORMS = list(
    {
        calls: (name, form)
        for name, row in reversed(ALL_FAMILIES.items())
        for form, calls in reversed(list(enumerate(row.calls)))
    }.values()
)
SEVERAL = [(name, form) for name, form in FORMS if ALL_FAMILIES[name].calls[form].several]
MARKED = [
    (name, form)
    for name, form in FORMS
    if not ALL_FAMILIES[name].calls[form].bare or ALL_FAMILIES[name].calls[form].section[0]
]
BARE = [(name, form) for name, form in FORMS if ALL_FAMILIES[name].calls[form].bare]
TAGS = [(name, form) for name, form in FORMS if isinstance(ALL_FAMILIES[name].calls[form].arguments, Tags)]
JSONS = [(name, form) for name, form in FORMS if isinstance(ALL_FAMILIES[name].calls[form].arguments, Json)]
THINKING = list({(row.thinking, row.calls): name for name, row in ALL_FAMILIES.items() if row.thinking}.values())
each_form = pytest.mark.parametrize(("family", "form"), FORMS)
each_marked = pytest.mark.parametrize(("family", "form"), MARKED)
each_tags = pytest.mark.parametrize(("family", "form"), TAGS)
each_thinking = pytest.mark.parametrize("family", THINKING)
LENGTH = FinishReason.LENGTH


def _mark(family: str, form: int) -> str:
    """What stands before the family's calls, up to the name."""
    return calls_of(family, [PARIS], form).split("get_weather")[0]


def _end(family: str, form: int) -> str:
    calls = ALL_FAMILIES[family].calls[form]
    return (calls.close + calls.call[1]).strip()


@each_form
def test_reasoning_and_a_call(family: str, form: int) -> None:
    head, want = reasons(family)
    for call in (PARIS, HARD, NOTHING):
        assert said(family, head + calls_of(family, [call], form)) == [*want, *wanted(call)]


@pytest.mark.parametrize(("family", "form"), SEVERAL)
def test_several_calls(family: str, form: int) -> None:
    calls = [PARIS, NOTHING, HARD, OSLO]
    assert said(family, calls_of(family, calls, form)) == wanted(*calls)


@each_marked
def test_text_before_and_after_a_call(family: str, form: int) -> None:
    head, want = reasons(family)
    call = calls_of(family, [PARIS], form)
    text = f"{head}I look.{call if call.startswith(' ') else f' {call}'}\n\nDone, <b> [x] {{y}}."
    assert said(family, text) == [*want, ("text", "I look. "), *wanted(PARIS), ("text", "Done, <b> [x] {y}.")]


@each_thinking
def test_reasoning_again_after_a_call(family: str) -> None:
    head, want = reasons(family)
    text = f"{head}{calls_of(family, [PARIS])}{head}So."
    assert said(family, text) == [*want, *wanted(PARIS), *want, ("text", "So.")]


@each_thinking
def test_reasoning_that_the_template_began(family: str) -> None:
    head, _ = reasons(family)
    thinking = ALL_FAMILIES[family].thinking[0]
    bare = head.removeprefix(thinking.begin)
    for text in (bare + "Hi.", head + "Hi."):
        assert said(family, text, start=Start.REASONING) == [("reasoning", "Let me see."), ("text", "Hi.")]


@each_thinking
def test_reasoning_that_is_cut(family: str) -> None:
    begin = ALL_FAMILIES[family].thinking[0].begin
    assert said(family, f"{begin}Let me see ", finish=LENGTH) == [("reasoning", "Let me see")]


# -- a call that is cut is not complete (L1, L2, T15)


@each_form
@pytest.mark.parametrize("finish", [LENGTH, FinishReason.STOP])
def test_a_call_is_complete_only_if_its_end_was_seen(family: str, form: int, finish: FinishReason) -> None:
    whole = calls_of(family, [HARD], form)
    full = wanted(HARD)[0][2]
    row = ALL_FAMILIES[family].calls[form]
    end = len(whole.removesuffix(row.section[1]).removesuffix("]" if row.bracket else "").rstrip())
    one = speaker(family)
    ids = one.tokens(whole)
    for cut in places(len(ids))[:-1]:
        got = brief(pieces_of(one, ids[:cut], [cut] if cut else [], finish=finish)[0])
        for item in got:
            if item[0] == "call":
                assert item[1:] == ("get_weather", full)
                assert finish is FinishReason.STOP or len(one._decode(ids[:cut])) >= end
            if item[0] == "call!":
                assert item[1] == "get_weather"


@each_form
def test_every_cut_of_an_answer_says_all_of_it_once(family: str, form: int) -> None:
    head, _ = reasons(family)
    text = f"{head}{calls_of(family, [PARIS], form)}"
    full = wanted(PARIS)[0][2]
    one = speaker(family, "letters")
    ids = one.tokens(text)
    for cut in places(len(ids)):
        for sizes in ([1] * cut, [cut] if cut else []):
            got = brief(pieces_of(one, ids[:cut], sizes, finish=LENGTH)[0])
            calls = [item for item in got if item[0].startswith("call")]
            assert len(calls) <= 1
            assert all(full.startswith(call[2]) for call in calls), calls
            if not calls and not head.startswith(text[:cut]):
                held = "".join(item[1] for item in got if item[0] == "text")
                assert text[len(head) : cut].split() == held.split()


@each_form
def test_a_name_is_a_call_only_when_it_is_whole(family: str, form: int) -> None:
    longer = {**ANYTHING, "name": "get_weather_tomorrow"}
    tools = tool_set([{**WEATHER, "name": "get"}, longer], None, None)
    text = calls_of(family, [("get_weather", {})], form)
    assert not any(item[0].startswith("call") for item in said(family, text, tools=tools))
    assert said(family, calls_of(family, [("get", {})], form), tools=tools) == [("call", "get", "{}")]


# -- marks in strings and values (T1), values without an end (T2)


@each_form
def test_marks_in_a_string_are_letters(family: str, form: int) -> None:
    row = ALL_FAMILIES[family].calls[form]
    closer = _end(family, form).split("\n")[-1]
    opener = _mark(family, form).strip().split("\n")[0]
    for mark in (closer, opener, "[TOOL_CALLS]", "</tool_call>", "<think>", "</think>", "]", "}", ")"):
        if mark in (getattr(row.arguments, "end", None), *getattr(row.arguments, "quotes", ())):
            continue
        if isinstance(row.arguments, Elements) and row.arguments.before in mark:
            continue
        call = ("get_weather", {"city": f"print {mark} now", "note": mark})
        assert said(family, calls_of(family, [call], form)) == wanted(call)


@each_tags
def test_the_end_of_a_call_ends_a_value_that_is_open(family: str, form: int) -> None:
    row = ALL_FAMILIES[family].calls[form]
    tags = row.arguments
    assert isinstance(tags, Tags)
    end = tags.end + tags.after
    layout = "" if row.close else row.call[1][: -len(row.call[1].lstrip())]  # may as well be the value's
    for arguments, want in (({"city": "Paris"}, {"city": "Paris" + layout}), ({"deep": {"a": 1}},) * 2):
        text = calls_of(family, [("get_weather", arguments)], form)
        at = text.rindex(end)
        assert said(family, text[:at] + text[at + len(end) :]) == wanted(("get_weather", want))


@each_tags
def test_white_space_in_values_is_the_models(family: str, form: int) -> None:
    for value in ("a\n", "\na", " a ", "\n\n", "", "\n", "a\n\nb"):
        call = ("get_weather", {"city": value})
        assert said(family, calls_of(family, [call], form)) == wanted(call)


@each_tags
def test_values_become_json_by_the_schema(family: str, form: int) -> None:
    text = calls_of(
        family, [("get_weather", {"city": "1", "num": 12345678901234567890, "yes": True, "note": None})], form
    )
    assert said(family, text) == [
        ("call", "get_weather", '{"city": "1", "num": 12345678901234567890, "yes": true, "note": null}')
    ]
    text = calls_of(family, [("get_weather", {"note": "nullx"})], form)
    assert said(family, text) == wanted(("get_weather", {"note": "nullx"}))


# -- marks where they mean nothing (T7c, T9c, R1, R2, T6, T10)


@each_form
def test_without_tools_a_call_is_text(family: str, form: int) -> None:
    for tools in (EMPTY, NONE):
        for text in (f"See: {calls_of(family, [PARIS], form)} so.", calls_of(family, [PARIS], form)):
            assert said(family, text, tools=tools) == [("text", text)]


@each_form
def test_a_call_of_a_tool_that_is_not_offered_is_text(family: str, form: int) -> None:
    text = calls_of(family, [("nope", {"city": "Paris"})], form) + " so."
    assert said(family, text) == [("text", text)]


@each_marked
def test_a_mark_without_a_call_is_text(family: str, form: int) -> None:
    mark = _mark(family, form).strip()
    text = f"Some write {mark} and others {mark}get_weat; I will not {mark}."
    assert said(family, text) == [("text", text)]


@each_thinking
def test_in_reasoning_a_mark_without_a_call_is_reasoning(family: str) -> None:
    thinking = ALL_FAMILIES[family].thinking[0]
    mark = _mark(family, 0).strip()
    text = f"Some write {mark} and others <function=f>; I will not: {mark}"
    want = [("reasoning", text), ("text", "Hi there.")]
    assert said(family, f"{thinking.begin}{text}{thinking.end}Hi there.") == want


@each_thinking
def test_a_call_in_reasoning_is_a_call(family: str) -> None:
    thinking = ALL_FAMILIES[family].thinking[0]
    call = calls_of(family, [PARIS])
    if ALL_FAMILIES[family].calls[0] in [ALL_FAMILIES[name].calls[form] for name, form in MARKED]:
        want = [("reasoning", "I need it."), *wanted(PARIS)]
        assert said(family, f"{thinking.begin}I need it.\n{call}{thinking.end}") == want
        assert said(family, f"{thinking.begin}I need it.\n{call}") == want


@each_thinking
def test_in_an_answer_the_marks_of_reasoning_are_letters(family: str) -> None:
    head, want = reasons(family)
    thinking = ALL_FAMILIES[family].thinking[0]
    text = f'{{"doc": "use {thinking.begin} tags"}} or {thinking.end.strip()} there'
    assert said(family, head + text) == [*want, ("text", text)]
    assert said(family, text, start=Start.ANSWER) == [("text", text)]


def test_an_empty_section_is_text() -> None:
    text = "Before. <|tool_calls_section_begin|><|tool_calls_section_end|> After it."
    assert said("kimi_k2", text) == [("text", text)]


LOOKALIKES = (
    '{"city": "Paris"}', "{not json", '{"name": "Alice", "age": 30}', '{"name": "get_weather", "age": 3}', "[1, 2]",
    "[get_weather]", '{"name"', "[", "get_weather(", '{"name": "get_weather"', '[{"a": 1}]',
)  # fmt: skip


@pytest.mark.parametrize(("family", "form"), BARE)
def test_an_answer_that_looks_like_a_bare_call_is_text(family: str, form: int) -> None:
    head, want = reasons(family)
    for text in LOOKALIKES:
        assert said(family, head + text) == [*want, ("text", text)]


@pytest.mark.parametrize(("family", "form"), BARE)
def test_a_call_without_marks(family: str, form: int) -> None:
    row = ALL_FAMILIES[family].calls[form]
    head, want = reasons(family)
    text = calls_of(family, [PARIS, HARD], form).removeprefix(row.section[0])
    assert said(family, head + text) == [*want, *wanted(PARIS, HARD)]


# -- JSON that is JSON (T13)


@pytest.mark.parametrize(("family", "form"), JSONS)
def test_half_a_surrogate_pair_is_replaced(family: str, form: int) -> None:
    text = calls_of(family, [("get_weather", {"city": "SURROGATE", "note": "PAIR"})], form)
    text = text.replace("SURROGATE", "\\ud83d x \\udc00").replace("PAIR", "\\ud83d\\ude00")
    (call,) = said(family, text)
    assert call[0] == "call"
    assert json.loads(call[2]) == {"city": "\ufffd x \ufffd", "note": "😀"}


@pytest.mark.parametrize(("family", "form"), JSONS)
def test_what_is_not_json_is_not_complete(family: str, form: int) -> None:
    for bad in ('{"city": Paris}', '{"city": <x>}', '{"city" "x"}', "{'city': 1}"):
        got = said(family, calls_of(family, [PARIS], form).replace('{"city": "Paris"}', bad))
        assert all(item[0] != "call" for item in got)


@pytest.mark.parametrize(("family", "form"), [
    (family, form) for family, form in JSONS if isinstance(ALL_FAMILIES[family].calls[form].head, Member)
])  # fmt: skip
def test_members_in_any_order(family: str, form: int) -> None:
    text = calls_of(family, [PARIS], form)
    head = ALL_FAMILIES[family].calls[form].head
    assert isinstance(head, Member)
    first, second = f'"{head.name[0]}": "get_weather"', f'"{head.arguments[0]}": {{"city": "Paris"}}'
    assert said(family, text.replace(f"{first}, {second}", f"{second}, {first}")) == wanted(PARIS)


# -- reasoning, one token at a time (D1)


@each_thinking
def test_reasoning_is_said_once(family: str) -> None:
    thinking = ALL_FAMILIES[family].thinking[0]
    for text in (
        "Code:\n<b>x</b>\nend",
        "a <b> c <d> e",
        "if x < y then",
        "see [1] and {2}",
        "a |b| `c` <",
        "<",
        "\n\nb  c",
    ):
        want = [("reasoning", text.lstrip()), ("text", "Hi")]
        assert said(family, f"{thinking.begin}{text}{thinking.end}Hi") == want


# -- stop strings


@each_form
def test_stop_strings_count_in_text_only(family: str, form: int) -> None:
    head, want = reasons(family)
    stop = ("city", "see", '"', "}", "STOP")
    row = ALL_FAMILIES[family].calls[form]
    text = f"{head}{calls_of(family, [PARIS], form)}"
    assert said(family, text, stop=stop) == [*want, *wanted(PARIS)]
    if not row.bare:
        assert said(family, f"{text}\nNow STOP it", stop=stop) == [*want, *wanted(PARIS), ("text", "Now ")]


def test_a_stop_string_is_found_however_it_comes() -> None:
    for text, want in {
        "abc STOP def": "abc ",
        "abc STO": "abc STO",
        "STOP": "",
        "a SSTOP": "a S",
        "x c ST": "x c ST",
    }.items():
        got = said("qwen3", text, stop=("STOP", "STOPPER"))
        assert got == ([("text", want)] if want else [])


def test_only_the_first_of_parallel_calls_is_kept_when_they_are_not_allowed() -> None:
    one = tool_set([WEATHER, ANYTHING], None, False)
    for family, form in SEVERAL:
        assert said(family, calls_of(family, [PARIS, NOTHING, HARD], form), tools=one) == wanted(PARIS)


def test_a_custom_tool_gets_its_text() -> None:
    for family, form in FORMS:
        call = calls_of(family, [("note", {"input": 'a "b"\n<x>'})], form)
        assert said(family, call) == [("call", "note", 'a "b"\n<x>')]


def test_a_number_behind_the_name_is_not_part_of_it() -> None:
    arguments = '<|open|>argument key="city" type="string"<|sep|>Paris<|close|>argument<|sep|>'
    calls = (
        f'<|open|>call tool="get_weather" index="{index}"<|sep|>{arguments}<|close|>call<|sep|>' for index in (1, 12)
    )
    text = f"<|open|>tools<|sep|>{''.join(calls)}<|close|>tools<|sep|>"
    assert said("kimi_k3", text) == wanted(PARIS, PARIS)
    text = '[TOOL_CALLS]get_weather[CALL_ID]aB3dE6gH9[ARGS]{"city": "Paris"}'
    assert said("mistral", text) == wanted(PARIS)


def test_a_call_whose_object_lacks_its_last_brace_or_has_one_too_many() -> None:
    for end in ("}", "}}}", '}, "id": "x"}'):
        text = f'<tool_call>\n{{"name": "get_weather", "arguments": {{"city": "Paris"{end}\n</tool_call>\nDone.'
        assert said("qwen3", text) == [*wanted(PARIS), ("text", "Done.")]


def test_arguments_that_are_a_text_or_nothing() -> None:
    for written, want in (('"{\\"city\\": \\"Paris\\"}"', PARIS), ("null", ("get_weather", {}))):
        text = f'<tool_call>\n{{"name": "get_weather", "arguments": {written}}}\n</tool_call>'
        assert said("qwen3", text) == wanted(want)


@each_marked
def test_a_call_without_its_end_is_complete_only_if_another_follows(family: str, form: int) -> None:
    row = ALL_FAMILIES[family].calls[form]
    end = row.call[1]
    if not end.strip() or isinstance(row.arguments, Tags) or not row.several:
        return
    text = calls_of(family, [PARIS, OSLO], form)
    first, _, second = text.partition(end)
    assert said(family, first + second) == wanted(PARIS, OSLO)
    cut = [("call!", *wanted(PARIS)[0][1:]), ("text", "So it is.")]
    assert said(family, first.removesuffix(row.close) + "\nSo it is.") == cut
