"""Arguments in the notation of a programming language, translated to JSON as they come in. Pure.

`get_weather(city='Paris', days=[1, 2])`: the part in parentheses, and Gemma's `{city:<|"|>Paris<|"|>,days:[1,2]}`.
Strings are passed on as they come, everything else when it is complete. `typed_literals` reads by the types of a schema
what the notation leaves open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from realtime.dialects.surrogates import Surrogates

from .json_lexer import quoted
from .marks import match_forms, skip_space

_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0",
    "\\": "\\", "'": "'", '"': '"', "\n": "", "/": "/",
}  # fmt: skip
_HEX = {"x": 2, "u": 4, "U": 8}
_ATOM_END = re.compile(r"[,:=(){}\[\]'\"\s\ud800-\udfff]")
_BARE_END = re.compile(r"[,{}\[\]\ud800-\udfff]")
_KEY_END = re.compile(r"[^\w.\-$]")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_CUT_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")
_WORDS = {"True": "true", "true": "true", "False": "false", "false": "false", "None": "null", "null": "null"}
_CLOSES = {"[": "]", "(": ")", "{": "}"}
_MAX_DEPTH = 256
_MAX_WORD = 4096
_MAX_DIGITS = 4000


class Style:
    """A family's notation: the forms of its quotes, and the row's options."""

    __slots__ = ("assign", "bare", "end", "escapes", "quotes", "typed")

    def __init__(
        self, quotes: Sequence[Sequence[str]], end: str, assign: str, *, escapes: bool, bare: bool, typed: bool = False
    ) -> None:
        self.quotes = quotes
        self.end = end
        self.assign = assign
        self.escapes = escapes
        self.bare = bare
        self.typed = typed


PYTHON = Style((('"',), ("'",)), ")", "=", escapes=True, bare=False)


class LiteralLexer:
    """The lexer of one call's arguments, from after their opening mark. `letters` spells tokens out. `top`: "" for one
    value in place of arguments. `done`: the closing mark was seen. `broken`: they can't be read.
    """

    def __init__(self, style: Style, letters: Callable[[str], str], *, top: str = "{") -> None:
        self.done = False
        self.broken = False
        self._style = style
        self._letters = letters
        self._stack: list[str] = []  # what closes each container
        self._key: str | None = None  # at the top
        self._quote: Sequence[str] | None = None  # of the string that is open
        self._escapes = False
        self._surrogates = Surrogates()
        self._string_is_key = False
        self._read = self._first if top else self._value
        self._has_top = bool(top)

    def feed(self, text: str, at: int, out: list[str]) -> int:
        """Take as much of `text` from `at` as possible, and append its JSON to `out`. Return where it stopped: the rest
        must be given again, with more after it.
        """
        while not (self.done or self.broken):
            after = self._read(text, at, out)
            if after is None:
                break
            at = after
        return at

    def rest(self, text: str) -> str:
        """Return what can be passed on of a number that was cut."""
        text = text.lstrip()
        return text if self._read == self._value and _CUT_NUMBER.fullmatch(text) else ""

    # each returns where to go on, or None if more must be seen

    def _first(self, text: str, at: int, out: list[str]) -> int | None:
        out.append("{")
        self._stack.append(self._style.end)
        self._read = self._key_or_end
        return at

    def _key_or_end(self, text: str, at: int, out: list[str]) -> int | None:
        at = skip_space(text, at)
        if at == len(text):
            return None
        if text[at] == self._stack[-1]:
            return self._close(at, out)
        if text[at] == ",":
            return at + 1
        return self._begin_key(text, at, out)

    def _begin_key(self, text: str, at: int, out: list[str]) -> int | None:
        quote = self._quote_at(text, at)
        if quote is None:
            return None
        if quote[0] is not None:
            self._quote, self._escapes, self._string_is_key = quote[0], self._style.escapes, True
            out.append('"')
            self._read = self._string
            return quote[1]
        return self._bare_key(text, at, out)

    def _bare_key(self, text: str, at: int, out: list[str]) -> int | None:
        found = _KEY_END.search(text, at)
        if found is None:
            return None if len(text) - at < _MAX_WORD else self._break(at)
        key = text[at : found.start()]
        if not key or not (self._style.bare or self._is_top()):
            return self._break(at)
        out.append(f'"{quoted(key)}"')
        return self._after_key(found.start(), key)

    def _after_key(self, at: int, key: str) -> int:
        if self._is_top():
            self._key = key
        self._read = self._colon
        return at

    def _colon(self, text: str, at: int, out: list[str]) -> int | None:
        at = skip_space(text, at)
        if at == len(text):
            return None
        if text[at] != (self._style.assign if self._is_top() else ":"):
            return self._break(at)
        out.append(": ")
        self._read = self._value
        return at + 1

    def _value(self, text: str, at: int, out: list[str]) -> int | None:
        at = skip_space(text, at)
        if at == len(text):
            return None
        char = text[at]
        if char in _CLOSES and len(self._stack) < _MAX_DEPTH:
            self._stack.append(_CLOSES[char])
            out.append("{" if char == "{" else "[")
            self._read = self._key_or_end if char == "{" else self._item_or_end
            return at + 1
        quote = self._quote_at(text, at)
        if quote is None:
            return None
        if quote[0] is not None:
            self._quote, self._escapes, self._string_is_key = quote[0], self._style.escapes, False
            self._open_string(out)
            return quote[1]
        return self._atom(text, at, out)

    def _open_string(self, out: list[str]) -> None:
        """Begin the quoted value."""
        out.append('"')
        self._read = self._string

    def _item_or_end(self, text: str, at: int, out: list[str]) -> int | None:
        at = skip_space(text, at)
        if at == len(text):
            return None
        if text[at] == self._stack[-1]:
            return self._close(at, out)
        self._read = self._value
        return at

    def _quote_at(self, text: str, at: int) -> tuple[Sequence[str] | None, int] | None:
        """Return the quote that stands here, and where it ends; None if more text is needed."""
        for forms in self._style.quotes:
            found = match_forms(forms, text, at)
            if found is None:
                return None
            if found < 0:
                continue
            tripled = forms[0] * 3
            if self._style.escapes and text.startswith(tripled, at):
                return (tripled,), at + len(tripled)
            if self._style.escapes and tripled.startswith(text[at : at + len(tripled)]):
                return None
            return forms, found
        return None, at

    def _string(self, text: str, at: int, out: list[str]) -> int | None:
        assert self._quote is not None
        if self._string_is_key:
            return self._quoted_key(text, at, out)
        start = at
        while at < len(text):
            stop = self._special(text, at)
            out.append(self._plain(text[at:stop]))
            at = stop
            if at == len(text):
                break
            if self._escapes and text[at] == "\\":
                after = self._escape(text, at, out)
                if after is None:
                    return at if at > start else None
                at = after
                continue
            end = match_forms(self._quote, text, at)
            if end is None:
                return at if at > start else None
            if end >= 0:
                out.append(self._surrogates.lone() + '"')
                self._read = self._comma_or_end
                return end
            out.append(self._plain(text[at]))
            at += 1
        return at if at > start else None

    def _quoted_key(self, text: str, at: int, out: list[str]) -> int | None:
        """Take a quoted key, which is known when it is complete."""
        assert self._quote is not None
        scan = at
        while scan < len(text):
            if self._escapes and text[scan] == "\\":
                scan += 2
                continue
            end = match_forms(self._quote, text, scan)
            if end is None:
                return None
            if end >= 0:
                said: list[str] = []
                key = LiteralLexer(self._style, self._letters)
                key._quote, key._escapes = self._quote, self._escapes
                key._string(text[at:end], 0, said)
                out.append("".join(said)[:-1] + '"')
                return self._after_key(end, self._letters(text[at:scan]))
            scan += 1
        return None if len(text) - at < _MAX_WORD else self._break(at)

    def _special(self, text: str, at: int) -> int:
        """Return where a string may have something that is not text."""
        assert self._quote is not None
        stops = [text.find(form[0], at) for form in self._quote]
        if self._escapes:
            stops.append(text.find("\\", at))
        return min((stop for stop in stops if stop >= 0), default=len(text))

    def _plain(self, text: str) -> str:
        return self._surrogates.lone() + quoted(self._letters(text)) if text else ""

    def _escape(self, text: str, at: int, out: list[str]) -> int | None:
        if at + 1 == len(text):
            return None
        kind = text[at + 1]
        size = _HEX.get(kind)
        if size is None:
            out.append(self._surrogates.lone() + quoted(_ESCAPES.get(kind, self._letters("\\" + kind))))
            return at + 2
        digits = text[at + 2 : at + 2 + size]
        if len(digits) < size and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            return None
        try:
            code = int(digits, 16)
        except ValueError:
            out.append(self._plain("\\" + kind))
            return at + 2
        out.append(quoted(self._surrogates.take(code)))
        return at + 2 + size

    def _atom(self, text: str, at: int, out: list[str]) -> int | None:
        """Take a number or a word; in some families a text without quotes."""
        found = (_BARE_END if self._style.bare else _ATOM_END).search(text, at)
        if found is None:
            return None if len(text) - at < _MAX_WORD else self._break(at)
        stop = found.start()
        word = text[at:stop].strip()
        said = self._atom_json(word) if word else None
        if said is None:
            return self._break(at)
        out.append(said)
        self._read = self._comma_or_end
        return stop

    def _atom_json(self, word: str) -> str | None:
        if word in _WORDS:
            return _WORDS[word]
        if _NUMBER.fullmatch(word):
            return word
        return _odd_number(word) or (f'"{quoted(word)}"' if self._style.bare else None)

    def _comma_or_end(self, text: str, at: int, out: list[str]) -> int | None:
        if not self._stack:
            self.done = True
            return at
        at = skip_space(text, at)
        if at == len(text):
            return None
        if text[at] == self._stack[-1]:
            return self._close(at, out)
        if text[at] != ",":
            return self._break(at)
        return self._comma(text, at, out)

    def _comma(self, text: str, at: int, out: list[str]) -> int | None:
        """Take a comma. One before the end of a container has no meaning."""
        after = skip_space(text, at + 1)
        if after == len(text):
            return None
        if text[after] == self._stack[-1]:
            return self._close(after, out)
        out.append(", ")
        self._read = self._key_or_end if self._is_object() else self._value
        return after

    def _is_object(self) -> bool:
        return self._stack[-1] == "}" or self._is_top()

    def _is_top(self) -> bool:
        return self._has_top and len(self._stack) == 1

    def _close(self, at: int, out: list[str]) -> int:
        is_object = self._is_object()
        self._stack.pop()
        out.append("}" if is_object else "]")
        self._read = self._comma_or_end
        self.done = not self._stack
        return at + 1

    def _break(self, at: int) -> int:
        self.broken = True
        return at


def _odd_number(word: str) -> str | None:
    """Convert a number in a form that JSON does not have."""
    text = word.replace("_", "").removeprefix("+")
    if _NUMBER.fullmatch(text):
        return text
    if len(text) > _MAX_DIGITS:
        return None
    try:
        return str(int(text, 0))
    except ValueError:
        pass
    for odd in (text + "0", text.replace(".", "0.", 1), text.lstrip("0") or "0"):
        if re.search(r"\d", text) and _NUMBER.fullmatch(odd):
            return odd
    return None


def converted(text: str) -> str | None:
    """Return the JSON of one value in Python's notation; None if it is not one."""
    lexer = LiteralLexer(PYTHON, str, top="")
    out: list[str] = []
    at = lexer.feed(text + "\n", 0, out)
    return "".join(out) if lexer.done and not text[at:].strip() else None
