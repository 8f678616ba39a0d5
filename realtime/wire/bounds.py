"""The table of bounds of JSON schemas and grammars by which a client constrains sampling. Pure. `schema_bounds` and
`grammar_bounds` measure.

Both go to a compiler of grammars that recurses into them and expands their repeats, so a few hundred bytes could end
the process, or take it for minutes. So they are measured first: without recursion, in a time that is linear in their
size, and no further than the bound that they exceed. What no compiler could read is refused here as well if that can be
told cheaply, because here the reason and the place are known.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any, NamedTuple

from .errors import WireError, invalid_member
from .limits import Limits

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


def add(counts: Counter[Bound], bound: Bound, more: int, limits: Limits, path: str) -> None:
    """Count more. Raises WireError if that exceeds the bound. `path`: of what is counted."""
    counts[bound] += more
    bound.check(counts[bound], limits, path)
