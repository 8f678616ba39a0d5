"""Bounds of the JSON schemas and grammars by which a client constrains sampling. Pure.

Both go to a compiler of grammars that recurses into them and expands their repeats, so a few hundred bytes could end
the process, or take it for minutes. So they are measured first: without recursion, in a time that is linear in their
size, and no further than the bound that they exceed. What no compiler could read is refused here as well if that can be
told cheaply, because here the reason and the place are known.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from . import regex_bounds
from .errors import WireError, invalid_member
from .limits import DEFAULT, Limits
from .unheld import unheld

Schema = dict[str, Any]


class _Row(NamedTuple):
    """A bound: its member of `Limits`, what is counted, and what to do if there is more."""

    setting: str
    what: str
    advice: str


class Bound(enum.Enum):
    """The bounds. Those of schemas count what is reached from the root, each definition once; `together`: in all tools
    of a request.
    """

    SCHEMA_BYTES = _Row("max_schema_bytes", "bytes of JSON", "send a smaller schema")
    TOGETHER_BYTES = _Row(
        "max_request_schema_bytes", "bytes of JSON in all schemas together", "hold fewer tools to theirs"
    )
    DEPTH = _Row("max_schema_depth", "levels, with references followed", "nest less deeply")
    RECURSIVE_DEPTH = _Row(
        "max_recursive_schema_depth",
        "levels in definitions that refer to each other",
        "use fewer or flatter definitions",
    )
    PROPERTIES = _Row("max_schema_properties", "properties", "split the schema or leave some out")
    OPTIONAL = _Row("max_optional_properties", "optional properties", "name more of them in `required`")
    COUNTED = _Row(
        "max_counted_properties",
        "optional properties beside `minProperties` or `maxProperties`, together",
        "leave those out or require more",
    )
    ENUM_VALUES = _Row(
        "max_enum_values",
        "values in enums, a `const` being one",
        "use a plain type, and list the values in the description",
    )
    ENUM_CHARS = _Row("max_enum_chars", "characters in values of enums and in `const`", "use shorter or fewer values")
    PATTERN_CHARS = _Row("max_pattern_chars", "characters in a `pattern`", "use a shorter one")
    PATTERN_GROUPS = _Row("max_pattern_groups", "levels of groups in a `pattern`", "nest fewer groups")
    PATTERN_REPEAT = _Row("max_pattern_repeat", "repeats in a `pattern`", "use `*`, `+`, `minLength` and `maxLength`")
    PATTERN_STEPS = _Row(
        "max_pattern_steps", "characters in all patterns together, with repeats written out", "repeat less"
    )
    GRAMMAR_CHARS = _Row("max_grammar_chars", "characters in all grammars together", "send fewer or shorter ones")
    GRAMMAR_GROUPS = _Row(
        "max_grammar_groups", "levels of groups in a grammar", "nest fewer groups, or make rules of them"
    )
    GRAMMAR_REPEAT = _Row("max_grammar_repeat", "repeats in a grammar", "use `*` or `+`")
    GRAMMAR_STEPS = _Row("max_grammar_steps", "elements in a grammar with all repeats written out", "repeat less")

    def limit(self, limits: Limits) -> int:
        """The most that is accepted."""
        limit: int = getattr(limits, self.value.setting)
        return limit

    def check(self, number: int, limits: Limits, path: str) -> None:
        """Raise WireError if there are more. `path`: of what is counted."""
        if number > self.limit(limits):
            raise self.error(limits, path)

    def error(self, limits: Limits, path: str) -> WireError:
        """Return the refusal of what exceeds the bound."""
        row = self.value
        return invalid_member(path, f"more than the {self.limit(limits)} {row.what} that are accepted: {row.advice}")


_IN_PATTERN = {
    regex_bounds.Over.GROUPS: Bound.PATTERN_GROUPS,
    regex_bounds.Over.REPEAT: Bound.PATTERN_REPEAT,
    regex_bounds.Over.STEPS: Bound.PATTERN_STEPS,
}
_IN_GRAMMAR = {
    regex_bounds.Over.GROUPS: Bound.GRAMMAR_GROUPS,
    regex_bounds.Over.REPEAT: Bound.GRAMMAR_REPEAT,
    regex_bounds.Over.STEPS: Bound.GRAMMAR_STEPS,
}
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_NAMED = ("properties", "patternProperties", "dependentSchemas")  # schemas by name
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SINGLE = (
    "items", "additionalProperties", "additionalItems", "unevaluatedProperties", "unevaluatedItems", "contains", "not",
    "if", "then", "else", "propertyNames",
)  # fmt: skip
_PLAIN = frozenset({"type", "title", "description", "default"})  # a schema of these has nothing in it to measure
_SHOWN = 64  # characters of a client's names in a message


def check_schemas(held: Iterable[tuple[Schema, str]], limits: Limits = DEFAULT) -> None:
    """Check JSON schemas that constrain a model, each with its path. Raises WireError with the path of the first that
    exceeds a bound, or can't be a schema.
    """
    request = Schemas(limits)
    for schema, path in held:
        request.measure(schema, path)


class Measured(NamedTuple):
    """A schema within the bounds: itself and the schemas that it is made of, the targets of its references, and the
    characters of its patterns with repeats written out.
    """

    reached: list[Schema]
    targets: dict[str, Any]
    pattern_steps: int


class Schemas:
    """The schemas of one request."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._together: Counter[Bound] = Counter()

    def measure(self, schema: Schema, path: str) -> Measured:
        """Check one more. Raises WireError with the path if it, or all together, exceed a bound; then it does not
        count.
        """
        together = self._together.copy()
        size = num_bytes(schema, self._limits.max_schema_bytes)
        Bound.SCHEMA_BYTES.check(size, self._limits, path)
        _add(together, Bound.TOGETHER_BYTES, size, self._limits, path)
        walk = _Walk(schema, path, together, self._limits)
        walk.run()
        steps = together[Bound.PATTERN_STEPS] - self._together[Bound.PATTERN_STEPS]
        self._together = together
        return Measured(walk.reached, walk.targets, steps)


