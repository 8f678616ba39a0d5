"""What a model may be held to is bounded, row by row, and measured in linear time without recursion."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.client_tools import CLIENT_TOOLS
from realtime.wire.bounds import Bound
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.grammar_bounds import check_grammars
from realtime.wire.json_size import num_bytes
from realtime.wire.limits import DEFAULT, Limits
from realtime.wire.schema_bounds import check_schemas
from realtime.wire.schema_keywords import Keywords
from realtime.wire.schema_walk import SchemaWalk

Schema = dict[str, Any]


def refused(schema: Schema) -> str | None:
    """Why a schema is refused."""
    return _reason(lambda: check_schemas([(schema, "here")]))


def grammar_refused(syntax: str, definition: str) -> str | None:
    """Why a grammar is refused."""
    return _reason(lambda: check_grammars([(syntax, definition, "here")]))


def _reason(check: Callable[[], None]) -> str | None:
    error = None
    try:
        check()
    except WireError as caught:
        error = caught
    if error is None:
        return None
    assert (error.code, error.param) == (ErrorCode.INVALID_REQUEST, "here")
    assert error.message.startswith("`here`: ")
    assert len(error.message) < 400
    return error.message


def pattern(text: str) -> Schema:
    return {"type": "string", "pattern": text}


def properties(count: int, *, optional: int = 0, **members: Any) -> Schema:
    named: Schema = {f"p{n}": {} for n in range(count)}
    return {"type": "object", "properties": named, "required": list(named)[optional:], **members}


def nested(levels: int) -> Schema:
    schema: Schema = {}
    for _ in range(levels - 1):
        schema = {"items": schema}
    return schema


def chain(levels: int) -> Schema:
    """Definitions, each of which has the next one in a property; the root refers to the first."""
    named: Schema = {f"D{n}": {"properties": {"x": {"$ref": f"#/$defs/D{n + 1}"}}} for n in range(levels)}
    return {"$defs": {**named, f"D{levels}": {"type": "integer"}}, "$ref": "#/$defs/D0"}


def ring(count: int) -> Schema:
    """Definitions, each of which has the next one in a property, and the last one the first."""
    named = {
        f"D{n}": {"properties": {"x": {"$ref": f"#/$defs/D{(n + 1) % count}"}, "y": nested(5)}} for n in range(count)
    }
    return {"$defs": named, "properties": {"x": {"$ref": "#/$defs/D0"}}}


AT_THE_LIMIT: list[tuple[Bound, Schema, Schema]] = [
    (Bound.SCHEMA_BYTES, {"title": "x" * (256 * 1024 - 12)}, {"title": "x" * (256 * 1024 - 11)}),
    (Bound.DEPTH, nested(64), nested(65)),
    (Bound.DEPTH, chain(31), chain(32)),
    (Bound.RECURSIVE_DEPTH, ring(85), ring(86)),
    (Bound.PROPERTIES, properties(5000), properties(5001)),
    (Bound.OPTIONAL, properties(301, optional=300), properties(301, optional=301)),
    (Bound.COUNTED, properties(80, optional=64, minProperties=1), properties(80, optional=65, minProperties=1)),
    (Bound.COUNTED, properties(80, optional=64, maxProperties=9), properties(80, optional=65, maxProperties=9)),
    (Bound.ENUM_VALUES, {"enum": list(range(1000))}, {"enum": list(range(1001))}),
    (Bound.ENUM_CHARS, {"enum": ["x" * 59_999, "y"]}, {"enum": ["x" * 60_000, "y"]}),
    (Bound.PATTERN_CHARS, pattern("x" * 4096), pattern("x" * 4097)),
    (Bound.PATTERN_GROUPS, pattern("(" * 32 + "a" + ")*" * 32), pattern("(" * 33 + "a" + ")*" * 33)),
    (Bound.PATTERN_REPEAT, pattern("^a{0,128}$"), pattern("^a{0,129}$")),
    (Bound.PATTERN_REPEAT, pattern("^a{128}$"), pattern("^a{129}$")),
    (Bound.PATTERN_STEPS, pattern("([a-z]{127}b){128}"), pattern("([a-z]{127}b){128}c")),
]  # fmt: skip


@pytest.mark.parametrize(("bound", "at", "above"), AT_THE_LIMIT)
def test_a_schema_at_a_limit_is_taken_and_one_above_it_is_not(bound: Bound, at: Schema, above: Schema) -> None:
    assert refused(at) is None
    assert refused(above) == bound.error(DEFAULT, "here").message


GRAMMARS_AT_THE_LIMIT = [
    (Bound.GRAMMAR_CHARS, "lark", "//" + "x" * 131_070, "//" + "x" * 131_071),
    (Bound.GRAMMAR_GROUPS, "regex", "(" * 64 + "a" + ")" * 64, "(" * 65 + "a" + ")" * 65),
    (Bound.GRAMMAR_GROUPS, "lark", "start: " + "[(" * 32 + "A" + ")]" * 32, "start: " + "([" * 33 + "A" + "])" * 33),
    (Bound.GRAMMAR_GROUPS, "lark", f"A: /{'(' * 64}a{')' * 64}/", f"A: /{'(' * 65}a{')' * 65}/"),
    (Bound.GRAMMAR_REPEAT, "regex", "a{1024}", "a{1025}"),
    (Bound.GRAMMAR_REPEAT, "lark", 'start: "a"~1..1024', 'start: "a" ~ 1 .. 1025'),
    (Bound.GRAMMAR_REPEAT, "lark", "A: /a{1024}/", "A: /a{1025}/"),
    (Bound.GRAMMAR_REPEAT, "lark", 'root ::= "a"{1,1024}', 'root ::= "a"{1,1025}'),
    (Bound.GRAMMAR_STEPS, "regex", "(a{128}){128}", "(a{128}){128}b"),
    (Bound.GRAMMAR_STEPS, "lark", '("a"~128)~128', '("a"~128)~128 "b"'),
    (Bound.GRAMMAR_STEPS, "lark", '/a{128}/~128', '/a{128}/~129'),
]  # fmt: skip


@pytest.mark.parametrize(("bound", "syntax", "at", "above"), GRAMMARS_AT_THE_LIMIT)
def test_a_grammar_at_a_limit_is_taken_and_one_above_it_is_not(bound: Bound, syntax: str, at: str, above: str) -> None:
    assert grammar_refused(syntax, at) is None
    assert grammar_refused(syntax, above) == bound.error(DEFAULT, "here").message


@pytest.mark.parametrize("bound", [bound for bound in Bound if not bound.name.startswith("GRAMMAR")])
def test_each_limit_of_a_schema_can_be_set(bound: Bound) -> None:
    above = next((above for row, _, above in AT_THE_LIMIT if row is bound), {"title": "x" * 200_000})
    schemas = [(above, "here")] * (6 if bound is Bound.TOGETHER_BYTES else 1)
    with pytest.raises(WireError) as refusal:
        check_schemas(schemas)
    assert refusal.value.message == bound.error(DEFAULT, "here").message
    check_schemas(schemas, Limits(**{bound.value.setting: 4 * bound.limit(DEFAULT)}))


@pytest.mark.parametrize(("bound", "syntax", "at", "above"), GRAMMARS_AT_THE_LIMIT)
def test_each_limit_of_a_grammar_can_be_set(bound: Bound, syntax: str, at: str, above: str) -> None:
    check_grammars([(syntax, above, "here")], Limits(**{bound.value.setting: 4 * bound.limit(DEFAULT)}))


def test_the_rows_are_all_tried() -> None:
    tried = {row[0] for row in AT_THE_LIMIT} | {row[0] for row in GRAMMARS_AT_THE_LIMIT}
    assert set(Bound) - tried == {Bound.TOGETHER_BYTES}


def test_some_bounds_are_of_all_schemas_together() -> None:
    big: Schema = {"title": "x" * (256 * 1024 - 12)}
    check_schemas([(big, f"tools[{n}]") for n in range(4)])
    for bound, schemas in (
        (Bound.TOGETHER_BYTES, [big] * 4 + [{}]),
        (Bound.COUNTED, [properties(40, optional=40, minProperties=1)] * 2),
        (Bound.PATTERN_STEPS, [pattern("([a-z]{127}b){64}")] * 3),
    ):
        with pytest.raises(WireError) as caught:
            check_schemas([(schema, f"tools[{n}]") for n, schema in enumerate(schemas)])
        assert caught.value.message == bound.error(DEFAULT, f"tools[{len(schemas) - 1}]").message


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#"}, "the `$ref` to '#' leads only to itself"),
        ({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}, "'#/$defs/A' leads only to itself"),
        (
            {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}, "items": {"$ref": "#/$defs/A"}},
            "leads only to itself",
        ),
        ({"$ref": "#/$defs/nope"}, "the `$ref` to '#/$defs/nope' leads nowhere"),
        ({"type": "not-a-type"}, "`type` must be one of string, number"),
        ({"type": ["string", "text"]}, "not 'text'"),
        ({"type": None}, "`type` must be one of"),
        ({"properties": {"x": {"type": {}}}}, "`type` must be one of"),
        ({"anyOf": []}, "an empty `anyOf`"),
        ({"type": []}, "an empty `type`"),
        (pattern("(a"), "is no regular expression: a '(' is not closed"),
        (pattern("a)"), "closes nothing"),
        (pattern("[a"), "the '[' at 0 is not closed"),
        (pattern("a\\"), "a backslash at its end"),
        (pattern("*a"), "nothing to repeat"),
        (pattern("a|+b"), "nothing to repeat"),
        (pattern("a{2,1}"), "lower bound"),
        ({"patternProperties": {"(": {}}}, "is no regular expression"),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_told_so(schema: Schema, reason: str) -> None:
    assert reason in (refused(schema) or "")


def test_what_is_no_regex_is_told_so() -> None:
    assert "is no regular expression: a backslash at its end" in (grammar_refused("regex", "\\") or "")


TREE: Schema = {
    "$defs": {"node": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        {"properties": {"child": {"$ref": "#"}}},
        {"$defs": {"a/b c": {"type": "string"}}, "$ref": "#/$defs/a~1b%20c"},
        {"prefixItems": [{"type": "string"}, {"$ref": "#/prefixItems/0"}]},
        {"$defs": {"T": True}, "$ref": "#/$defs/T"},
        # names of properties and values are no keywords
        {"properties": {"type": {"type": "string"}, "pattern": {}, "enum": {}, "$ref": {"type": "null"}}},
        {"default": {"$ref": "#/nope", "type": 7}, "const": {"pattern": "("}},
        {"examples": [{"$ref": "#/nope"}], "enum": [{"type": "x", "multipleOf": 3}]},
        {"type": ["string", "null"]},
        {"properties": 7, "required": "x", "type": "object"},
        {"enum": "x"},
        {"type": "string", "pattern": 7},
        {"items": True, "type": "array"},
        {"$ref": 5},
        {"anyOf": {}},
        *map(pattern, [
            "", "^$", "a|b", "(|a)", "()", "^[^\\]]{1,9}$", r"^\d{3}-\d{4}$", r"\(\[\{\\", "a]b}", r"^(?:a|(?<n>b))+?$",
            "é{3}", r"[\b]", r"(?P<n>a)", r"^[(]{2}[*]$", "(?i:a)", "a{,3}", "a{x}",
        ]),
    ],
)  # fmt: skip
def test_what_is_served_today_is_taken(schema: Schema) -> None:
    assert refused(schema) is None


def test_the_servers_own_tools_are_taken() -> None:
    for shown in CLIENT_TOOLS.values():
        assert refused(shown.parameters) is None


HUGE = 1_000_000


HOSTILE: dict[str, Schema] = {
    "groups": pattern("(" * 60_000 + "a" + ")" * 60_000),
    "repeats": pattern("^a{20000}$"),
    "a repeat with many digits": pattern("a{" + "9" * 4000 + "}"),
    "products": pattern("(" * 30 + "a" + "){100}" * 30),
    "sums": pattern("[a-z]{100}" * 400),
    "a chain of references": {
        "$defs": {**{f"D{n}": {"$ref": f"#/$defs/D{n + 1}"} for n in range(8000)}, "D8000": {}}, "$ref": "#/$defs/D0",
    },
    "a chain of objects": chain(4000),
    "a chain in which each may come first": {
        **ring(1000), "prefixItems": [{"$ref": f"#/$defs/D{n}"} for n in reversed(range(1000))],
    },
    "references to what doubles": {
        "$defs": {f"D{n}": {"prefixItems": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(500)} | {"D500": {}},
        "$ref": "#/$defs/D0",
    },
    "nesting": nested(100_000),
    "one string": {"title": "x" * HUGE},
    "many members": {f"k{n}": n for n in range(HUGE // 10)},
    "many values": {"enum": ["x"] * (HUGE // 4)},
    "many schemas": {"anyOf": [{"type": "x"}] * (HUGE // 10)},
    "open sets": pattern("[" * 4096),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_at_once(name: str) -> None:
    began = time.process_time()
    assert refused(HOSTILE[name]) is not None
    assert time.process_time() - began < 0.5


def test_a_schema_of_a_megabyte_is_not_read_to_its_end() -> None:
    class Watched(list[Any]):
        """A list that fails when its values are read."""

        def __iter__(self) -> Any:
            raise AssertionError("read")

    assert num_bytes([["x" * 1000], Watched(range(HUGE))], 1000) > 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["#", "#/$defs/a", "(a{9})*"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["$ref", "$defs", "a", "properties", "items", "anyOf", "type", "enum", "pattern", "required"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=40,
)


@given(schema=st.dictionaries(st.sampled_from(["$ref", "$defs", "properties", "items", "anyOf", "enum"]), JSON))
def test_anything_is_taken_or_refused_and_each_schema_is_entered_once(schema: Schema) -> None:
    entered: list[int] = []

    class Counted(Keywords):
        def check(self, schema: Schema) -> None:
            entered.append(id(schema))
            super().check(schema)

    refused(schema)
    with contextlib.suppress(WireError):
        SchemaWalk(schema, "here", Counted("here", Counter(), DEFAULT), DEFAULT).run()
    assert len(entered) == len(set(entered))


@given(text=st.text(alphabet='ab()[]{}|*+?\\,0129^$/"~.:# \n', max_size=60), syntax=st.sampled_from(["regex", "lark"]))
def test_any_grammar_is_taken_or_refused(text: str, syntax: str) -> None:
    grammar_refused(syntax, text)


@pytest.mark.parametrize("make", [
    lambda n: properties(n), lambda n: {"prefixItems": [{"type": "string"}] * n},
    lambda n: {"$defs": {f"D{m}": {} for m in range(n)}, "prefixItems": [{"$ref": f"#/$defs/D{m}"} for m in range(n)]},
])  # fmt: skip
def test_four_times_the_schema_takes_about_four_times_as_long(make: Any) -> None:
    def seconds(size: int) -> float:
        schema = make(size)
        tries = []
        for _ in range(5):
            began = time.process_time()
            check_schemas([(schema, "here")])
            tries.append(time.process_time() - began)
        return min(tries)

    assert seconds(4000) < 12 * max(seconds(1000), 1e-4)
