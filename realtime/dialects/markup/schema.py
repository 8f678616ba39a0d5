"""The types that a tool's schema allows for its arguments. Pure."""

from __future__ import annotations

from typing import Any

ALL = frozenset({"string", "integer", "number", "boolean", "null", "object", "array"})
_TEXT = frozenset({"string"})
_MAX_DEPTH = 32  # of references and choices
_MAX_SEEN = 256  # schemas in which one argument, or what is in a list, is looked for
_ALIASES = {
    "str": "string", "text": "string", "int": "integer", "long": "integer", "float": "number", "double": "number",
    "bool": "boolean", "dict": "object", "list": "array", "tuple": "array",
}  # fmt: skip

Types = frozenset[str]


class Parameters:
    """The possible types of a tool's arguments."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._known: dict[str, Types] = {}
        self._types = TypesOf(schema)

    def types(self, key: str) -> Types:
        """Return the types that this argument may have; text if nothing is known of it."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.types_of(self.within(self._schema, key)) or _TEXT
        return known

    def types_of(self, schema: Any) -> Types | None:
        """Return the types that a schema within these parameters allows; None if it says nothing of them."""
        return self._types(schema)

    def within(self, schema: Any, key: str) -> Any:
        """Return the schema of a member of an object with this schema."""
        return _property(schema, key, self._schema, set())

    def argument(self, key: str) -> Any:
        """Return the schema of an argument."""
        return self.within(self._schema, key)

    def items(self, schema: Any) -> Any:
        """Return the schema of the entries of a list with this schema."""
        return _items(schema, self._schema, set())


class TypesOf:
    """The types that schemas of a document allow. Each schema is examined once: references and choices may multiply."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[int, tuple[Any, Types | None]] = {}  # by id, with what has it

    def __call__(self, schema: Any, depth: int = 0) -> Types | None:
        """Return the types that a schema allows; None if it says nothing of them."""
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return None
        if id(schema) not in self._known:
            self._known[id(schema)] = schema, None  # what it says by way of itself
            self._known[id(schema)] = schema, self._look(schema, depth)
        return self._known[id(schema)][1]

    def _look(self, schema: dict[str, Any], depth: int) -> Types | None:
        said = [one for one in self._constraints(schema, depth + 1) if one is not None]
        if not said:
            return None
        allowed = frozenset.intersection(*map(_with_integers, said))
        if schema.get("nullable") is True:
            allowed |= {"null"}
        return allowed or said[0]

    def _constraints(self, schema: dict[str, Any], depth: int) -> list[Types | None]:
        """Return what each keyword of a schema says of the types."""
        found: list[Types | None] = [_named(schema.get("type"))]
        if isinstance(schema.get("$ref"), str):
            found.append(self(resolve(schema["$ref"], self._root), depth))
        for keyword in ("anyOf", "oneOf"):
            if isinstance(choices := schema.get(keyword), list):
                each = [self(choice, depth) for choice in choices]
                found.append(None if None in each else frozenset[str]().union(*(one for one in each if one)))
        if isinstance(parts := schema.get("allOf"), list):
            found += [self(part, depth) for part in parts]
        if isinstance(values := schema.get("enum"), list):
            found.append(frozenset(map(_type_of, values)))
        if "const" in schema:
            found.append(frozenset({_type_of(schema["const"])}))
        if not any(found) and "properties" in schema:
            found.append(frozenset({"object"}))
        if not any(found) and "items" in schema:
            found.append(frozenset({"array"}))
        return [one or None for one in found]


def _with_integers(types: Types) -> Types:
    return types | {"integer"} if "number" in types else types


def _named(said: Any) -> Types | None:
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list):
        return None
    known = {_ALIASES.get(name.lower(), name.lower()) for name in names if isinstance(name, str)}
    return frozenset(known & ALL) or None


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def resolve(reference: str, root: Any) -> Any:
    """Return the schema to which a reference within the same document leads."""
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found


def _property(schema: Any, key: str, root: Any, seen: set[int]) -> Any:
    """Return the schema of an argument, wherever the schema of the arguments has it. `seen`: by id, where it is not."""
    if not isinstance(schema, dict) or id(schema) in seen or len(seen) > _MAX_SEEN:
        return None
    seen.add(id(schema))
    properties = schema.get("properties")
    if isinstance(properties, dict) and key in properties:
        return properties[key]
    for one in _parts(schema, root):
        found = _property(one, key, root, seen)
        if found is not None:
            return found
    return schema.get("additionalProperties")


def _items(schema: Any, root: Any, seen: set[int]) -> Any:
    if not isinstance(schema, dict) or id(schema) in seen or len(seen) > _MAX_SEEN:
        return None
    seen.add(id(schema))
    if "items" in schema:
        return schema["items"]
    return next((found for one in _parts(schema, root) if (found := _items(one, root, seen)) is not None), None)


def _parts(schema: dict[str, Any], root: Any) -> list[Any]:
    """Return the schemas to which a schema refers, and those it is made of."""
    parts = [resolve(schema["$ref"], root)] if isinstance(schema.get("$ref"), str) else []
    for keyword in ("allOf", "anyOf", "oneOf"):
        parts += schema[keyword] if isinstance(schema.get(keyword), list) else []
    return parts


def is_text(types: Types) -> bool:
    """Return whether a value of these types is always a text."""
    return types == _TEXT
