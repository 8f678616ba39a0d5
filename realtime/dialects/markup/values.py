"""Values by a JSON schema, as parts of a structural tag: as JSON, as raw text, as literals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec

from realtime.engine import structural_tags
from realtime.engine.parsing import BadSpec
from realtime.engine.structural_tags import Form

from .family import Elements, Literals
from .schema import TypesOf, resolve
from .writer import escaped

Schema = dict[str, Any]

_MAX_DEPTH = 16  # of objects and lists in a form that is not JSON
_MAX_PROPERTIES = 64  # of which each may be missing
_MAX_LITERALS = 1000  # values of one tool, in a form that is not JSON
_MAX_WRITTEN = 20_000  # of those, with what must be written more than once
_MAX_SHARED = 4 << 20  # bytes of definitions, each time that they are written
_TEXT = frozenset({"string"})

Mark = Callable[[str], Form]


def text(value: str) -> Form:
    """Return the form of this text."""
    return {"type": "const_string", "value": value}


def sequence(*elements: Form) -> Form:
    """Return the form of one after the other, flat, with adjacent texts joined."""
    flat: list[Form] = []
    for element in elements:
        for one in element["elements"] if element["type"] == "sequence" else [element]:
            if one["type"] == "const_string" and flat and flat[-1]["type"] == "const_string":
                flat[-1] = text(flat[-1]["value"] + one["value"])
            elif one != text(""):
                flat.append(one)
    if not flat:
        return text("")
    return flat[0] if len(flat) == 1 else {"type": "sequence", "elements": flat}


def choice(forms: Sequence[Form]) -> Form:
    """Return the form of one of these."""
    return forms[0] if len(forms) == 1 else {"type": "or", "elements": list(forms)}


def optional(form: Form) -> Form:
    """Return the form of this, or nothing."""
    return {"type": "optional", "content": form}


class Values:
    """Values for the parameters of one tool. `param`: the place of those in the request."""

    def __init__(self, parameters: dict[str, Any], param: str) -> None:
        self._root = parameters
        self._param = param
        self._types = TypesOf(parameters)
        self._left = _MAX_LITERALS
        self._num_written = 0  # of these, with what is written more than once
        self._num_shared = 0  # characters of definitions that are

    def whole(self) -> Form:
        """Return the form of all arguments, as one JSON object."""
        return structural_tags.by_json(self._root, self._param)

    def json(self, schema: dict[str, Any]) -> Form:
        """Return the form of JSON by a schema of the parameters. References are to the whole of them."""
        if not _refers(schema):
            return structural_tags.by_json(schema, self._param)
        shared: Schema = {key: self._root[key] for key in ("$defs", "definitions") if key in self._root}
        self._num_shared += self._shared_size
        if self._num_shared > _MAX_SHARED:
            raise BadSpec("so many references to so large definitions can't be held to, for this model")
        return structural_tags.by_json({**shared, **schema}, self._param)

    @cached_property
    def _shared_size(self) -> int:
        shared = [self._root.get(key) for key in ("$defs", "definitions")]
        return len(msgspec.json.encode(shared))

    def properties(self) -> Iterator[tuple[str, Any, bool]]:
        """Yield the arguments: name, schema, and whether it is required. Raises BadSpec for anything but a plain
        object.
        """
        root = self._resolved(self._root)
        if any(key in root for key in ("anyOf", "oneOf", "allOf", "patternProperties", "minProperties")):
            raise BadSpec("the arguments of a strict tool must be a plain object, for this model")
        given, required = _members(root)
        if len(given) > _MAX_PROPERTIES and len(required) < len(given):
            raise BadSpec(f"a strict tool may have at most {_MAX_PROPERTIES} arguments of which some may be missing")
        for name, schema in given.items():
            yield name, schema, name in required

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """Return a schema without references at its top."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, dict):
                return {}
            if not isinstance(schema.get("$ref"), str):
                return schema
            schema = resolve(schema["$ref"], self._root)
        raise BadSpec("a schema that refers to itself can't be held to")

    # -- as raw text

    def raw(self, schema: Any, anything: Form) -> tuple[Form, bool | None]:
        """Return the form of a value, unchanged if it is a text, else as JSON; and whether it is a text: None if it may
        be.
        """
        types = self._types(schema) or _TEXT
        if "string" not in types:
            return self.json(self._resolved(schema) or {}), False
        if types == _TEXT:
            return self._texts(schema, anything), True
        if types == {"string", "null"}:
            return choice([text("null"), self._texts(schema, anything)]), None
        return anything, None

    def _texts(self, schema: Any, anything: Form, depth: int = 0) -> Form:
        """Return the texts that a schema of texts, and perhaps of null, allows."""
        schema = self._resolved(schema)
        self._left -= depth > 0
        if depth > _MAX_DEPTH or self._left <= 0:
            raise BadSpec("a schema of this depth or size can't be held to, for this model")
        some = [one for one in _ways(schema) if "string" in (self._types(one) or _TEXT)]
        if not some:
            return self._raw_text(schema, anything)
        return choice([self._texts(one, anything, depth + 1) for one in some])

    def _raw_text(self, schema: dict[str, Any], anything: Form) -> Form:
        values = _values(schema)
        if values:
            return choice([text(value) for value in values])
        if isinstance(schema.get("pattern"), str):
            return structural_tags.by_regex(schema["pattern"], self._param)
        low, high = schema.get("minLength", 0), schema.get("maxLength")
        if not isinstance(low, int) or not isinstance(high, int | None):
            raise BadSpec("a length must be a whole number")
        if low or high is not None:
            pattern = f"(?:.|\\n){{{low},{'' if high is None else high}}}"
            return structural_tags.by_regex(pattern, self._param)
        return anything

    # -- as elements

    def element(self, key: str, schema: Any, how: Elements, mark: Mark, anything: Form, depth: int = 0) -> Form:
        """Return the form of an element with a value. Raises BadSpec for a value that can't be told from a text."""
        schema = self._resolved(schema)
        self._left -= 1
        if depth > _MAX_DEPTH or self._left <= 0:
            raise BadSpec("a schema of this depth or size can't be held to, for this model")
        types = self._types(schema) or _TEXT
        match sorted(types):
            case ["object"]:
                given, required = _members(schema)
                inner = sequence(
                    *(
                        one if name in required else optional(one)
                        for name, said in given.items()
                        for one in (self.element(name, said, how, mark, anything, depth + 1),)
                    )
                )
            case ["array"]:
                item = self.element(how.item, schema.get("items", {}), how, mark, anything, depth + 1)
                inner = {"type": "star", "content": item}
            case _:
                if types & {"object", "array"}:
                    raise BadSpec("what may be an object, a list or something else can't be held to, for this model")
                inner, _ = self.raw(schema, anything)
        return sequence(mark(f"{how.before}<{key}>"), inner, mark(f"{how.before}</{key}>"))

    # -- as literals

    def literal(self, schema: Any, how: Literals, mark: Mark, anything_but: Mark, depth: int = 0) -> Form:
        """Return the form of a value in the family's notation. Raises BadSpec for a value that the notation can't
        express.
        """
        schema = self._resolved(schema)
        self._left -= 1
        self._num_written += 1
        if depth > _MAX_DEPTH or self._left <= 0:
            raise BadSpec("a schema of this depth or size can't be held to, for this model")
        if ways := _ways(schema):
            return choice([self.literal(one, how, mark, anything_but, depth + 1) for one in ways])
        kinds = sorted(self._types(schema) or _TEXT)
        return choice([self._literal(kind, schema, how, mark, anything_but, depth) for kind in kinds])

    def _literal(
        self, kind: str, schema: dict[str, Any], how: Literals, mark: Mark, anything_but: Mark, depth: int
    ) -> Form:
        true, false, null = how.words
        match kind:
            case "null":
                return text(null)
            case "boolean":
                return choice([text(true), text(false)])
            case "integer" | "number":
                return self.json({**_only(schema, _NUMBER_KEYS), "type": kind})
            case "string":
                return self._literal_text(schema, how, mark, anything_but)
            case "object":
                return self._literal_object(schema, how, mark, anything_but, depth)
            case _ if how.nested == "json":
                return self.json({**schema, "type": "array"})
            case _:
                item = self.literal(schema.get("items", {}), how, mark, anything_but, depth + 1)
                more: Form = {"type": "star", "content": sequence(text(how.between), item)}
                return sequence(text("["), optional(sequence(item, more)), text("]"))

    def _literal_text(self, schema: dict[str, Any], how: Literals, mark: Mark, anything_but: Mark) -> Form:
        quote = how.quotes[0]
        values = _values(schema)
        if how.escapes and quote == "'" and values:
            return choice([text(quote + escaped(value, quote) + quote) for value in values])
        if how.escapes and quote == "'" and not schema.keys() & _TEXT_KEYS:
            return {"type": "regex", "pattern": r"'(?:[^'\\\n]|\\[^\n])*'"}
        if how.escapes:
            return self.json({**schema, "type": "string"})
        return sequence(mark(quote), self._raw_text(schema, anything_but(quote)), mark(quote))

    def _literal_object(
        self, schema: dict[str, Any], how: Literals, mark: Mark, anything_but: Mark, depth: int
    ) -> Form:
        if how.escapes:
            return self.json({**schema, "type": "object"})
        given, required = _members(schema)
        pairs = (
            (sequence(text(f"{name}:"), self.literal(inner, how, mark, anything_but, depth + 1)), name in required)
            for name, inner in given.items()
        )
        return sequence(text("{"), self.listed(pairs, text(how.between)), text("}"))

    def listed(self, each: Iterable[tuple[Form, bool]], between: Form) -> Form:
        """Return the form of these in order, with a separator; only the required ones must occur. Raises BadSpec if too
        much has to be written again for each one that may come first.
        """
        pairs = list(self._counted(each))
        rests = [sequence()]
        for form, required in reversed(pairs):
            one = sequence(between, form)
            rests.insert(0, sequence(one if required else optional(one), rests[0]))
        firsts: list[Form] = []
        for index, (form, required) in enumerate(pairs):
            firsts.append(sequence(form, rests[index + 1]))
            if required:
                return choice(firsts)
        return choice([*firsts, text("")])

    def _counted(self, each: Iterable[tuple[Form, bool]]) -> Iterator[tuple[Form, bool]]:
        """Yield the same as they are made, with the values in each counted as often as `listed` has it."""
        num_firsts, more = 0, True
        before = self._num_written
        for form, required in each:
            num_firsts += more
            more = more and not required
            self._num_written = before = before + (self._num_written - before) * num_firsts
            if before > _MAX_WRITTEN:
                raise BadSpec("so many values that may be missing can't be held to, for this model")
            yield form, required

    def free_literals(self, how: Literals, mark: Mark, anything_but: Mark) -> Form:
        """Return the form of any arguments in the family's notation. Objects and lists contain JSON, where the notation
        has it.
        """
        key: Form = {"type": "regex", "pattern": "[A-Za-z_][A-Za-z0-9_]{0,63}"}
        scalar = self.literal({"type": ["string", "number", "boolean", "null"]}, how, mark, anything_but)
        free = [structural_tags.by_json({"type": kind}, None) for kind in ("object", "array")]
        nested = free if how.escapes else []
        flat: Form = {"type": "star", "content": sequence(text(how.between), scalar)}
        listing = [] if how.escapes else [sequence(text("["), optional(sequence(scalar, flat)), text("]"))]
        pair = sequence(key, text(how.assign), choice([scalar, *nested, *listing]))
        return optional(sequence(pair, {"type": "star", "content": sequence(text(how.between), pair)}))


