"""A search for many words at once: one regular expression that shares their beginnings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

_UNIT = re.compile(r"\d+|\D", re.DOTALL)
_NUMBER = r"\d+"


def any_of(words: Iterable[str], *, any_number: bool = False) -> str:
    """Return the pattern of the longest of these words. any_number: a number in a word may be any, which makes a
    pattern of a thousand reserved tokens as short as that of one.
    """
    tree: dict[str, Any] = {}
    for word in words:
        node = tree
        for unit in _UNIT.findall(word) if any_number else word:
            node = node.setdefault(_NUMBER if unit.isdecimal() and any_number else re.escape(unit), {})
        node[""] = {}
    return _pattern(tree) if tree else r"(?!)"


def _pattern(node: dict[str, Any]) -> str:
    branches = list(_branches(node))
    if not branches:
        return ""
    body = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    return f"(?:{body})?" if "" in node else body


def _branches(node: dict[str, Any]) -> Iterator[str]:
    for unit, rest in node.items():
        if unit:
            yield unit + _pattern(rest)
