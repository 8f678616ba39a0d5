"""Values to JSON by a tool's schema."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.dialects.markup.conversion import to_json
from realtime.dialects.markup.schema import Parameters

DEFS = {
    "Num": {"type": "integer"},
    "Again": {"$ref": "#/$defs/Num"},
    "Loop": {"$ref": "#/$defs/Loop"},
    "Color": {"enum": ["red", "green"]},
    "Maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
}
TYPES: dict[str, tuple[Any, str]] = {
    "a string": ({"type": "string"}, "string"),
    "several": ({"type": ["integer", "null"]}, "integer null"),
    "a reference": ({"$ref": "#/$defs/Again"}, "integer"),
    "a reference in a choice": ({"anyOf": [{"$ref": "#/$defs/Num"}, {"type": "null"}]}, "integer null"),
    "one of": ({"oneOf": [{"type": "number"}, {"type": "boolean"}]}, "boolean integer number"),
    "all of": ({"allOf": [{"$ref": "#/$defs/Num"}, {"minimum": 3}]}, "integer"),
    "all of, narrowed": ({"allOf": [{"type": ["string", "integer"]}, {"type": "integer"}]}, "integer"),
    "an enumeration": ({"$ref": "#/$defs/Color"}, "string"),
    "an enumeration of numbers": ({"enum": [1, 2.5, None]}, "integer null number"),
    "a constant": ({"const": True}, "boolean"),
    "nullable": ({"type": "string", "nullable": True}, "null string"),
    "by its properties": ({"properties": {}}, "object"),
    "by its items": ({"items": {}}, "array"),
    "nothing said": ({}, "string"),
    "a choice that says nothing": ({"anyOf": [{}, {"type": "integer"}]}, "string"),
    "a reference to itself": ({"$ref": "#/$defs/Loop"}, "string"),
    "a reference to nothing": ({"$ref": "#/$defs/Nobody"}, "string"),
    "a type of no schema": ({"type": "dict"}, "object"),
    "no schema": (True, "string"),
}


@pytest.mark.parametrize("name", TYPES)
def test_types(name: str) -> None:
    schema, want = TYPES[name]
    parameters = Parameters({"type": "object", "properties": {"x": schema}, "$defs": DEFS})
    assert " ".join(sorted(parameters.types("x"))) == want


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/Whole", "$defs": {"Whole": {"properties": {"x": {"type": "integer"}}}}},
        {"allOf": [{"properties": {"x": {"type": "integer"}}}, {}]},
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ],
)
def test_a_parameter_is_found_wherever_it_stands(schema: dict[str, Any]) -> None:
    assert Parameters(schema).types("x") == {"integer"}


VALUES = [
    ("1", "integer", "1"),
    ("12345678901234567890", "integer", "12345678901234567890"),
    ("0.1000000000000000055511151231257827", "number", "0.1000000000000000055511151231257827"),
    ("1e400", "number", "1e400"),
    ("007", "integer", "7"),
    (" 5\n", "integer", "5"),
    ("5.0", "integer", "5.0"),
    ("abc", "integer", '"abc"'),
    ("[1]", "integer", "[1]"),
    ("NaN", "number", '"NaN"'),
    ("True", "boolean", "true"),
    ("false", "boolean", "false"),
    ("1", "boolean", "1"),
    ("null", "null string", "null"),
    ("None", "null integer", "null"),
    ("null", "string", '"null"'),
    ("5", "integer string", "5"),
    ("x", "integer string", '"x"'),
    ('{"a":  1.50}', "object", '{"a":  1.50}'),
    ("{'a': None, 'b': (1, True)}", "object", '{"a": null, "b": [1, true]}'),
    ("[1, 2", "array", '"[1, 2"'),
    ('{"a": "\\ud83d"}', "object", '{"a": "\\ufffd"}'),
    ('a "b"\n', "string", '"a \\"b\\"\\n"'),
]


@pytest.mark.parametrize(("text", "types", "want"), VALUES)
def test_values(text: str, types: str, want: str) -> None:
    assert to_json(text, frozenset(types.split())) == want


def test_a_schema_whose_choices_multiply_is_looked_through_once() -> None:
    links = {f"A{n}": {"anyOf": [{"$ref": f"#/$defs/A{n + 1}"}] * 4} for n in range(14)}
    loop = {"anyOf": [{"$ref": "#/$defs/Loop"}] * 4}
    parameters = Parameters({
        "anyOf": [{"$ref": "#/$defs/A0"}] * 4, "properties": {"x": {"$ref": "#/$defs/A0"}, "y": loop},
        "$defs": {**links, "A14": {"type": "integer"}, "Loop": loop},
    })  # fmt: skip
    assert parameters.types("x") == {"integer"}
    assert parameters.types("y") == {"string"}
    assert parameters.types("nowhere") == {"string"}
    assert parameters.items(parameters.argument("x")) is None