def _refers(schema: Any) -> bool:
    """Return whether it contains a reference."""
    left = [schema]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if "$ref" in one:
                return True
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False


def _members(schema: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the properties of an object, and the names of the required ones. Raises BadSpec for an invalid schema."""
    given, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(given, dict) or not isinstance(required, list):
        raise BadSpec("`properties` must be an object, and `required` a list")
    return given, required


def _values(schema: dict[str, Any]) -> list[str]:
    """Return the texts that a schema lists, if it lists its values."""
    given = [schema["const"]] if "const" in schema else schema.get("enum")
    return [value for value in given if isinstance(value, str)] if isinstance(given, list) else []


def _ways(schema: dict[str, Any]) -> list[Any]:
    """Return the alternatives of a schema that says nothing else; none if it says something of its own."""
    ways = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if not isinstance(ways, list) or not schema.keys() <= _NO_MORE or ("allOf" in schema and len(ways) > 1):
        return []
    return ways if sum(key in schema for key in ("anyOf", "oneOf", "allOf")) == 1 else []


_NO_MORE = {"anyOf", "oneOf", "allOf", "title", "description", "default", "examples", "$defs", "definitions"}
_TEXT_KEYS = {"pattern", "format", "minLength", "maxLength"}
_NUMBER_KEYS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const")


def _only(schema: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: schema[key] for key in keys if key in schema}
