"""The walk through a JSON schema that follows its references: each schema in it once, and how deep they lie. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from .bounds import Bound, Schema
from .errors import invalid_member
from .limits import Limits
from .schema_keywords import SHOWN_CHARS, Keywords

_NAMED = ("properties", "patternProperties", "dependentSchemas")  # schemas by name
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SINGLE = (
    "items", "additionalProperties", "additionalItems", "unevaluatedProperties", "unevaluatedItems", "contains", "not",
    "if", "then", "else", "propertyNames",
)  # fmt: skip
_PLAIN = frozenset({"type", "title", "description", "default"})  # a schema of these has nothing in it to measure


class SchemaWalk:
    """One depth-first walk through a schema, which visits each of its schemas once. Its heights are those above what it
    returns to. `reached`: the schemas that it is made of. `targets`: of its references.
    """

    def __init__(self, root: Schema, path: str, keywords: Keywords, limits: Limits) -> None:
        """path: of the root in the request. keywords: check each schema that is visited."""
        self._root = root
        self._path = path
        self._keywords = keywords
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
            depth = sum(self._own.get(one, 0) for one in stacked)
            Bound.RECURSIVE_DEPTH.check(depth, self._limits, self._path)
        else:
            Bound.DEPTH.check(self._heights[id(self._root)], self._limits, self._path)

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
                self._keywords.check_type(schema)
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
        self._keywords.check(schema)
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
                    self._path, f"the `$ref` to '{name[:SHOWN_CHARS]}' leads only to itself: give it a schema"
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
                    raise invalid_member(self._path, f"the `$ref` to '{name[:SHOWN_CHARS]}' leads nowhere: define it")
        return found
