"""Constraints, by what xgrammar takes and refuses: each family's own writing of what was asked for."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Elements, Family, Json, Literals, Tags
from realtime.dialects.markup.machine import Start
from realtime.dialects.markup.tags import Asked, TagWriter
from realtime.dialects.markup.writer import write_calls, write_reasoning
from realtime.engine.parsing import BadSpec
from tests.support.grammars import expanded
from tests.support.long import effort
from tests.support.markup import HARD

PLACE: dict[str, Any] = {
    "type": "function",
    "name": "place",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"$ref": "#/$defs/Kind"},
            "size": {"type": "integer"},
            "big": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "more": {
                "type": "object",
                "properties": {"x": {"type": "number"}},
                "required": ["x"],
                "additionalProperties": False,
            },
        },
        "required": ["name", "kind", "more"],
        "additionalProperties": False,
        "$defs": {"Kind": {"enum": ["city", "town"]}},
    },
}
FREE: dict[str, Any] = {
    "type": "function", "name": "free", "strict": False, "parameters": {"type": "object", "properties": {}},
}  # fmt: skip
GOOD: list[dict[str, Any]] = [
    {"name": "Paris", "kind": "city", "more": {"x": 1.5}},
    {"name": 'a "b" <c> {d}', "kind": "town", "size": 3, "big": True, "tags": ["a", "b"], "more": {"x": 2}},
    {"name": "", "kind": "city", "big": False, "tags": [], "more": {"x": 0}},
]
BAD: list[dict[str, Any]] = [
    {"name": "Paris", "kind": "village", "more": {"x": 1}},
    {"name": "Paris", "more": {"x": 1}},
    {"name": "Paris", "kind": "city", "size": "big", "more": {"x": 1}},
    {"name": "Paris", "kind": "city", "more": {"y": 1}},
    {"name": "Paris", "kind": "city", "more": {"x": 1}, "nope": "x"},
]
GRAMMAR = {"type": "custom", "name": "say", "format": {"type": "grammar", "syntax": "regex", "definition": "ab+c"}}
FAMILIES = list({row.calls[0]: name for name, row in reversed(ALL_FAMILIES.items()) if row.calls}.values())
NO_MARK = {"muse_glimmer"}  # calls begin with a plain word
each_family = pytest.mark.parametrize("family", FAMILIES)


@functools.cache
def _compiler() -> Any:
    import xgrammar

    vocabulary = [chr(code) for code in range(128)]
    return xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(vocabulary, stop_token_ids=[0]))


def takes(family: str, asked: Asked, *answers: str) -> list[bool]:
    """Which of these answers the constraint takes, to their end."""
    import xgrammar

    tag = TagWriter(ALL_FAMILIES[family], {}).write(asked)
    assert tag is not None
    compiled = _compiler().compile_structural_tag(expanded(tag))
    found = []
    for answer in answers:
        matcher = xgrammar.GrammarMatcher(compiled)
        found.append(bool(matcher.accept_string(answer)) and bool(matcher.accept_token(0)))
    return found


def written(family: str, *calls: tuple[str, dict[str, Any]]) -> str:
    """These calls; without their mark where the family needs none."""
    form = ALL_FAMILIES[family].calls[0]
    said = write_calls(form, calls)
    return said.removeprefix(form.section[0]).removesuffix(form.section[1]) if form.bare else said


@each_family
def test_a_strict_tool_that_must_be_called(family: str) -> None:
    asked = Asked(tools=tool_set([PLACE, FREE], "required", None), start=Start.ANSWER)
    assert takes(family, asked, *(written(family, ("place", one)) for one in GOOD)) == [True] * len(GOOD)
    assert takes(family, asked, *(written(family, ("place", one)) for one in BAD)) == [False] * len(BAD)
    assert takes(family, asked, "Hi.", "", written(family, ("nope", {}))) == [False] * 3


@each_family
def test_a_strict_tool_that_may_be_called(family: str) -> None:
    asked = Asked(tools=tool_set([PLACE, FREE], None, None), start=Start.ANSWER)
    if family in NO_MARK:
        assert TagWriter(ALL_FAMILIES[family], {}).write(asked) is None
        return
    good, bad = (written(family, ("place", one)) for one in (GOOD[1], BAD[0]))
    assert takes(family, asked, "Hi <b> [x] {y}.", good, bad) == [True, True, False]
    if not ALL_FAMILIES[family].calls[0].bare:
        assert takes(family, asked, f"I look. {good}", f"I look. {bad}") == [True, False]


@each_family
def test_a_tool_that_is_not_strict(family: str) -> None:
    asked = Asked(tools=tool_set([FREE, PLACE], None, None), start=Start.ANSWER)
    if family in NO_MARK:
        return
    simple = {key: value for key, value in HARD[1].items() if key != "deep"}
    calls = [written(family, ("free", {})), written(family, ("free", simple))]
    assert takes(family, asked, *calls) == [True, True]


@each_family
def test_several_calls_and_one(family: str) -> None:
    form = ALL_FAMILIES[family].calls[0]
    one, two = written(family, ("place", GOOD[0])), written(family, ("place", GOOD[0]), ("place", GOOD[1]))
    assert takes(family, Asked(tools=tool_set([PLACE], "required", False), start=Start.ANSWER), one, two) == [
        True,
        False,
    ]
    both = Asked(tools=tool_set([PLACE], "required", True), start=Start.ANSWER)
    assert takes(family, both, one, two) == [True, form.several]


@each_family
def test_reasoning_stays_free(family: str) -> None:
    row = ALL_FAMILIES[family]
    if not row.thinking:
        return
    call = written(family, ("place", GOOD[0]))
    head = write_reasoning(row, "Let me <b> see: [x].")
    tools = tool_set([PLACE], "required", None)
    assert takes(family, Asked(tools=tools), head + call, call) == [True, True]
    begun = head.removeprefix(row.thinking[0].begin)
    assert takes(family, Asked(tools=tools, start=Start.REASONING), begun + call, call) == [True, False]


@each_family
def test_an_output_format(family: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    alone = Asked(tools=tool_set([], None, None), schema=schema, start=Start.ANSWER)
    assert takes(family, alone, '{"a": 1}', '\n\n{"a": 1}', '{"a": "x"}', "Hi") == [True, False, False, False]
    beside = Asked(tools=tool_set([PLACE], None, None), schema=schema, start=Start.ANSWER)
    call = written(family, ("place", GOOD[0]))
    assert takes(family, beside, '{"a": 1}', call, "Hi") == [True, True, False]


@each_family
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_the_input_of_a_custom_tool_matches_its_grammar(family: str, choice: str) -> None:
    asked = Asked(tools=tool_set([GRAMMAR, FREE], choice, None), start=Start.ANSWER)
    if family in NO_MARK and choice == "auto":
        assert TagWriter(ALL_FAMILIES[family], {}).write(asked) is None
        return
    good, bad = (
        written(family, ("say", {"input": one})).replace("='", '="').replace("')", '")') for one in ("abbc", "ac")
    )
    assert takes(family, asked, good, bad) == [True, False]


def test_nothing_is_held_to_what_was_not_asked_for() -> None:
    writer = TagWriter(ALL_FAMILIES["qwen3"], {})
    assert writer.write(Asked(tools=tool_set([FREE], None, None))) is None
    assert writer.write(Asked(tools=tool_set([PLACE], "none", None))) is None
    assert writer.write(Asked(tools=tool_set([], None, None))) is None


def test_control_tokens_are_named_by_their_ids() -> None:
    special = {"[TOOL_CALLS]": 9, "[ARGS]": 10, "[THINK]": 11, "[/THINK]": 12}
    tag = TagWriter(ALL_FAMILIES["mistral"], special).write(Asked(tools=tool_set([PLACE], "required", None)))
    assert tag is not None
    assert not any(mark in tag for mark in special)
    assert all(f'"token": {token}' in tag for token in special.values())
    tag = TagWriter(ALL_FAMILIES["mistral"], special).write(Asked(tools=tool_set([PLACE], None, None)))
    assert '"token_dispatch", "rules": [[9,' in (tag or "")


@each_family
def test_a_tool_that_nothing_was_said_of_is_held_like_a_strict_one(family: str) -> None:
    place = {key: value for key, value in PLACE.items() if key != "strict"}
    asked = Asked(tools=tool_set([place, FREE], "required", None), start=Start.ANSWER)
    good, bad = (written(family, ("place", one)) for one in (GOOD[1], BAD[0]))
    assert takes(family, asked, good, bad) == [True, False]


def test_what_can_not_be_held_to_is_refused() -> None:
    parameters = {"anyOf": [{"type": "object", "properties": {}}]}
    for family in FAMILIES:
        row = ALL_FAMILIES[family]
        reason = TagWriter(row, {}).misfit(parameters)
        assert (reason is not None) == isinstance(row.calls[0].arguments, Tags | Elements | Literals)
        assert TagWriter(row, {}).misfit(PLACE["parameters"]) is None
    with pytest.raises(BadSpec):
        TagWriter(Family(name="mute"), {}).write(Asked(tools=tool_set([FREE], "required", None)))


def test_a_schema_that_grows_without_end_is_refused_at_once() -> None:
    """Each of these would be written out more often than there are atoms."""
    deep = {f"A{n}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/A{n + 1}"} for k in "abcdefgh"}}
            for n in range(15)}  # fmt: skip
    doubled = {"type": "object", "properties": {"x": {"$ref": "#/$defs/A0"}}, "$defs": {**deep, "A15": {}}}
    again = {"type": "object", "properties": {k: {"$ref": "#/$defs/A"} for k in "abcdefgh"}}
    for family in FAMILIES:
        row = ALL_FAMILIES[family]
        for parameters in (doubled, {**again, "$defs": {"A": again}}):
            found = TagWriter(row, {}).misfit(parameters)
            literal = row.calls[0].arguments
            in_json = isinstance(literal, Literals) and literal.escapes
            assert (found is not None) == (isinstance(literal, Literals | Elements) and not in_json)


def test_what_is_written_more_than_once_is_bounded() -> None:
    """Members that may be missing, within such members; and definitions, for each reference to them."""
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(8):
        nested = {"type": "object", "properties": {**{k: {"type": "string"} for k in "abcdefgh"}, "z": nested}}
    names = [f"p{n}" for n in range(2000)]
    definitions = {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}},
        "B": {"description": "x" * 50_000},
    }
    shared = {
        "type": "object", "required": names, "properties": {name: {"$ref": "#/$defs/A"} for name in names},
        "$defs": definitions,
    }  # fmt: skip
    for family in FAMILIES:
        for parameters in (nested, shared):
            writer = TagWriter(ALL_FAMILIES[family], {})
            if writer.misfit(parameters) is None:
                tool = {"type": "function", "name": "f", "strict": True, "parameters": parameters}
                tag = writer.write(Asked(tools=tool_set([tool], "required", None)))
                assert tag is not None
                assert len(tag) < 8 << 20


def test_plain_tools_may_have_as_many_arguments_as_are_accepted() -> None:
    names = [f"p{number}" for number in range(4000)]
    parameters = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
    for family in FAMILIES[:: effort(5, 1)]:
        if isinstance(ALL_FAMILIES[family].calls[0].arguments, Tags | Json):
            assert TagWriter(ALL_FAMILIES[family], {}).misfit(parameters) is None


@each_family
def test_texts_that_may_be_null_are_held_to(family: str) -> None:
    shapes = [
        {"anyOf": [{"$ref": "#/$defs/Kind"}, {"type": "null"}]}, {"type": ["string", "null"], "enum": ["city", None]},
        {"allOf": [{"$ref": "#/$defs/Kind"}]}, {"anyOf": [{"const": "city"}, {"enum": ["town"]}]},
    ]  # fmt: skip
    for shape in shapes:
        parameters = {**PLACE["parameters"], "properties": {"kind": shape}, "required": ["kind"]}
        tools = tool_set([{**PLACE, "parameters": parameters}], "required", None)
        said = [written(family, ("place", {"kind": kind})) for kind in ("city", "village")]
        assert takes(family, Asked(tools=tools, start=Start.ANSWER), *said) == [True, False]


ODD: list[dict[str, Any]] = [
    {"properties": [1]}, {"properties": None}, {"required": 5, "properties": {"a": {}}},
    {"required": None, "properties": {"a": {}}}, {"properties": {"a": {"type": "object", "properties": 5}}},
    {"properties": {"a": {"type": "object", "required": 3, "properties": {"b": {}}}}},
    {"properties": {"a": {"type": "string", "enum": 5}}}, {"properties": {"a": {"type": "string", "minLength": "x"}}},
    {"properties": {"a": {"type": "array", "items": [1]}, "b": True, "c": {"$ref": 5}, "d": {"anyOf": [5, {}]}}},
]  # fmt: skip


@each_family
def test_what_is_no_schema_is_refused_or_ignored(family: str) -> None:
    writer = TagWriter(ALL_FAMILIES[family], {})
    in_json = isinstance(ALL_FAMILIES[family].calls[0].arguments, Json)
    for number, odd in enumerate(ODD):
        misfit = writer.misfit({"type": "object", **odd})
        assert number >= 4 or (misfit is None) == in_json
