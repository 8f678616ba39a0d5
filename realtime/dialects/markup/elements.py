"""Arguments as nested elements, translated to JSON by the tool's schema. Pure."""

from __future__ import annotations

import re
from typing import Any

from .bodies import MAX_KEY, Letters, ends
from .conversion import to_json
from .grammar import BoundCalls, BoundElements
from .json_lexer import quoted
from .marks import skip_space
from .schema import ALL, Parameters, Types

_MAX_DEPTH = 64
_TAG = re.compile(r"<(/?)([^<>/\n]+)>")
_TAG_BEGUN = re.compile(r"(?:</?[^<>/\n]*)?\Z")


class _Element:
    """An open element. `inner`: the elements in it, as keys and JSON."""

    __slots__ = ("inner", "key", "schema", "text")

    def __init__(self, key: str, schema: Any) -> None:
        self.key = key
        self.schema = schema
        self.text: list[str] = []
        self.inner: list[tuple[str, str]] = []


class ElementsBody:
    """Arguments as nested elements; see bodies.Body. An argument is passed on when its element ends."""

    def __init__(self, calls: BoundCalls, elements: BoundElements, parameters: Parameters, letters: Letters) -> None:
        self.whole = False
        self.broken = False
        self._calls = calls
        self._elements = elements
        self._parameters = parameters
        self._letters = letters
        self._open: list[_Element] = []
        self._num = 0

    def opens(self, text: str, at: int) -> bool | None:
        """See Body."""
        at = skip_space(text, at)
        found = self._elements.before.match(text, at)
        if found is None or found < 0:
            return None if found is None else False
        ended = ends(self._calls, text, at)
        return _TAG.match(text, found) is not None if ended is False and not _begun(text, found) else ended or None

    def read(self, text: str, at: int, out: list[str]) -> int:
        """See Body."""
        while not (self.whole or self.broken):
            found = self._elements.search.search(text, at)
            stop = len(text) if found is None else found.start()
            self._take(text[at:stop])
            at = stop
            if found is None or found[1] is None or self.broken:
                break
            after = self._mark(text, at, found.end(), out)
            if after is None:
                break
            at = after
        return at

    def _mark(self, text: str, at: int, end: int, out: list[str]) -> int | None:
        """Take what begins at `at` with the mark that ends at `end`; None if more text is needed."""
        ended = ends(self._calls, text, at) if not self._open else False
        if ended:
            out.append("}" if self._num else "{}")
            self.whole = True
            return at
        if ended is None or _begun(text, end):
            return None
        tag = _TAG.match(text, end)
        if tag is not None:
            return self._tag(at, tag, out)
        self._take(text[at:end])
        return end

    def end(self, text: str, out: list[str]) -> None:
        """See Body."""

    def close(self, text: str, out: list[str]) -> None:
        """End the arguments; see Body. The content of an open element is not known to be complete."""

    def _take(self, text: str) -> None:
        if self._open:
            self._open[-1].text.append(text)
        elif text.strip():
            self.broken = True

    def _tag(self, at: int, tag: re.Match[str], out: list[str]) -> int:
        closes, key = tag[1], self._letters(tag[2]).strip()
        if not closes and len(self._open) < _MAX_DEPTH:
            self._open.append(_Element(key, self._schema(key)))
        elif closes and self._open and self._open[-1].key == key:
            self._close(self._open.pop(), out)
        else:
            self.broken = True
            return at
        return tag.end()

    def _schema(self, key: str) -> Any:
        if not self._open:
            return self._parameters.argument(key)
        outer = self._open[-1].schema
        return self._parameters.items(outer) if key == self._elements.item else self._parameters.within(outer, key)

    def _close(self, element: _Element, out: list[str]) -> None:
        value = self._value(element)
        if self._open:
            self._open[-1].inner.append((element.key, value))
            return
        out.append(f'{", " if self._num else "{"}"{quoted(element.key)}": {value}')
        self._num += 1

    def _value(self, element: _Element) -> str:
        types = self._parameters.types_of(element.schema) or (
            ALL if self._open else self._parameters.types(element.key)
        )
        text = self._letters("".join(element.text))
        if not element.inner:
            return _empty(types) if not text.strip() and "string" not in types else to_json(text, types)
        listed = "array" in types and all(key == self._elements.item for key, _ in element.inner)
        if listed:
            return f"[{', '.join(value for _, value in element.inner)}]"
        return "{" + ", ".join(f'"{quoted(key)}": {value}' for key, value in element.inner) + "}"


def _begun(text: str, at: int) -> bool:
    """Return whether a tag may still begin here."""
    return _TAG_BEGUN.match(text, at) is not None and len(text) - at < MAX_KEY


def _empty(types: Types) -> str:
    """Return the value of an empty element."""
    if "array" in types:
        return "[]"
    return "{}" if "object" in types else "null" if "null" in types else '""'
