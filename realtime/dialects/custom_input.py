"""The text of a custom tool's call, out of the JSON in which the model writes it, as it comes in. Pure."""

from __future__ import annotations

import enum
import re

from .surrogates import Surrogates

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _State(enum.Enum):
    HEAD = "before the text"
    TEXT = "in the text"
    DONE = "after the text"


class InputDecoder:
    """A decoder of `{"input": "..."}`, piece by piece. An escape is held back until it is complete; what follows is
    left out.
    """

    def __init__(self) -> None:
        self._raw = ""  # not decoded yet
        self._state = _State.HEAD
        self._surrogates = Surrogates()

    def feed(self, arguments: str) -> str:
        """Return the text that these characters complete."""
        self._raw += arguments
        if self._state is _State.HEAD:
            found = _HEAD.match(self._raw)
            if found is None:
                return ""
            self._raw, self._state = self._raw[found.end() :], _State.TEXT
        return "".join(self._take()) if self._state is _State.TEXT else ""

    def close(self) -> str:
        """Return what is left at the end: arguments without an `input`, unchanged."""
        return self._raw.strip() if self._state is _State.HEAD and self._raw.strip() != "{}" else ""

    def _take(self) -> list[str]:
        out: list[str] = []
        raw, at = self._raw, 0
        while at < len(raw):
            char = raw[at]
            if char == '"':
                out.append(self._surrogates.lone())
                self._state = _State.DONE
                break
            if char != "\\":
                out.append(self._surrogates.lone())
                end = at + 1
                while end < len(raw) and raw[end] not in '"\\':
                    end += 1
                out.append(raw[at:end])
                at = end
                continue
            size = 6 if raw[at + 1 : at + 2] == "u" else 2
            if len(raw) - at < size:
                break
            out.append(self._unescape(raw[at + 1 : at + size]))
            at += size
        self._raw = raw[at:]
        return out

    def _unescape(self, escape: str) -> str:
        if escape[0] != "u":
            return self._surrogates.lone() + _ESCAPES.get(escape, escape)
        try:
            code = int(escape[1:], 16)
        except ValueError:
            return self._surrogates.lone() + escape
        return self._surrogates.take(code)