def check_grammars(held: Iterable[tuple[str, str, str]], limits: Limits = DEFAULT) -> None:
    """Check grammars: the syntax of each (`regex` or `lark`), its definition, its path. The caller checks their
    lengths. Raises WireError.
    """
    together: Counter[Bound] = Counter()
    most = regex_bounds.Limits(limits.max_grammar_groups, limits.max_grammar_repeat, limits.max_grammar_steps)
    for syntax, definition, path in held:
        _add(together, Bound.GRAMMAR_CHARS, len(definition), limits, path)
        measure = regex_bounds.measure_regex if syntax == "regex" else regex_bounds.measure_lark
        try:
            measure(definition, most)
        except regex_bounds.TooMuch as error:
            raise _IN_GRAMMAR[error.over].error(limits, path) from None
        except regex_bounds.Malformed as error:
            raise invalid_member(path, f"is no regular expression: {error}") from None
        except regex_bounds.Unheld as error:
            raise invalid_member(path, f"can't be held to: {error}") from None


def num_bytes(value: Any, limit: int) -> int:
    """Return the size of a value as compact JSON, counted up to the limit. Escapes count as the characters that they
    stand for.
    """
    total = 0
    left = [value]
    while left and total <= limit:
        one = left.pop()
        if isinstance(one, str):
            total += 2 + (len(one) if len(one) > limit or one.isascii() else len(one.encode(errors="replace")))
        elif isinstance(one, dict):
            total += max(2, 1 + 2 * len(one))
            if total <= limit:
                left += one
                left += one.values()
        elif isinstance(one, list):
            total += max(2, 1 + len(one))
            if total <= limit:
                left += one
        else:
            total += len(str(one)) if isinstance(one, float) else _digits(one)
    return total


def _digits(value: Any) -> int:
    """Return the size of a whole number, true, false or null."""
    return value.bit_length() // 3 + 1 if isinstance(value, int) else 4


