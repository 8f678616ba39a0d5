"""Write the types of the JavaScript client's wire: TypeScript from the server's own OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from realtime.server.app import build_document

WIRE = Path(__file__).parent.parent / "clients" / "js" / "src" / "wire.d.mts"
_HEAD = "/** The types of the wire, from the server's OpenAPI document by scripts/js_types.py. Do not edit. */\n"
_OF_CONNECTIONS = ("Session", "ResponseSteer", "ResponseInject", "ResponseTruncated")  # events that are no response's
_UNION = "ResponseStreamEvent"
_EVENT = "ResponseEvent"
_TAIL = f"""
/** An event of a response: `type` says which. Over the socket each names its response. */
export type {_EVENT} = {{events}} & {{{{ response_id: string }}}};

/** An item of a response's output. */
export type OutputItem = Response["output"][number];
"""
_PRIMITIVES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}

Schema = Mapping[str, Any]


def render(document: Schema) -> str:
    """Return the whole module."""
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    parts = [_declared(name, schema) for name, schema in sorted(schemas.items())]
    members = [_type(one) for one in schemas[_UNION]["anyOf"]]
    events = _union(name for name in members if not name.startswith(_OF_CONNECTIONS))
    return "\n".join([_HEAD, *parts]) + _TAIL.format(events=f"({events})")


def _declared(name: str, schema: Schema) -> str:
    said = f"/** {_line(schema)} */\n" if "description" in schema else ""
    if "properties" not in schema:
        return f"{said}export type {name} = {_type(schema)};\n"
    return f"{said}export interface {name} {_object(schema)}\n"


def _line(schema: Schema) -> str:
    return " ".join(schema["description"].split())


def _object(schema: Schema) -> str:
    required = set(schema.get("required", ()))
    lines = []
    for name, member in schema["properties"].items():
        if "description" in member:
            lines.append(f"  /** {_line(member)} */")
        optional = "" if name in required else "?"
        lines.append(f"  {name}{optional}: {_type(member).replace(chr(10), chr(10) + '  ')};")
    return "\n".join(["{", *lines, "}"])


def _type(schema: Schema) -> str:
    """Return the TypeScript of one schema. What a schema leaves open is `unknown`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return _union(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return _union(_type(one) for one in schema["anyOf"])
    if "allOf" in schema:
        return " & ".join(f"({_type(one)})" for one in schema["allOf"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        item = _type(schema.get("items", {}))
        return f"({item})[]" if "|" in item or "&" in item else f"{item}[]"
    if kind == "object":
        return _object(schema) if "properties" in schema else _dictionary(schema)
    return _PRIMITIVES.get(str(kind), "unknown")


def _dictionary(schema: Schema) -> str:
    values = schema.get("additionalProperties", {})
    return f"Record<string, {_type(values if isinstance(values, Mapping) else {})}>"


def _union(types: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "never"


if __name__ == "__main__":
    WIRE.write_text(render(json.loads(build_document())), "utf-8")
