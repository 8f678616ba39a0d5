"""A lexer for a JSON value as it comes in: where it ends, and how much of it can be passed on. Pure.

The lexer knows strings, escapes and depth, so the contents of a string never fool it. It passes text on unchanged,
except for what is not JSON and has one meaning: a control character in a string becomes its escape, and half a
surrogate pair U+FFFD. Whether the whole is JSON is checked at its end.
"""

from __future__ import annotations

import re

import msgspec

_OUTSIDE = re.compile(r'[^"{}\[\]]*')
_FOREIGN = re.compile(r"[^\s\w:,.+\-]")  # what stands outside of strings in no JSON
_STRING_END = re.compile(r'["\\\x00-\x1f]')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HIGH = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_LOW = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_PAIR = 12  # characters of two escapes
_CLOSES = {"}": "{", "]": "["}
_CONTROL = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_MAX_DEPTH = 256  # deeper is not what anybody's tool takes


class JsonLexer:
    """The lexer of one value. `done`: it is complete. `broken`: it can't become JSON any more."""

    __slots__ = ("_held", "_in_scalar", "_in_string", "_stack", "broken", "done")

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._in_string = False
        self._in_scalar = False
        self._stack: list[str] = []
        self._held = ""  # the beginning of an escape

    def feed(self, text: str, at: int = 0) -> tuple[str, int]:
        """Take more of the value, from `at`. Return what can be passed on, and where the lexer stopped: after the
        value, before what breaks it, or at the end of the text. A number or a word at the top is complete only when
        something else follows.
        """
        if self._in_string and not self._held and _STRING_END.search(text, at) is None:
            return text[at:] if at else text, len(text)
        out: list[str] = []
        text, shift = self._held + text[at:], at - len(self._held)
        self._held = ""
        at, end = 0, len(text)
        while at < end and not (self.done or self.broken):
            step = self._string if self._in_string else self._outside
            at = step(text, at, out)
        return "".join(out), at + shift

    def close(self) -> str:
        """End, and return what was held back."""
        held, self._held = self._held, ""
        return held

    def _outside(self, text: str, at: int, out: list[str]) -> int:
        found = _OUTSIDE.match(text, at)
        assert found is not None
        stop = found.end()
        foreign = _FOREIGN.search(text, at, stop)
        if foreign is not None:
            stop, self.broken = foreign.start(), True
        elif not self._stack and (self._in_scalar or text[at:stop].strip()):
            return self._scalar(text, at, stop, out)
        out.append(text[at:stop])
        if self.broken or stop == len(text):
            return stop
        return self._mark(text, stop, out)

    def _scalar(self, text: str, at: int, stop: int, out: list[str]) -> int:
        """Take a number or a word at the top."""
        first = at if self._in_scalar else at + len(text[at:stop]) - len(text[at:stop].lstrip())
        self._in_scalar = True
        for end in range(first, stop):
            if text[end] in ",: \t\r\n":
                self.done = True
                out.append(text[at:end])
                return end
        out.append(text[at:stop])
        self.done = stop < len(text)
        return stop

    def _mark(self, text: str, at: int, out: list[str]) -> int:
        char = text[at]
        if char == '"':
            self._in_string = True
        elif char in "{[":
            self._stack.append(char)
            self.broken = len(self._stack) > _MAX_DEPTH
        elif not self._stack or self._stack.pop() != _CLOSES[char]:
            self.broken = True
        else:
            self.done = not self._stack
        if self.broken:
            return at
        out.append(char)
        return at + 1

    def _string(self, text: str, at: int, out: list[str]) -> int:
        found = _STRING_END.search(text, at)
        if found is None:
            out.append(text[at:])
            return len(text)
        stop = found.start()
        out.append(text[at:stop])
        char = text[stop]
        if char == "\\":
            return self._escape(text, stop, out)
        if char == '"':
            self._in_string = False
            self.done = not self._stack
            out.append(char)
        else:
            out.append(_CONTROL.get(char) or f"\\u{ord(char):04x}")
        return stop + 1

    def _escape(self, text: str, at: int, out: list[str]) -> int:
        if _SURROGATE.match(text, at) is None:
            size = 2 if text[at + 1 : at + 2] != "u" else 4
            if len(text) - at < size:
                self._held = text[at:]
                return len(text)
            out.append(text[at : at + 2])
            return at + 2
        if len(text) - at < 6:
            self._held = text[at:]
            return len(text)
        if _HIGH.match(text, at) is None:  # a second half alone, or no escape at all
            out.append("\\ufffd" if _LOW.match(text, at) else text[at : at + 6])
            return at + 6
        after = text[at + 6 : at + _PAIR]
        if len(after) < 6 and "\\u".startswith(after[:2]):
            self._held = text[at:]
            return len(text)
        if _LOW.match(after):
            out.append(text[at : at + _PAIR])
            return at + _PAIR
        out.append("\\ufffd")
        return at + 6


def quoted(text: str) -> str:
    """Return a text as it stands in a JSON string, without the quotes."""
    return msgspec.json.encode(text).decode()[1:-1]


def clean(text: str) -> str:
    """Return JSON without characters that Unicode does not allow."""
    lexer = JsonLexer()
    said, _ = lexer.feed(text)
    return said + lexer.close()
