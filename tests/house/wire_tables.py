"""The members of an event as docs/protocol.md has them: a row each, with its type and whether it is always there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, inspect

from realtime.wire import items
from realtime.wire.events import Event
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import Part
from realtime.wire.requests import ClientEvent
from realtime.wire.response import Response, Usage

_OWN_SECTION = {Response: "Response", Usage: "Usage"}  # objects that are not written out inside others
_SIMPLE = {
    inspect.AnyType: "any",
    inspect.RawType: "any",
    inspect.NoneType: "null",
    inspect.BoolType: "boolean",
}


def members(struct: type[msgspec.Struct]) -> list[str]:
    """Return the beginning of each row: the member's path, its type, and how often it is there."""
    base = next((base for base in (Event, ClientEvent) if issubclass(struct, base)), None)
    envelope = base.__struct_fields__ if base else ()
    rows = _members(struct, "request" if base is ClientEvent else "answer")
    return [f"| `{path}` | {text} | {there} |" for path, text, there in rows if path not in envelope]


def _members(struct: type[msgspec.Struct], way: str) -> Iterator[tuple[str, str, str]]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    unset = {field.encode_name for field in msgspec.structs.fields(struct) if field.default is UNSET}
    for field in info.fields:
        path = field.encode_name
        if path.startswith(" "):  # the codec's own, not on the wire
            continue
        if way == "request":
            there = "required" if field.required else _default(field)
        else:
            there = "sometimes" if path in unset else "always"
        yield path, type_text(field.type), there
        yield from _nested(path, field.type, way)


def _default(field: inspect.Field) -> str:
    is_told = isinstance(field.default, int | float | str)
    return f"default `{field.default}`" if is_told else "optional"


def _nested(path: str, kind: inspect.Type, way: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(kind, inspect.Metadata):
        yield from _nested(path, kind.type, way)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _nested(path, one, way)
    elif isinstance(kind, inspect.ListType):
        yield from _nested(f"{path}[]", kind.item_type, way)
    elif isinstance(kind, inspect.StructType) and _is_written_out(kind):
        yield from ((f"{path}.{name}", text, there) for name, text, there in _members(kind.cls, way))


def _is_written_out(kind: inspect.StructType) -> bool:
    return kind.cls not in {*_OWN_SECTION, HarmonyMessage} and kind.tag is None


def type_text(kind: inspect.Type) -> str:
    """Return a type in words: JSON's names, with bounds."""
    if isinstance(kind, inspect.Metadata):
        return type_text(kind.type)
    for simple, text in _SIMPLE.items():
        if isinstance(kind, simple):
            return text
    if isinstance(kind, inspect.UnionType):
        texts = [type_text(one) for one in kind.types if not isinstance(one, inspect.CustomType)]
        return " or ".join(sorted(dict.fromkeys(texts), key=lambda text: text == "null"))
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.ListType):
        return f"array of {type_text(kind.item_type)}{_length(kind)}"
    if isinstance(kind, inspect.DictType):
        return f"object{_length(kind, ' members')}"
    if isinstance(kind, inspect.StructType):
        return _name(kind)
    if isinstance(kind, inspect.StrType):
        return f"string{_length(kind, ' characters')}"
    return f"{'integer' if isinstance(kind, inspect.IntType) else 'number'}{_range(kind)}"


def _name(kind: inspect.StructType) -> str:
    if issubclass(kind.cls, Part):
        return "part"
    return "item" if kind.cls.__module__ == items.__name__ else _OWN_SECTION.get(kind.cls, "object")


def _length(kind: Any, unit: str = "") -> str:
    least, most = kind.min_length, kind.max_length
    if most is None:
        return ""
    return f" ({least} to {most:,}{unit})" if least else f" (at most {most:,}{unit})"


def _range(kind: Any) -> str:
    """The bounds that a person would care for: not those that keep a number within 32 or 64 bits."""
    low = f"from {kind.ge:g}" if kind.ge is not None else f"above {kind.gt:g}" if kind.gt is not None else ""
    high = "" if kind.le is None else f"to {kind.le:g}"
    low = "" if kind.ge is not None and kind.ge < -1e6 else low
    high = "" if kind.le is not None and kind.le >= 1e9 else high
    words = " ".join(word for word in (low, high) if word)
    return f" ({words})" if words else ""
