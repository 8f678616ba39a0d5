"""Bodies of calls: the arguments, from the end of the call's head on, translated to JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from .conversion import to_json
from .grammar import BoundCalls, BoundTags
from .json_lexer import JsonLexer, quoted
from .marks import skip_space
from .schema import ALL, Parameters, Types, is_text
from .typed_literals import TypedLiteralLexer

MAX_KEY = 1024
_NOT_IN_KEY = re.compile("[\ud800-\udfff\n]")
_NULLS = ("null", "None")
_NULLABLE = frozenset({"string", "null"})

Letters = Callable[[str], str]


class Body(Protocol):
    """The arguments of a call. `whole`: they are complete. `broken`: they can't become JSON."""

    whole: bool
    broken: bool

    def opens(self, text: str, at: int) -> bool | None:
        """Return whether arguments begin here, or the call ends without any; None if more text is needed."""

    def read(self, text: str, at: int, out: list[str]) -> int:
        """Take as much of the text from `at` as possible, and append its JSON to `out`. Return where the rest
        begins.
        """

    def end(self, text: str, out: list[str]) -> None:
        """End by the model's own end, with this text left unread, which may complete the arguments."""

    def close(self, text: str, out: list[str]) -> None:
        """End with this text. Return what was held back, unless it is part of a mark."""


class JsonBody:
    """A JSON object."""

    def __init__(self, calls: BoundCalls, letters: Letters) -> None:
        self.whole = False
        self.broken = False
        self._calls = calls
        self._letters = letters
        self._lexer = JsonLexer()
        self._begun = False
        self._empty = False

    def opens(self, text: str, at: int) -> bool | None:
        """See Body."""
        at = skip_space(text, at)
        if at == len(text):
            return None
        if text[at] == "{":
            return True
        self._empty = True
        return ends(self._calls, text, at)

    def read(self, text: str, at: int, out: list[str]) -> int:
        """See Body."""
        lexer = self._lexer
        if self._empty:
            out.append("{}")
            self.whole = True
            return at
        if not self._begun:
            at, self._begun = skip_space(text, at), True
        said, at = lexer.feed(text, at)
        out.append(self._letters(said))
        self.whole, self.broken = lexer.done, lexer.broken
        return at

    def end(self, text: str, out: list[str]) -> None:
        """See Body."""

    def close(self, text: str, out: list[str]) -> None:
        """See Body."""
        out.append(self._letters(self._lexer.close() + text))


def ends(calls: BoundCalls, text: str, at: int) -> bool | None:
    """Return whether the call ends here, by a mark."""
    if not (calls.close or calls.call[1]):
        return False
    found = calls.match_end(text, at)
    return None if found is None else found > at


class LiteralsBody:
    """Arguments in the notation of a programming language."""

    def __init__(self, calls: BoundCalls, types: Callable[[str], Types], letters: Letters) -> None:
        assert calls.style is not None
        self._opens = calls.opens
        self._lexer = TypedLiteralLexer(calls.style, types, letters)
        self._begun = False
        self.whole = False
        self.broken = False

    def opens(self, text: str, at: int) -> bool | None:
        """See Body."""
        at = skip_space(text, at)
        return None if at == len(text) else text[at] == self._opens

    def read(self, text: str, at: int, out: list[str]) -> int:
        """See Body."""
        if not self._begun:
            at, self._begun = skip_space(text, at) + 1, True
        at = self._lexer.feed(text, at, out)
        self.whole, self.broken = self._lexer.done, self._lexer.broken
        return at

    def end(self, text: str, out: list[str]) -> None:
        """See Body."""

    def close(self, text: str, out: list[str]) -> None:
        """End the arguments; see Body. Of the text that was held back only digits mean something by themselves."""
        out.append(self._lexer.rest(text))


