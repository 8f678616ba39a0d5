"""Bounds of the JSON schemas by which a client constrains sampling. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from .bounds import Bound, Schema, add
from .json_size import num_bytes
from .limits import DEFAULT, Limits
from .schema_keywords import Keywords
from .schema_walk import SchemaWalk


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
        add(together, Bound.TOGETHER_BYTES, size, self._limits, path)
        walk = SchemaWalk(schema, path, Keywords(path, together, self._limits), self._limits)
        walk.run()
        steps = together[Bound.PATTERN_STEPS] - self._together[Bound.PATTERN_STEPS]
        self._together = together
        return Measured(walk.reached, walk.targets, steps)
