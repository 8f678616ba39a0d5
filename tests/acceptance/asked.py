"""What the tests with the starter model ask it for: tools, schemas, grammars; and short ways to read what came."""

from __future__ import annotations

import json
from typing import Any

from tests.support.sdk import Answer

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": "get_weather", "description": "Weather in a city", "parameters": CITY}
PERSON = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["person", "robot"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "name": {"type": "string", "maxLength": 12},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["kind", "age", "name", "tags"],
    "additionalProperties": False,
}
SUM = 'start: NUMBER OP NUMBER (OP NUMBER)? ";"\nOP: "+" | "-"\nNUMBER: /[0-9]{1,3}/\n'
QUOTED = 'start: "\\"" NUMBER "\\"" "\\n" "\\\\" NUMBER\nNUMBER: /[0-9]{1,3}/\n'  # all that JSON escapes
SUM_BY_REGEX = r"[0-9]{1,3}( [+-] [0-9]{1,3}){1,3};"
LONG_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1500}},
    "required": ["text"],
    "additionalProperties": False,
}
WRITE = {"type": "function", "name": "write", "description": "Write a text", "parameters": LONG_TEXT, "strict": True}
IN_PARIS = "What is the weather in Paris?"
IN_BOTH = "What is the weather in Paris and London?"


def custom(syntax: str | None = None, definition: str = "", name: str = "calculate") -> dict[str, Any]:
    form = {"type": "grammar", "syntax": syntax, "definition": definition} if syntax else {"type": "text"}
    return {"type": "custom", "name": name, "description": "Calculate a sum", "format": form}


def named(name: str, kind: str = "function") -> dict[str, Any]:
    return {"type": kind, "name": name}


def cities(answer: Answer) -> list[str]:
    return [json.loads(call.arguments)["city"] for call in answer.items("function_call")]


def output_of(call: Any, text: str) -> dict[str, Any]:
    return {"type": f"{call.type}_output", "call_id": call.call_id, "output": text}


def input_tokens(answer: Answer) -> int:
    assert answer.final.usage is not None
    return answer.final.usage.input_tokens