class _Walk:
    """One depth-first walk through a schema, which visits each of its schemas once. Its heights are those above what it
    returns to.
    """

    def __init__(self, root: Schema, path: str, together: Counter[Bound], limits: Limits) -> None:
        self._root = root
        self._path = path
        self._counts: Counter[Bound] = Counter()
        self._together = together
        self._limits = limits
        self._heights: dict[int, int] = {}  # with references followed; by id, once the walk has left a schema
        self._own: dict[int, int] = {}  # without
        self._entered: set[int] = set()
        self.reached: list[Schema] = []
        self.targets: dict[str, Any] = {}
        self._ends: set[int] = set()  # schemas whose references lead to something
        self._is_recursive = False

    def run(self) -> None:
        """Walk. Raises WireError."""
        self._descend()
        if self._is_recursive:  # in which order a compiler comes through it is not known: all may stand on each other
            stacked = {id(self._root), *map(id, self.targets.values())}
            self._add(Bound.RECURSIVE_DEPTH, sum(self._own.get(one, 0) for one in stacked))
        else:
            self._add(Bound.DEPTH, self._heights[id(self._root)])

    def _descend(self) -> None:
        under = [self._enter(self._root)]
        while under:
            here, children, heights = under[-1]
            child = next(children, None)
            if child is None:
                under.pop()
                self._leave(here, heights)
                continue
            schema, refers = child
            if schema.keys() <= _PLAIN:
                self._check_type(schema)
                self.reached.append(schema)
                self._heights[id(schema)] = self._own[id(schema)] = 1
            elif id(schema) not in self._entered:
                under.append(self._enter(schema))
                if len(under) > self._limits.max_recursive_schema_depth:
                    raise Bound.DEPTH.error(self._limits, self._path)
            elif id(schema) not in self._heights:
                self._is_recursive = True
            heights.append((schema, refers))

    def _enter(self, schema: Schema) -> tuple[Schema, Iterator[tuple[Schema, bool]], list[tuple[Schema, bool]]]:
        self._entered.add(id(schema))
        self.reached.append(schema)
        self._check_keywords(schema)
        self._check_ends(schema)
        return schema, self._children(schema), []

    def _leave(self, schema: Schema, children: list[tuple[Schema, bool]]) -> None:
        height = 1 + max((self._heights.get(id(child), 0) for child, _ in children), default=0)
        own = (self._own.get(id(child), 0) for child, refers in children if not refers)
        self._heights[id(schema)] = height
        self._own[id(schema)] = 1 + max(own, default=0)

    def _children(self, schema: Schema) -> Iterator[tuple[Schema, bool]]:
        """Yield the schemas in a schema, and whether it only refers to them."""
        name = schema.get("$ref")
        if isinstance(name, str) and isinstance(target := self._target(name), dict):
            yield target, True
        for name in _NAMED:
            if isinstance(by_name := schema.get(name), dict):
                yield from ((one, False) for one in by_name.values() if isinstance(one, dict))
        for name in _LISTED:
            if isinstance(listed := schema.get(name), list):
                yield from ((one, False) for one in listed if isinstance(one, dict))
        for name in _SINGLE:
            if isinstance(one := schema.get(name), dict):
                yield one, False

    def _check_ends(self, schema: Schema) -> None:
        """Refuse references that lead to references for ever."""
        seen: set[int] = set()
        while isinstance(name := schema.get("$ref"), str) and id(schema) not in self._ends:
            if id(schema) in seen:
                raise invalid_member(
                    self._path, f"the `$ref` to '{name[:_SHOWN]}' leads only to itself: give it a schema"
                )
            seen.add(id(schema))
            target = self._target(name)
            if not isinstance(target, dict):
                break
            schema = target
        self._ends |= seen

    def _target(self, name: str) -> Any:
        """Return the target of a reference; None if that is not in the schema."""
        if name not in self.targets:
            self.targets[name] = self._look_up(name) if name == "#" or name.startswith("#/") else None
        return self.targets[name]

    def _look_up(self, name: str) -> Any:
        found: Any = self._root
        for step in name[1:].split("/")[1:] if name != "#/" else ():
            plain = unquote(step).replace("~1", "/").replace("~0", "~")
            match found:
                case dict() if step in found or plain in found:
                    found = found[step if step in found else plain]
                case list() if step.isascii() and step.isdigit() and len(step) < 7 and int(step) < len(found):
                    found = found[int(step)]
                case _:
                    raise invalid_member(self._path, f"the `$ref` to '{name[:_SHOWN]}' leads nowhere: define it")
        return found

    def _check_keywords(self, schema: Schema) -> None:
        self._check_type(schema)
        if reason := unheld(schema):
            raise invalid_member(self._path, reason)
        self._count_properties(schema)
        self._count_values(schema)
        for name in ("anyOf", "oneOf"):
            if schema.get(name) == []:
                raise invalid_member(self._path, f"an empty `{name}` allows nothing: give it a schema, or leave it out")
        if isinstance(pattern := schema.get("pattern"), str):
            self._check_pattern(pattern)
        if isinstance(by_pattern := schema.get("patternProperties"), dict):
            for pattern in by_pattern:
                self._check_pattern(pattern)

    def _check_type(self, schema: Schema) -> None:
        if "type" not in schema:
            return
        wanted = schema["type"]
        if isinstance(wanted, str) and wanted in _TYPES:
            return
        if wanted == []:
            raise invalid_member(self._path, "an empty `type` allows nothing: name one, or leave it out")
        for one in wanted if isinstance(wanted, list) else (wanted,):
            if not isinstance(one, str) or one not in _TYPES:
                shown = f"'{one[:_SHOWN]}'" if isinstance(one, str) else "what is given"
                raise invalid_member(
                    self._path, f"`type` must be one of {', '.join(_TYPES)}, or a list of them; not {shown}"
                )

    def _count_properties(self, schema: Schema) -> None:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return
        required = schema.get("required")
        names = {one for one in required if isinstance(one, str)} if isinstance(required, list) else set()
        num_optional = len(properties.keys() - names)
        self._add(Bound.PROPERTIES, len(properties))
        self._add(Bound.OPTIONAL, num_optional)
        if "minProperties" in schema or "maxProperties" in schema:
            _add(self._together, Bound.COUNTED, num_optional, self._limits, self._path)

    def _count_values(self, schema: Schema) -> None:
        if "enum" not in schema and "const" not in schema:
            return
        values = schema.get("enum")
        values = values if isinstance(values, list) else []
        if "const" in schema:
            values = [*values, schema["const"]]
        self._add(Bound.ENUM_VALUES, len(values))
        self._add(Bound.ENUM_CHARS, sum(_num_chars(value, self._limits.max_enum_chars) for value in values))

    def _check_pattern(self, pattern: str) -> None:
        limits = self._limits
        Bound.PATTERN_CHARS.check(len(pattern), limits, self._path)
        most = regex_bounds.Limits(limits.max_pattern_groups, limits.max_pattern_repeat, limits.max_pattern_steps)
        try:
            steps = regex_bounds.measure_regex(pattern, most)
        except regex_bounds.TooMuch as error:
            raise _IN_PATTERN[error.over].error(limits, self._path) from None
        except regex_bounds.Malformed as error:
            shown = f"{pattern[:_SHOWN]!r}"
            raise invalid_member(self._path, f"the `pattern` {shown} is no regular expression: {error}") from None
        except regex_bounds.Unheld as error:
            shown = f"{pattern[:_SHOWN]!r}"
            raise invalid_member(self._path, f"the `pattern` {shown} can't be held to: {error}") from None
        _add(self._together, Bound.PATTERN_STEPS, steps, limits, self._path)

    def _add(self, bound: Bound, more: int) -> None:
        _add(self._counts, bound, more, self._limits, self._path)


def _add(counts: Counter[Bound], bound: Bound, more: int, limits: Limits, path: str) -> None:
    counts[bound] += more
    bound.check(counts[bound], limits, path)


def _num_chars(value: Any, limit: int) -> int:
    """Return the characters of a value of an enum."""
    return len(value) if isinstance(value, str) else num_bytes(value, limit)
