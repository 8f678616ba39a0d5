"""Find the first of some texts in a text that is still growing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable


def searcher(forms: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern that finds the first of these forms: complete, as its group 1, or begun at the end
    of the text.
    """
    ordered = sorted(set(forms), key=lambda form: (-len(form), form))
    if not ordered:
        return None
    whole = "|".join(map(re.escape, ordered))
    begun = "|".join(dict.fromkeys(_begun(form) for form in ordered if len(form) > 1))
    return re.compile(f"({whole})|(?:{begun})\\Z" if begun else f"({whole})")


def _begun(form: str) -> str:
    """Return a pattern of all proper beginnings of this form."""
    pattern = ""
    for char in reversed(form[:-1]):
        pattern = f"{re.escape(char)}(?:{pattern})?" if pattern else re.escape(char)
    return pattern
