"""Shorter forms of texts and items: the beginning and the end, with a note of what is missing between them. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from realtime.wire.items import (
    InputItem,
)

_LEFT_OUT = "\n[... {count} characters left out ...]\n"
_MIN_PART = 16  # characters; a text is not cut to less


def elide(text: str, max_chars: int) -> str:
    """Return the text, or its beginning and its end with a note of what is missing between them."""
    part = max(max_chars // 2, _MIN_PART)
    if len(text) <= max(max_chars, 2 * part + len(_LEFT_OUT)):
        return text
    return text[:part] + _LEFT_OUT.format(count=len(text) - 2 * part) + text[-part:]


def shorten(item: InputItem, max_chars: int) -> InputItem:
    """Return the item with long texts elided. Arguments of calls stay whole, because they have to stay JSON."""
    members: dict[str, Any] = {}
    for name in ("content", "output"):
        value = getattr(item, name, None)
        if isinstance(value, str):
            members[name] = elide(value, max_chars)
        elif isinstance(value, list):
            members[name] = [_shorten_part(part, max_chars) for part in value]
    return msgspec.structs.replace(item, **members) if members else item


def _shorten_part(part: Any, max_chars: int) -> Any:
    text = getattr(part, "text", None)
    return msgspec.structs.replace(part, text=elide(text, max_chars)) if isinstance(text, str) else part
