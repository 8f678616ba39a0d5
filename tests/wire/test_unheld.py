"""What no grammar can say is refused by name; and for what is taken, xgrammar holds to it."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.wire.errors import WireError
from realtime.wire.grammar_bounds import check_grammars
from realtime.wire.schema_bounds import check_schemas
from realtime.wire.unheld import unheld

Schema = dict[str, Any]
STRING: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object", "properties": {"a": STRING}}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "integer", "multipleOf": 5}, "`multipleOf`"),
        ({"multipleOf": 5}, "`multipleOf`"),
        ({"type": ["null", "number"], "multipleOf": 0.5}, "`multipleOf`"),
        ({"type": "array", "uniqueItems": True}, "`uniqueItems`"),
        ({"type": "array", "contains": STRING}, "`contains`"),
        ({"not": STRING}, "`not`"),
        ({"type": "object", "if": {}, "then": {}}, "`if`"),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, "`dependentRequired`"),
        ({"type": "object", "dependentSchemas": {"a": {}}}, "`dependentSchemas`"),
        ({"$dynamicRef": "#a"}, "`$dynamicRef`"),
        ({"$ref": "https://example.com/schema"}, "only those that begin with '#/'"),
        ({"$ref": "#anchor"}, "only those that begin with '#/'"),
        ({"minimum": 5}, "`minimum` is kept only beside a `type`"),
        ({"pattern": "a"}, "`pattern` is kept only beside a `type`"),
        ({"required": ["a"]}, "`required` is kept only beside a `type`"),
        ({"$ref": "#/$defs/a", "minLength": 2}, "`$ref` can't be held to together with `minLength`"),
        ({"anyOf": [STRING], "properties": {}}, "`anyOf` can't be held to together with `properties`"),
        ({"enum": ["a"], "maxLength": 1}, "`enum` can't be held to together with `maxLength`"),
        ({"allOf": [STRING, {"minLength": 2}]}, "an `allOf` of several"),
        ({"allOf": [STRING], "minLength": 2}, "`allOf` can't be held to together"),
        ({**STRING, "pattern": "a", "minLength": 2}, "`pattern` can't be held to together with `minLength`"),
        ({**STRING, "format": "email", "maxLength": 2}, "`format` can't be held to together with `maxLength`"),
        ({**STRING, "format": "iri"}, "the `format` 'iri' is not known"),
        ({**OBJECT, "propertyNames": {"pattern": "a"}}, "`propertyNames` can't be held to together with `properties`"),
        ({**OBJECT, "patternProperties": {"^b$": STRING}}, "`patternProperties`"),
        ({"type": "object", "patternProperties": {"^b$": STRING, "^c$": STRING}}, "`patternProperties`"),
        ({**OBJECT, "required": ["b"]}, "`required` names 'b'"),
        ({"type": "integer", "minimum": -(10**400)}, "`minimum` is a number"),
        ({"type": "number", "maximum": float("inf")}, "`maximum` is a number"),
        ({"type": "string", "enum": ["a", 1]}, "not of the `type`"),
        ({"type": "integer", "const": True}, "not of the `type`"),
        ({"type": "integer", "const": 1.5}, "not of the `type`"),
    ],
)
def test_by_name(schema: Schema, reason: str) -> None:
    assert reason in (unheld(schema) or "")
    inside = {"type": "object", "properties": {"x": {"type": "array", "items": schema}}}
    with pytest.raises(WireError, match="text") as refused:
        check_schemas([(inside, "text.format.schema")])
    assert refused.value.param == "text.format.schema"


KEPT: list[tuple[Schema, str, str]] = [  # what passes, a text that keeps to it, and one that does not
    ({"type": "string", "multipleOf": 5}, '"a"', "5"),
    ({"type": "array", "uniqueItems": False, "items": STRING}, '["a", "a"]', "[1]"),
    ({"type": "integer", "minimum": 5}, "6", "4"),
    ({"type": ["integer", "null"], "maximum": 5}, "null", "6"),
    ({**STRING, "minLength": 2, "maxLength": 3}, '"ab"', '"a"'),
    ({**STRING, "pattern": "^a+$"}, '"aa"', '"b"'),
    ({**STRING, "format": "date"}, '"2026-01-01"', '"today"'),
    ({"items": {"type": "integer"}, "minItems": 1}, "[1]", "[]"),
    ({"properties": {"a": STRING}, "required": ["a"]}, '{"a": ""}', "{}"),
    ({"type": "object", "patternProperties": {"^b$": STRING}, "additionalProperties": False}, '{"b": ""}', '{"b": 1}'),
    ({"type": "object", "propertyNames": {"type": "string", "pattern": "^a$"}}, '{"a": 1}', '{"b": 1}'),
    ({"type": "object", "additionalProperties": STRING, "minProperties": 1}, '{"a": ""}', "{}"),
    ({"$defs": {"a": STRING}, "$ref": "#/$defs/a", "description": "text"}, '"a"', "1"),
    ({"type": "object", "anyOf": [{**OBJECT, "required": ["a"]}]}, '{"a": ""}', "{}"),
    ({"allOf": [{"type": "integer"}], "default": 3}, "3", '"3"'),
    ({"type": "string", "enum": ["a", "b"]}, '"a"', '"c"'),
    ({"type": ["string", "null"], "enum": ["a", None]}, "null", '"c"'),
    ({"type": "number", "const": 2}, "2", "3"),
    ({"type": "array", "prefixItems": [STRING], "items": False}, '["a"]', '["a", 1]'),
]


@pytest.mark.parametrize(("schema", "good", "bad"), KEPT)
def test_what_is_taken_is_kept(schema: Schema, good: str, bad: str) -> None:
    from xgrammar import Grammar
    from xgrammar.testing import _is_grammar_accept_string as accepts

    check_schemas([(schema, "text.format.schema")])
    grammar = Grammar.from_json_schema(schema)
    assert accepts(grammar, good)
    assert not accepts(grammar, bad)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"^(?!a)[ab]$", "a look-ahead"),
        (r"(?<=a)b", "a look-behind"),
        (r"((?=a)a)", "a look-ahead"),
        (r"^(a|b)\1$", "a back reference"),
        (r"(?<n>a)\k<n>", "a back reference"),
        (r"a\bc", "the boundary"),
        (r"\p{L}", "a class of Unicode"),
    ],
)
def test_of_a_regular_expression_too(pattern: str, what: str) -> None:
    schema = {"type": "object", "patternProperties": {pattern: {}}}
    for held in ({**STRING, "pattern": pattern}, schema):
        with pytest.raises(WireError, match=what):
            check_schemas([(held, "x")])
    with pytest.raises(WireError, match=what):
        check_grammars([("regex", pattern, "x")])
