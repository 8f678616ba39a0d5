"""JSON schemas that can certainly constrain sampling, and about how much work that is: for constraints that nobody
asked for.

An impossible constraint is refused if it was asked for (`unheld`), and a constraint that does not compile fails its
response. Neither may happen to a tool because its client left out `strict`. So this module lists what xgrammar is known
to enforce, and in which forms; everything else in JSON Schema raises a doubt. Members that JSON Schema does not know,
and its annotations, ask for nothing. `tests/wire/test_holdable.py` gives schemas without a doubt to xgrammar itself.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

Schema = dict[str, Any]

_OF_TYPE: dict[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "object": frozenset(
        {
            "properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties",
            "unevaluatedProperties",
        }
    ),
    "boolean": frozenset(),
    "null": frozenset(),
}  # fmt: skip
_WHOLE = ("$ref", "enum", "const", "anyOf", "oneOf", "allOf")  # each says all that a schema says
_NOT_KEPT = frozenset(
    {
        "multipleOf", "uniqueItems", "contains", "minContains", "maxContains", "additionalItems", "unevaluatedItems",
        "patternProperties", "dependentRequired", "dependentSchemas", "dependencies", "not", "if", "then", "else",
        "$dynamicRef", "$recursiveRef", "extends", "disallow", "divisibleBy",
    }
)  # fmt: skip
_ASSERTING = _NOT_KEPT.union(*_OF_TYPE.values())
_SLOW_FORMATS = ("email", "uri", "uri-reference", "uri-template")
_FORMATS = (
    *_SLOW_FORMATS, "date", "time", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid", "json-pointer",
    "relative-json-pointer",
)  # fmt: skip
_MAX_WHOLE = 2**53  # of numbers; what is larger is not exact in every JSON parser
_MAX_COUNT = 2**31 - 1
# No character that JSON escapes, no look around, no flag, no name, no reference back; `^` and `$` where they mean
# the ends. Whether it is a regular expression at all is checked elsewhere.
_PATTERN = re.compile(
    r"""\^?+(?:
        [^\\"\[\](){}|^$*+?\x00-\x1f]
        | \\[dDwWsS./+*?()\[\]{}|^$@#,:;=!<>&%~'_-]
        | \[\^?+(?:[^\\"\[\]\x00-\x1f]|\\[dDwWsS./+*?()\[\]{}|^$@#,:;=!<>&%~'_-])++\]
        | \((?:\?:)?+(?![?*+])\^?+ | \|\^?+ | \) | \$(?=[|)]|\Z) | [*+?] | \{[0-9]+(?:,[0-9]*+)?+\}
    )*+""",
    re.VERBOSE,
)
_REFERENCE = re.compile(r"#(?:/[^/%~]++)*+")

# About how many milliseconds two cores take to compile the parts of a schema for 150,000 tokens.
_COST_SCHEMA = 5
_COST_STEP = 20  # of a pattern: one character of it, with repeats written out; also of a length
_COST_COUNTED = 8  # each property beside `minProperties` or `maxProperties`
_COST_FORMAT = 50
_COST_SLOW_FORMAT = 500


def doubt(reached: Iterable[Schema], targets: Mapping[str, Any]) -> str | None:
    """Return why it is uncertain that sampling can be constrained to a tool's parameters, in words; None: it is
    certain.

    reached: the root, then all that it is made of. targets: the targets of its references.
    """
    schemas = iter(reached)
    root = next(schemas)
    if not _is_object(root):
        return "parameters that are no object"
    odd = next((name for name, target in targets.items() if not _is_schema(target)), None)
    if odd is not None:
        return f"the `$ref` to '{odd[:64]}'"
    return _first(_doubt(root), *map(_doubt, schemas))


def cost(reached: Iterable[Schema], pattern_steps: int) -> int:
    """Estimate the work of compiling schemas, in milliseconds of a small machine. `pattern_steps`: the length of all
    their patterns, with repeats written out.
    """
    return _COST_STEP * pattern_steps + sum(map(_cost, reached))


def _cost(schema: Schema) -> int:
    lengths: list[Any] = [size for name in ("minLength", "maxLength") if _is_count(size := schema.get(name))]
    total = _COST_SCHEMA + _COST_STEP * max(lengths, default=0)
    if isinstance(form := schema.get("format"), str):
        total += _COST_SLOW_FORMAT if form in _SLOW_FORMATS else _COST_FORMAT
    if "minProperties" in schema or "maxProperties" in schema:
        total += _COST_COUNTED * _len(schema.get("properties"))
    return total


def _first(*found: str | None) -> str | None:
    return next((one for one in found if one is not None), None)


def _is_object(root: Schema) -> bool:
    """Return whether it is an object with properties and nothing else: XML forms of calls write one element for each
    property.
    """
    return (root.get("type") == "object" or ("type" not in root and "properties" in root)) and not _whole(root)


def _doubt(schema: Schema) -> str | None:
    other = next((name for name in schema if name in _NOT_KEPT), None)
    if other is not None:
        return f"`{other}`"
    whole = _whole(schema)
    if whole:
        return _doubt_whole(schema, whole)
    if "type" not in schema:
        return _doubt_untyped(schema)
    types = _types(schema)
    if not types:
        return "a `type` without a type"
    allowed = frozenset[str]().union(*(_OF_TYPE.get(one, ()) for one in types))
    stray = next((name for name in schema if name in _ASSERTING and name not in allowed), None)
    if stray is not None:
        return f"`{stray}` beside another `type`"
    return _first(*(check(schema) for one, check in _CHECKS.items() if one in types))


def _whole(schema: Schema) -> list[str]:
    return [name for name in _WHOLE if name in schema]


def _doubt_whole(schema: Schema, whole: list[str]) -> str | None:
    name = whole[0]
    beside = next((one for one in (*whole[1:], *schema) if one in _ASSERTING or (one in whole and one != name)), None)
    if beside is not None:
        return f"`{beside}` beside `{name}`"
    match name:
        case "$ref" if not isinstance(schema[name], str) or not _REFERENCE.fullmatch(schema[name]):
            return f"the `$ref` to '{str(schema[name])[:64]}'"
        case "$ref" | "allOf" if "type" in schema:
            return f"`type` beside `{name}`"
        case "enum" if not _are_values(schema[name], schema):
            return "this `enum`"
        case "const" if not _are_values([schema[name]], schema):
            return "this `const`"
        case "anyOf" | "oneOf" | "allOf" if not _are_schemas(schema[name]) or (
            name == "allOf" and len(schema[name]) > 1
        ):
            return f"this `{name}`"
        case "oneOf" if not _differ_in_type(schema[name]):
            return "a `oneOf` of what is not plainly different"
        case _:
            return None


def _differ_in_type(schemas: list[Any]) -> bool:
    types = [schema.get("type") if isinstance(schema, dict) else None for schema in schemas]
    return (
        all(isinstance(one, str) for one in types)
        and len({*types}) == len(types)
        and not {"number", "integer"} <= {*types}
    )


def _doubt_untyped(schema: Schema) -> str | None:
    """Return the doubt about a schema without a type and `properties`: a keyword there restricts some types and leaves
    others free.
    """
    if "properties" in schema:
        stray = next((name for name in schema if name in _ASSERTING and name not in _OF_TYPE["object"]), None)
        return _doubt_object(schema) if stray is None else f"`{stray}` without a `type`"
    stray = next((name for name in schema if name in _ASSERTING), None)
    return None if stray is None else f"`{stray}` without a `type`"


def _doubt_string(schema: Schema) -> str | None:
    kinds = [name for name in ("pattern", "format") if name in schema]
    has_length = "minLength" in schema or "maxLength" in schema
    if len(kinds) + has_length > 1:
        return f"`{kinds[0]}` beside `{kinds[1] if len(kinds) > 1 else 'minLength` or `maxLength'}`"
    if "format" in schema and schema["format"] not in _FORMATS:
        return f"this `format`: {str(schema['format'])[:64]!r}"
    pattern = schema.get("pattern", "")
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
        return f"the `pattern` {str(pattern)[:64]!r}"
    return _doubt_counts(schema, "minLength", "maxLength")


def _doubt_number(schema: Schema) -> str | None:
    is_whole = "integer" in _types(schema)
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if name in schema and not _is_bound(schema[name], is_whole=is_whole):
            return f"this `{name}`"
    least = max((schema[name] for name in ("minimum", "exclusiveMinimum") if name in schema), default=None)
    most = min((schema[name] for name in ("maximum", "exclusiveMaximum") if name in schema), default=None)
    # A whole number lies between two exclusive bounds if they are at least two apart.
    room = 2 if "exclusiveMinimum" in schema or "exclusiveMaximum" in schema else 0
    return "this range of numbers" if least is not None and most is not None and least + room > most else None


def _doubt_array(schema: Schema) -> str | None:
    if "items" in schema and not (_is_schema(schema["items"]) or schema["items"] is False):
        return "this `items`"
    if "prefixItems" in schema:
        if not _are_schemas(schema["prefixItems"]):
            return "this `prefixItems`"
        if "minItems" in schema or "maxItems" in schema:
            return "`prefixItems` beside `minItems` or `maxItems`"
    if schema.get("items") is False and schema.get("minItems"):
        return "`minItems` of no items"
    return _doubt_counts(schema, "minItems", "maxItems")


def _doubt_object(schema: Schema) -> str | None:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not all(map(_is_schema, properties.values())):
        return "these `properties`"
    if not isinstance(required, list) or not all(isinstance(one, str) and one in properties for one in required):
        return "`required` names that `properties` does not have"
    more = schema.get("additionalProperties", False)
    if not (isinstance(more, bool) or _is_schema(more)):
        return "this `additionalProperties`"
    if schema.get("unevaluatedProperties", False) is not False:
        return "`unevaluatedProperties`"
    if "propertyNames" in schema and (properties or not more or not _is_any_name(schema["propertyNames"])):
        return "this `propertyNames`"
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", _MAX_COUNT)
    found = _doubt_counts(schema, "minProperties", "maxProperties")
    if found is None and ((least > len(properties) and not more) or most < len(set(required))):
        return "this number of properties"
    return found


def _doubt_counts(schema: Schema, least: str, most: str) -> str | None:
    for name in (least, most):
        if name in schema and not _is_count(schema[name]):
            return f"this `{name}`"
    return f"a `{most}` below `{least}`" if schema.get(most, _MAX_COUNT) < schema.get(least, 0) else None


_CHECKS: dict[str, Callable[[Schema], str | None]] = {
    "string": _doubt_string,
    "number": _doubt_number,
    "integer": _doubt_number,
    "array": _doubt_array,
    "object": _doubt_object,
}


def _types(schema: Schema) -> list[str]:
    wanted = schema.get("type")
    return list(_strings(wanted if isinstance(wanted, list) else [wanted]))


def _strings(values: list[Any]) -> Iterator[str]:
    yield from (one for one in values if isinstance(one, str))


def _is_schema(value: Any) -> bool:
    """Return whether something can match: `false` can't be matched."""
    return isinstance(value, dict) or value is True


def _are_schemas(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(map(_is_schema, values))


def _are_values(values: Any, schema: Schema) -> bool:
    """Return whether these are plain values of the types that the schema has."""
    types = _types(schema) if "type" in schema else list(_OF_TYPE)
    return isinstance(values, list) and bool(values) and all(_has_type(value, types) for value in values)


def _has_type(value: Any, types: list[str]) -> bool:
    match value:
        case None:
            return "null" in types
        case bool():
            return "boolean" in types
        case str():
            return "string" in types
        case int() | float():
            whole = isinstance(value, int) and "integer" in types
            return (whole or "number" in types) and _is_bound(value, is_whole=False)
        case _:
            return False


def _is_any_name(names: Any) -> bool:
    """Return whether a schema of names allows every name."""
    return (
        isinstance(names, dict)
        and names.get("type", "string") == "string"
        and _ASSERTING.isdisjoint(names)
        and not (_whole(names))
    )


def _is_bound(value: Any, *, is_whole: bool) -> bool:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and not isfinite(value))
    ):
        return False
    return abs(value) <= _MAX_WHOLE and (not is_whole or value == int(value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _len(value: Any) -> int:
    return len(value) if isinstance(value, dict) else 0
