"""Write the types of the Python client's wire: TypedDicts from the server's OpenAPI document. `make docs` runs it."""

from __future__ import annotations

import json
import keyword
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from realtime.server.app import build_document

WIRE = Path(__file__).parent.parent / "clients" / "python" / "realtime_client" / "wire.py"
_HEAD = '''"""The types of the wire, from the server's OpenAPI document by scripts/python_types.py. Do not edit."""

# ruff: noqa: E501
from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
_UNION = "ResponseStreamEvent"
_OF_CONNECTIONS = ("Session", "ResponseSteer", "ResponseInject", "ResponseTruncated")  # events that are no response's
_ROOTS = (
    _UNION, "CompactedResponse", "ConversationDeleted", "ConversationItems", "ConversationList", "ConversationObject",
    "InputTokens", "ItemList", "Response", "ResponseDeleted", "ResponseList", "SessionHeartbeat", "SessionUpdated",
    "Ticket",
)  # fmt: skip
_PRIMITIVES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_NEXT_LINE = "\n    | "

Schema = Mapping[str, Any]


def render(document: Schema) -> str:
    """Return the whole module."""
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    events = [_name(one) for one in schemas[_UNION]["anyOf"] if not _name(one).startswith(_OF_CONNECTIONS)]
    names = sorted(_reached(schemas) - {_UNION})
    parts = [_declared(name, schemas[name], of_response=name in events) for name in names]
    items = map(_name, schemas["Response"]["properties"]["output"]["items"]["anyOf"])
    for name, members in (("ResponseEvent", events), ("OutputItem", items)):
        parts.append(f"{name} = (\n    {_union(members, _NEXT_LINE)}\n)\n")
    return "\n\n".join([_HEAD, *parts])


def _reached(schemas: Mapping[str, Schema]) -> set[str]:
    seen: set[str] = set()
    left = list(_ROOTS)
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += _references(schemas[name])
    return seen


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield _name(schema)
        for key, value in schema.items():
            if key != "discriminator":
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _declared(name: str, schema: Schema, *, of_response: bool) -> str:
    """Declare one type. What comes to a reader of a response always names the response."""
    if "properties" not in schema:
        return f"{name} = {_type(schema)}\n"
    required = {*schema.get("required", ()), *(["response_id"] if of_response else [])}
    members = {
        member: _type(its) if member in required else f"NotRequired[{_type(its)}]"
        for member, its in schema["properties"].items()
    }
    said = _docstring(schema["description"]) if "description" in schema else ""
    if any(keyword.iskeyword(member) or not member.isidentifier() for member in members):
        listed = ", ".join(f'"{member}": "{kind}"' for member, kind in members.items())
        return f'{name} = TypedDict("{name}", {{{listed}}})\n'
    return f"class {name}(TypedDict):\n{said}" + "".join(f"    {member}: {kind}\n" for member, kind in members.items())


def _docstring(text: str) -> str:
    lines = textwrap.wrap(text, 110)
    return '    """' + "\n    ".join(lines) + ("\n    " if len(lines) > 1 else "") + '"""\n\n'


def _type(schema: Schema) -> str:
    """Return the annotation for one schema. What a schema leaves open is Any."""
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(json.dumps(value) for value in schema.get('enum', [schema.get('const')]))}]"
    if "anyOf" in schema:
        return _union(map(_type, schema["anyOf"]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {_type(values) if isinstance(values, Mapping) else 'Any'}]"
    return _PRIMITIVES.get(str(kind), "Any")


def _union(types: Iterable[str], separator: str = " | ") -> str:
    distinct = list(dict.fromkeys(types))
    return "Any" if "Any" in distinct else separator.join(distinct)


if __name__ == "__main__":
    WIRE.write_text(render(json.loads(build_document())), "utf-8")
