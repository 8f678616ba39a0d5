"""Bounds of the grammars by which a client constrains sampling. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from . import regex_bounds
from .bounds import Bound, add
from .errors import invalid_member
from .limits import DEFAULT, Limits

_IN_GRAMMAR = {
    regex_bounds.Over.GROUPS: Bound.GRAMMAR_GROUPS,
    regex_bounds.Over.REPEAT: Bound.GRAMMAR_REPEAT,
    regex_bounds.Over.STEPS: Bound.GRAMMAR_STEPS,
}


def check_grammars(held: Iterable[tuple[str, str, str]], limits: Limits = DEFAULT) -> None:
    """Check grammars: the syntax of each (`regex` or `lark`), its definition, its path. The caller checks their
    lengths. Raises WireError.
    """
    together: Counter[Bound] = Counter()
    most = regex_bounds.Limits(limits.max_grammar_groups, limits.max_grammar_repeat, limits.max_grammar_steps)
    for syntax, definition, path in held:
        add(together, Bound.GRAMMAR_CHARS, len(definition), limits, path)
        measure = regex_bounds.measure_regex if syntax == "regex" else regex_bounds.measure_lark
        try:
            measure(definition, most)
        except regex_bounds.TooMuch as error:
            raise _IN_GRAMMAR[error.over].error(limits, path) from None
        except regex_bounds.Malformed as error:
            raise invalid_member(path, f"is no regular expression: {error}") from None
        except regex_bounds.Unheld as error:
            raise invalid_member(path, f"can't be held to: {error}") from None
