"""What sampling can be held to, by xgrammar itself: what passes compiles, and lets nothing through that breaks it."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.engine.structural_tags import of_json
from realtime.wire.errors import WireError
from realtime.wire.holdable import cost, doubt
from realtime.wire.schema_bounds import Schemas

Json = dict[str, Any]

TEXT: Json = {"type": "string"}


def of(member: Any, **members: Any) -> Json:
    return {"type": "object", "properties": {"a": member}, "required": ["a"], **members}


def lacked(schema: Json) -> str | None:
    """What is said of a schema, by what refuses it or by what only doubts."""
    try:
        measured = Schemas().measure(schema, "p")
    except WireError as error:
        return error.message
    return doubt(measured.reached, measured.targets)


@functools.cache
def compiler() -> Any:
    import xgrammar

    vocabulary: list[Any] = [bytes([byte]) for byte in range(256)]
    info = xgrammar.TokenizerInfo([*vocabulary, b"</s>"], xgrammar.VocabType.RAW, stop_token_ids=[256])
    return xgrammar.GrammarCompiler(info, max_threads=1)


def allows(schema: Json, value: str) -> bool:
    """Whether a model that is held to the schema can write this."""
    import xgrammar

    matcher = xgrammar.GrammarMatcher(compiler().compile_structural_tag(of_json(schema)))
    return bool(matcher.accept_string(value)) and bool(matcher.accept_token(256))


FINE: list[tuple[Json, str, str]] = [  # a value that fits, and one that does not
    (of(TEXT), '{"a": "x"}', '{"a": 1}'),
    (of({**TEXT, "minLength": 1, "maxLength": 2}), '{"a": "é🙂"}', '{"a": "abc"}'),
    (of({**TEXT, "pattern": r"^[a-z]{2}-\d+$"}), '{"a": "ab-12"}', '{"a": "ab-x"}'),
    (of({**TEXT, "pattern": "^(?:a|b)$"}), '{"a": "b"}', '{"a": "c"}'),
    (of({**TEXT, "format": "date"}), '{"a": "2026-01-31"}', '{"a": "x"}'),
    (of({"type": "integer", "minimum": 1, "maximum": 12}), '{"a": 12}', '{"a": 13}'),
    (of({"type": "number", "exclusiveMinimum": 0}), '{"a": 0.5}', '{"a": 0}'),
    (of({"enum": ["x", 1, None]}), '{"a": null}', '{"a": "y"}'),
    (of({"type": "string", "enum": ["x"]}), '{"a": "x"}', '{"a": "y"}'),
    (of({"const": "x"}), '{"a": "x"}', '{"a": "y"}'),
    (of({"type": ["string", "null"]}), '{"a": null}', '{"a": 1}'),
    (of({"anyOf": [TEXT, {"type": "null"}], "default": None, "title": "A"}), '{"a": null}', '{"a": 1}'),
    (of({"oneOf": [TEXT, {"type": "integer"}], "discriminator": {"propertyName": "k"}}), '{"a": 1}', '{"a": null}'),
    (of({"allOf": [{"$ref": "#/$defs/t"}]}, **{"$defs": {"t": TEXT}}), '{"a": "x"}', '{"a": 1}'),
    (of({"$ref": "#/$defs/t", "description": "d"}, **{"$defs": {"t": of(TEXT)}}), '{"a": {"a": "x"}}', '{"a": 1}'),
    (of({"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2}), '{"a": ["x"]}', '{"a": []}'),
    (of({"type": "array", "prefixItems": [TEXT, {"type": "integer"}]}), '{"a": ["x", 1]}', '{"a": [1, 1]}'),
    (of({"type": "object", "additionalProperties": {"type": "integer"}}), '{"a": {"k": 1}}', '{"a": {"k": "x"}}'),
    (
        of({"type": "object", "propertyNames": TEXT, "additionalProperties": TEXT}),
        '{"a": {"k": "x"}}',
        '{"a": {"k": 1}}',
    ),
    (of({"type": "object", "properties": {"x": {}, "y": {}}, "minProperties": 1}), '{"a": {"y": 1}}', '{"a": {}}'),
    (of({}), '{"a": [1]}', "{}"),
    (of(True), '{"a": [1]}', "{}"),
    ({"type": "object", "properties": {"a": TEXT, "b": TEXT}}, '{"b": "x"}', '{"b": "x", "c": 1}'),
    ({"type": "object", "properties": {"a": TEXT}, "additionalProperties": True}, '{"z": 1}', '{"a": 1}'),
    ({"properties": {"q\"u\\\n": TEXT}, "required": ["q\"u\\\n"]}, '{"q\\"u\\\\\\n": "x"}', "{}"),
    ({"type": "object", "properties": {}}, "{}", '{"a": 1}'),
    ({"type": "object"}, '{"a": 1}', "[]"),
    (of({"type": "array", "items": {"$ref": "#"}}), '{"a": [{"a": []}]}', '{"a": [1]}'),
    (of(TEXT, **{"$schema": "s", "$id": "i", "x-mine": {"not": {}}}), '{"a": "x"}', "{}"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), FINE)
def test_what_can_be_held_is(schema: Json, good: str, bad: str) -> None:
    assert lacked(schema) is None
    assert allows(schema, good)
    assert not allows(schema, bad)


LACKING: list[tuple[Json, str]] = [
    (of({"type": "integer", "multipleOf": 2}), "multipleOf"),
    (of({"type": "array", "uniqueItems": True}), "uniqueItems"),
    (of({"type": "array", "contains": TEXT}), "contains"),
    (of({"not": TEXT}), "not"),
    (of({"if": TEXT, "then": {}}), "if"),
    (of(TEXT, dependentRequired={"a": ["b"]}), "dependentRequired"),
    (of({"type": "object", "patternProperties": {"^x": TEXT}}), "patternProperties"),
    (of({**TEXT, "pattern": "^a$", "maxLength": 3}), "`pattern` can't be held to together"),
    (of({**TEXT, "format": "date", "minLength": 3}), "`format` can't be held to together"),
    (of({**TEXT, "format": "binary"}), "format"),
    (of({**TEXT, "format": ["date"]}), "format"),
    *((of({**TEXT, "pattern": pattern}), "pattern") for pattern in (
        "(?=x)a", "(?!x)a", "(?i)a", "(?P<n>a)", r"\bx", r"(a)\1", "a^b", "a$b", '^"$', r"^\\$", r"\p{L}", r"\n", '["]',
        "a{,2}", "a{",
    )),
    (of({"pattern": "^a$"}), "beside a `type`"),
    (of({**TEXT, "minimum": 1}), "another `type`"),
    (of({"type": []}), "type"),
    (of({**TEXT, "minLength": 3, "maxLength": 2}), "below"),
    (of({**TEXT, "maxLength": 10**20}), "maxLength"),
    (of({**TEXT, "maxLength": "9"}), "maxLength"),
    (of({**TEXT, "maxLength": True}), "maxLength"),
    (of({"type": "integer", "minimum": 1.5}), "minimum"),
    (of({"type": "integer", "minimum": 10**400}), "minimum"),
    (of({"type": "number", "minimum": 5, "maximum": 1}), "range"),
    (of({"type": "number", "exclusiveMinimum": True, "minimum": 0}), "exclusiveMinimum"),
    (of({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}), "range"),
    (of({"enum": []}), "enum"),
    (of({"enum": "x"}), "enum"),
    (of({"enum": [{"x": 1}]}), "enum"),
    (of({"type": "string", "enum": ["x", 1]}), "enum"),
    (of({"enum": ["x"], "minLength": 3}), "`enum` can't be held to together with `minLength`"),
    (of({"$ref": "https://example.com/s"}), "$ref"),
    (of({"$ref": "#/$defs/a~1b"}, **{"$defs": {"a/b": TEXT}}), "$ref"),
    (of({"$ref": "#/$defs/t", "minLength": 3}, **{"$defs": {"t": TEXT}}), "`$ref` can't be held to together"),
    (of({"$ref": "#/$defs/t"}, **{"$defs": {"t": 3}}), "$ref"),
    (of({"anyOf": [TEXT, False]}), "anyOf"),
    (of({"anyOf": [TEXT], "oneOf": [TEXT]}), "together"),
    (of({"allOf": [TEXT, {"enum": ["x"]}]}), "allOf"),
    (of({"anyOf": [{"required": ["x"]}], "properties": {"x": TEXT}}), "`anyOf` can't be held to together"),
    (of({"type": "array", "items": [TEXT]}), "items"),
    (of({"type": "array", "items": False, "minItems": 1}), "minItems"),
    (of({"type": "array", "minItems": 3, "maxItems": 2}), "below"),
    (of({"type": "object", "properties": {"x": False}}), "properties"),
    (of({"type": "object", "properties": {"x": None}}), "properties"),
    (of({"type": "object", "required": ["x"]}), "required"),
    (of({"type": "object", "required": "x"}), "required"),
    (of({"type": "object", "required": [1]}), "required"),
    (of({"type": "object", "additionalProperties": 3}), "additionalProperties"),
    (of({"type": "object", "minProperties": 1}), "number of properties"),
    (of({"type": "object", "propertyNames": {**TEXT, "pattern": "^a$"}, "additionalProperties": {}}), "propertyNames"),
    (of({"oneOf": [of(TEXT), of({"type": "null"})]}), "oneOf"),
    (of({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "oneOf"),
    ({"type": "string"}, "no object"),
    ({"anyOf": [of(TEXT)]}, "no object"),
    ({}, "no object"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "reason"), LACKING)
def test_what_cant_be_held_is_named(schema: Json, reason: str) -> None:
    found = lacked(schema)
    assert found is not None
    assert reason in found
    assert len(found) < 400


VALUES: list[Any] = [
    0, 1, -1, 2.5, 1e300, 10**30, True, False, None, "x", "^[a-z]+$", "date", "#", [], {}, ["a"], [TEXT],
]  # fmt: skip
KEYWORDS = (
    "type", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "items", "prefixItems", "minItems", "maxItems", "properties", "required", "additionalProperties", "propertyNames",
    "minProperties", "maxProperties", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "not", "multipleOf",
    "unevaluatedProperties", "title", "default", "nullable",
)  # fmt: skip
TYPES = ("string", "number", "integer", "array", "object", "boolean", "null")


def some_schema(rng: random.Random, depth: int) -> Any:
    """Any keywords with any values; mostly ones that make sense."""
    if not depth:
        return rng.choice([{"type": rng.choice(TYPES)}, {}, True, {"enum": ["a", 1]}, {"$ref": "#/$defs/t"}])
    schema: Json = {} if rng.random() < 0.2 else {"type": rng.choice([*TYPES, ["string", "null"], ["object", "null"]])}
    for name in rng.sample(KEYWORDS, rng.randint(0, 3)):
        if name == "type":
            continue
        if rng.random() < 0.3:
            schema[name] = rng.choice(VALUES)
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            schema[name] = [some_schema(rng, depth - 1) for _ in range(rng.randint(1, 2))]
        elif name == "properties":
            schema[name] = {key: some_schema(rng, depth - 1) for key in rng.sample("abc", rng.randint(0, 3))}
        elif name in ("items", "additionalProperties", "not"):
            schema[name] = some_schema(rng, depth - 1)
        elif name == "required":
            schema[name] = rng.sample("abc", rng.randint(0, 2))
        else:
            schema[name] = rng.choice(VALUES)
    return schema


def passing(count: int) -> Iterator[Json]:
    """Schemas that are said to be holdable, out of so many."""
    rng = random.Random(10)
    for _ in range(count):
        root = {"type": "object", "properties": {"a": some_schema(rng, 2)}, "$defs": {"t": some_schema(rng, 1)}}
        if lacked(root) is None:
            yield root


def test_whatever_passes_compiles() -> None:
    num_passed = 0
    for schema in passing(2500):
        num_passed += 1
        try:
            compiler().compile_structural_tag(of_json(schema))
        except Exception as error:
            pytest.fail(f"{json.dumps(schema)} does not compile: {error}")
    assert num_passed > 300


@pytest.mark.vllm
def test_whatever_passes_is_nothing_that_vllm_knows_to_be_lacking() -> None:
    from vllm.v1.structured_output.backend_xgrammar import has_xgrammar_unsupported_json_features

    for schema in passing(2500):
        if "$ref" not in json.dumps(schema["properties"]):
            del schema["$defs"]  # vLLM looks at what nothing refers to as well
        assert not has_xgrammar_unsupported_json_features(schema), json.dumps(schema)


def test_the_work_of_compiling_is_seen_before() -> None:
    """What took more than a second with a large vocabulary costs more than what took a few milliseconds."""

    def work(schema: Json) -> int:
        measured = Schemas().measure(schema, "p")
        return cost(measured.reached, measured.pattern_steps)

    cheap = work({"type": "object", "properties": {f"p{index}": TEXT for index in range(20)}})
    assert cheap < 200
    for dear in ({"maxLength": 255}, {"minLength": 128}, {"pattern": "^.{1,64}$"}):
        assert work(of({**TEXT, **dear})) > 1000
    assert work(of({**TEXT, "format": "email"})) > 2 * cheap
