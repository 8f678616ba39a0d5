"""The keywords of JSON schemas: what they count, and what no compiler of grammars could read. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from . import regex_bounds
from .bounds import Bound, Schema, add
from .errors import invalid_member
from .json_size import num_bytes
from .limits import Limits
from .unheld import unheld

_IN_PATTERN = {
    regex_bounds.Over.GROUPS: Bound.PATTERN_GROUPS,
    regex_bounds.Over.REPEAT: Bound.PATTERN_REPEAT,
    regex_bounds.Over.STEPS: Bound.PATTERN_STEPS,
}
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
SHOWN_CHARS = 64  # characters of a client's names in a message


class Keywords:
    """The counts of one schema's keywords, with those of all schemas that it is made of. `together`: the counts of all
    schemas of the request.
    """

    def __init__(self, path: str, together: Counter[Bound], limits: Limits) -> None:
        """path: of the schema in the request, for refusals."""
        self._path = path
        self._counts: Counter[Bound] = Counter()
        self._together = together
        self._limits = limits

    def check(self, schema: Schema) -> None:
        """Check and count the keywords of one schema. Raises WireError."""
        self.check_type(schema)
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

    def check_type(self, schema: Schema) -> None:
        """Check the types that a schema allows. Raises WireError."""
        if "type" not in schema:
            return
        wanted = schema["type"]
        if isinstance(wanted, str) and wanted in _TYPES:
            return
        if wanted == []:
            raise invalid_member(self._path, "an empty `type` allows nothing: name one, or leave it out")
        for one in wanted if isinstance(wanted, list) else (wanted,):
            if not isinstance(one, str) or one not in _TYPES:
                shown = f"'{one[:SHOWN_CHARS]}'" if isinstance(one, str) else "what is given"
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
            add(self._together, Bound.COUNTED, num_optional, self._limits, self._path)

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
            shown = f"{pattern[:SHOWN_CHARS]!r}"
            raise invalid_member(self._path, f"the `pattern` {shown} is no regular expression: {error}") from None
        except regex_bounds.Unheld as error:
            shown = f"{pattern[:SHOWN_CHARS]!r}"
            raise invalid_member(self._path, f"the `pattern` {shown} can't be held to: {error}") from None
        add(self._together, Bound.PATTERN_STEPS, steps, limits, self._path)

    def _add(self, bound: Bound, more: int) -> None:
        add(self._counts, bound, more, self._limits, self._path)


def _num_chars(value: Any, limit: int) -> int:
    """Return the characters of a value of an enum."""
    return len(value) if isinstance(value, str) else num_bytes(value, limit)
