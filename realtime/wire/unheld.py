"""Keywords of JSON Schema that can't constrain sampling, refused by name. Pure.

The compiler of grammars (xgrammar) ignores what it does not know, mostly in silence, and an answer that is only nearly
what was asked for is worth less than a refusal. What it does report is refused where it reports it: see
engine/vllm/grammar_work.py. Each function looks at one schema, not at those in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

_NEVER = (
    "not", "if", "dependentRequired", "dependentSchemas", "dependencies", "contains", "minContains", "maxContains",
    "$dynamicRef", "$recursiveRef",
)  # fmt: skip
_OF_TYPE = {
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number",
    "minLength": "string", "maxLength": "string", "pattern": "string", "format": "string",
    "minItems": "array", "maxItems": "array",
    "minProperties": "object", "maxProperties": "object", "required": "object",
}  # fmt: skip
_IMPLY = {
    "array": ("items", "prefixItems"),
    "object": ("properties", "additionalProperties", "patternProperties", "propertyNames"),
}
_ASSERTIONS = frozenset(_OF_TYPE) | {
    "enum", "const", "items", "prefixItems", "properties", "additionalProperties", "patternProperties", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties", "anyOf", "oneOf", "allOf", "$ref",
}  # fmt: skip
_ALONE = ("$ref", "anyOf", "oneOf", "allOf", "enum", "const")  # what is beside them is left out
_FORMATS = frozenset(
    {
        "email", "date", "time", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid", "uri", "uri-reference",
        "uri-template", "json-pointer", "relative-json-pointer",
    }
)  # fmt: skip
_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "integer": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip
_HARMLESS = frozenset({"type", "title", "description", "default", "items", "additionalProperties"})
_MOST = 1 << 63  # numbers are read into 64 bits
_SHOWN = 64


def unheld(schema: Schema) -> str | None:
    """Return the reason why a model can't be constrained to this schema, if there is one."""
    if schema.keys() <= _HARMLESS:
        return None
    return next((reason for rule in _RULES for reason in rule(schema)), None)


def _types(schema: Schema) -> frozenset[str]:
    """Return the types that it names; empty: none."""
    named = schema.get("type", [])
    return frozenset(one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str))


def _may_be(schema: Schema, *types: str) -> bool:
    return not (named := _types(schema)) or not named.isdisjoint(types)


def _lacking(schema: Schema) -> Iterator[str]:
    for name in _NEVER:
        if name in schema and (not name.endswith("ontains") or _may_be(schema, "array")):
            yield f"`{name}` can't be held to: leave it out, and say it in the description"
    if "multipleOf" in schema and _may_be(schema, "number", "integer"):
        yield "`multipleOf` can't be held to: leave it out, and say it in the description"
    if schema.get("uniqueItems") and _may_be(schema, "array"):
        yield "`uniqueItems` can't be held to: leave it out, and say it in the description"
    to = schema.get("$ref")
    if isinstance(to, str) and to != "#" and not to.startswith("#/"):
        yield f"the `$ref` to '{to[:_SHOWN]}' can't be followed: only those that begin with '#/' can"


def _without_type(schema: Schema) -> Iterator[str]:
    if "type" in schema or not schema.keys().isdisjoint(_ALONE):
        return
    for name, of in _OF_TYPE.items():
        if name in schema and schema.keys().isdisjoint(_IMPLY.get(of, ())):
            yield f"`{name}` is kept only beside a `type`: give it one"


def _beside(schema: Schema) -> Iterator[str]:
    for name in _ALONE:
        if name in schema:
            others = _ASSERTIONS & schema.keys() - {name}
            if others:
                yield f"`{name}` can't be held to together with `{min(others)}`: put both into one schema"
            break
    if isinstance(all_of := schema.get("allOf"), list) and len(all_of) > 1:
        yield "an `allOf` of several schemas can't be held to: put them into one"


def _strings(schema: Schema) -> Iterator[str]:
    if not _may_be(schema, "string"):
        return
    lengths = [name for name in ("minLength", "maxLength") if name in schema]
    for other in ("pattern", "format"):
        if other in schema and lengths:
            yield f"`{other}` can't be held to together with `{lengths[0]}`: leave one of them out"
    name = schema.get("format")
    if isinstance(name, str) and name not in _FORMATS and "string" in _types(schema) and "pattern" not in schema:
        known = ", ".join(sorted(_FORMATS))
        yield f"the `format` '{name[:_SHOWN]}' is not known here: use a `pattern`, or one of {known}"


def _objects(schema: Schema) -> Iterator[str]:
    names, patterns = schema.get("propertyNames"), schema.get("patternProperties")
    if names is not None:
        for other in ("properties", "patternProperties", "unevaluatedProperties"):
            if other in schema:
                yield f"`propertyNames` can't be held to together with `{other}`: leave one of them out"
    if isinstance(patterns, dict) and ("properties" in schema or len(patterns) > 1):
        yield "`patternProperties` can't be held to together with others or with `properties`: leave one of them out"
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict) and isinstance(required, list):
        for name in required:
            if isinstance(name, str) and name not in properties:
                yield f"`required` names '{name[:_SHOWN]}', which is not in `properties`: define it there"


def _values(schema: Schema) -> Iterator[str]:
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        value = schema.get(name)
        if isinstance(value, int | float) and not -_MOST <= value < _MOST:
            yield f"`{name}` is a number that takes more than 64 bits: leave it out"
    types = _types(schema)
    values = schema.get("enum") if isinstance(schema.get("enum"), list) else []
    for value in [*(values or []), *([schema["const"]] if "const" in schema else [])]:
        if types and not any(_is_of(value, one) for one in types):
            yield "`enum` and `const` can't have values that are not of the `type`: leave them out"


def _is_of(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _CLASSES.get(name, ()))


_RULES: tuple[Callable[[Schema], Iterator[str]], ...] = (_lacking, _without_type, _beside, _strings, _objects, _values)
