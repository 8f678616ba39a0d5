"""JSON inside a text, such as the arguments of a call. A model or a client wrote it, so it may contain anything. Pure.

Python reads `\\ud83d` without its other half as a character that UTF-8 can't express: no tokenizer takes it, and no
event can be made of it. So wherever text is made from JSON by Python's own reader, it is made here.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def loads(text: str) -> Any:
    """Parse JSON, reading half of a surrogate pair as U+FFFD. Raises ValueError, also for JSON that is nested too
    deeply.
    """
    try:
        value = json.loads(text)
        if _ESCAPED.search(text):
            value = json.loads(without_surrogates(json.dumps(value, ensure_ascii=False)))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def is_json(text: str) -> bool:
    """Return whether a text is one JSON value."""
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_object(text: str) -> bool:
    """Return whether a text is one JSON object."""
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (ValueError, RecursionError):
        return False


def without_surrogates(text: str) -> str:
    """Return a text with U+FFFD in place of what UTF-8 can't express."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