class TagsBody:
    """Arguments in tags. A text value is passed on as it comes; other values when they are complete."""

    def __init__(self, calls: BoundCalls, tags: BoundTags, parameters: Parameters, letters: Letters) -> None:
        self.whole = False
        self.broken = False
        self._calls = calls
        self._tags = tags
        self._parameters = parameters
        self._letters = letters
        self._num = 0
        self._read = self._between
        self._types: Types = frozenset()
        self._streams = False
        self._parts: list[str] = []  # of a value that is not passed on yet
        self._tail = ""  # of the value: white space that may be the template's

    def opens(self, text: str, at: int) -> bool | None:
        """See Body."""
        found = self._tags.begin.match(text, at)
        if found is None or found >= 0:
            return None if found is None else True
        return ends(self._calls, text, skip_space(text, at))

    def read(self, text: str, at: int, out: list[str]) -> int:
        """See Body."""
        end = len(text)
        while at < end and not (self.whole or self.broken):
            after = self._read(text, at, out)
            if after is None:
                break
            at = after
        return at

    def end(self, text: str, out: list[str]) -> None:
        """End the arguments; see Body. The end of the call may come where the value's end is missing."""
        if self._read == self._value and self._is_end(text):
            self._finish_value(out)
            out.append("}")
            self.whole = True

    def close(self, text: str, out: list[str]) -> None:
        """See Body."""
        if self._read == self._value and not self._streams:
            out.append(self._letters("".join(self._parts)))

    def _is_end(self, text: str) -> bool:
        closed = self._calls.close.match(text, 0)
        if closed is None or closed < 0 or not text:
            return False
        ended = self._calls.call[1].match(text, closed)
        at = closed if ended is None or ended < 0 else ended
        return at > 0 and not text[at:].strip()

    # each returns where to go on, or None if more must be seen

    def _between(self, text: str, at: int, out: list[str]) -> int | None:
        at = skip_space(text, at)
        if at == len(text):
            return None
        found = self._tags.begin.match(text, at)
        if found is None:
            return None
        if found >= 0:
            self._read = self._key
            return found
        return self._end_of_call(text, at, out)

    def _end_of_call(self, text: str, at: int, out: list[str]) -> int | None:
        for mark in (self._calls.close, self._calls.call[1]):
            if mark:
                found = mark.match(text, at)
                if found is None or found >= 0:
                    return None if found is None else self._finish(at, out)
        found = self._calls.match_end(text, at)
        if found is None:
            return None
        if found < 0:
            self.broken = True
            return at
        return self._finish(at, out)

    def _finish(self, at: int, out: list[str]) -> int:
        out.append("}" if self._num else "{}")
        self.whole = True
        return at

    def _key(self, text: str, at: int, out: list[str]) -> int | None:
        scan = at
        while (found := self._tags.middle_search.search(text, scan)) is not None:
            middle = self._middle(text, found.start())
            if middle is None:
                return None
            end, is_text_ = middle
            if end >= 0:
                return self._begin_value(text[at : found.start()], end, is_text_, out)
            scan = found.start() + 1
        if len(text) - at > MAX_KEY or _NOT_IN_KEY.search(text, at) is not None:
            self.broken = True
            return at
        return None

    def _middle(self, text: str, at: int) -> tuple[int, bool | None] | None:
        """Return where the mark between key and value ends, and what it says of the value; None if more text
        is needed.
        """
        for mark, is_text_ in self._tags.middles:
            end = mark.match(text, at)
            if end is None:
                return None
            if end >= 0:
                return end, is_text_
        return -1, None

    def _begin_value(self, key: str, at: int, is_text_: bool | None, out: list[str]) -> int:
        key = self._letters(key).strip()
        out.append(f'{", " if self._num else "{"}"{quoted(key)}": ')
        self._num += 1
        self._types = self._parameters.types(key) if is_text_ is None else ALL
        self._streams = is_text(self._types) if is_text_ is None else is_text_
        if self._streams:
            out.append('"')
        self._parts, self._tail = [], ""
        self._read = self._quote if self._tags.quote else self._pad
        return at

    def _quote(self, text: str, at: int, out: list[str]) -> int | None:
        """Return the quote that may surround a text value."""
        found = self._tags.quote.match(text, at)
        if found is None:
            return None
        self._read = self._quoted if found >= 0 else self._pad
        return max(found, at)

    def _quoted(self, text: str, at: int, out: list[str]) -> int | None:
        search = self._tags.unquote_search
        assert search is not None
        found = search.search(text, at)
        stop = len(text) if found is None else found.start()
        self._take(text[at:stop], out)
        ended = None if found is None or found[1] is None else self._tags.end.match(text, found.end())
        if found is None or ended is None:
            return stop if stop > at else None
        if ended < 0:  # it is part of the text
            self._take(found[0], out)
            return found.end()
        self._read = self._value
        return found.end()

    def _pad(self, text: str, at: int, out: list[str]) -> int | None:
        """Skip the template's white space before a value."""
        pad = self._tags.pad
        if text.startswith(pad, at):
            at += len(pad)
        elif pad.startswith(text[at:]):
            return None
        self._read = self._value
        return at

    def _value(self, text: str, at: int, out: list[str]) -> int | None:
        scan = at
        while (found := self._calls.value_search.search(text, scan)) is not None:
            stop = found.start()
            ended = self._tags.end.match(text, stop)
            if ended is not None and ended >= 0:
                self._take(text[at:stop], out)
                self._finish_value(out)
                self._read = self._between
                return ended
            if ended is None or (certain := self._calls.match_certain_end(text, stop)) is None:
                self._take(text[at:stop], out)
                return stop if stop > at else None
            if certain >= 0:
                self._take(text[at:stop], out)
                self._finish_value(out)
                out.append("}")
                self.whole = True
                return stop
            scan = stop + 1
        self._take(text[at:], out)
        return len(text) if len(text) > at else None

    def _take(self, text: str, out: list[str]) -> None:
        """Take more of the value."""
        if not text:
            return
        text, self._tail = self._tail + text, ""
        pad = self._tags.pad
        if pad and text.endswith(pad):
            text, self._tail = text[: -len(pad)], pad
        if not text:
            return
        if self._streams:
            out.append(self._said(text))
            return
        self._parts.append(text)
        if self._types == _NULLABLE and not _may_be_null("".join(self._parts)):
            out.append('"' + self._said("".join(self._parts)))
            self._streams = True

    def _said(self, text: str) -> str:
        return quoted(self._letters(text))

    def _finish_value(self, out: list[str]) -> None:
        """Complete the value, without the template's white space at its end."""
        if self._streams:
            out.append('"')
        else:
            out.append(to_json(self._letters("".join(self._parts)), self._types))


def _may_be_null(text: str) -> bool:
    return any(null.startswith(text) for null in _NULLS)
