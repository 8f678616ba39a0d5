"""Values whose type the model does not write, converted to JSON by the types that the tool's schema allows. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from realtime.wire.json_text import is_json

from .json_lexer import clean, quoted
from .literals import converted
from .schema import Types

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d+")


def to_json(text: str, types: Types) -> str:
    """Return the JSON of a value that was written as this text. Numbers keep their digits. A value that fits no type is
    a string.
    """
    bare = text.strip()
    for kind, convert in _CONVERSIONS:
        if kind in types:
            found = convert(bare)
            if found is not None:
                return found
    if "string" not in types and is_json(bare):
        return clean(bare)
    return f'"{quoted(text)}"'


def _null(text: str) -> str | None:
    return "null" if text in ("null", "None") else None


def _boolean(text: str) -> str | None:
    return text.lower() if text.lower() in ("true", "false") else None


def _integer(text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return text if "." not in text and "e" not in text.lower() else _whole(text)
    return str(int(text)) if _INTEGER.fullmatch(text) and len(text) < 4000 else None


def _whole(text: str) -> str | None:
    return text if re.fullmatch(r"-?\d+\.0+", text) else None


def _number(text: str) -> str | None:
    return text if _NUMBER.fullmatch(text) else None


def _object(text: str) -> str | None:
    return _container(text, "{", dict)


def _array(text: str) -> str | None:
    return _container(text, "[", list)


def _container(text: str, first: str, kind: type[Any]) -> str | None:
    if not text.startswith((first, "(" if first == "[" else first)):
        return None
    said = clean(text)
    try:
        return said if isinstance(msgspec.json.decode(said), kind) else None
    except (ValueError, RecursionError):
        return converted(text)  # may be in Python's notation


_CONVERSIONS = (
    ("null", _null), ("boolean", _boolean), ("integer", _integer), ("number", _number), ("object", _object),
    ("array", _array),
)  # fmt: skip
