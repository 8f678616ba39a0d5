"""The size of JSON, without writing it. Pure."""

from __future__ import annotations

from typing import Any


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
