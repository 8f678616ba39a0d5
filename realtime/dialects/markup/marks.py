"""Marks in a tokenizer's terms: as tokens of their own, as letters, or both. Pure.

A token of markup is one character of the machine's input, from a range that text can't contain (lone surrogates), so a
mark is never confused with text that looks like it. A tokenizer's control tokens ("special") can't be spelled: their
letters are text. The letters of other tokens count as the token, because a model may spell them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from .family import NAME, NUMBER

_NAME_AND_MORE = re.compile(f"({re.escape(NAME)}|{re.escape(NUMBER)})")
_BETWEEN = re.compile(r"\n|(?<=>)(?=<)")  # where the family may have white space
_FIRST = 0xDC80
_MAX_TOKENS = 0x300
_FOREIGN = re.compile("[\ud800-\udfff]")


class Alphabet:
    """The tokens of a tokenizer that occur in a family's marks. `tokens`: the text of each added token, and whether it
    is special.
    """

    def __init__(self, marks: Iterable[str], tokens: Mapping[str, bool]) -> None:
        texts = [mark for mark in marks if mark]
        used = [token for token in tokens if token and any(token in text for text in texts)]
        self._used = sorted(used, key=lambda token: (-len(token), token))[:_MAX_TOKENS]
        self._special = {token for token in self._used if tokens[token]}
        self.symbols = {token: chr(_FIRST + at) for at, token in enumerate(self._used)}
        self._letters = {ord(symbol): token for token, symbol in self.symbols.items()}

    def letters(self, text: str) -> str:
        """Return a text with the tokens spelled out."""
        return text.translate(self._letters) if not text.isascii() and _FOREIGN.search(text) else text

    def mark(self, text: str) -> Mark:
        """Return the mark with this text, without the layout around it."""
        parts = (part for line in _BETWEEN.split(text) for part in _NAME_AND_MORE.split(line))
        return Mark([() if part in (NAME, NUMBER) else self._forms(part) for part in map(str.strip, parts) if part])

    def _forms(self, text: str) -> tuple[str, ...]:
        """Return all forms of a part of a mark, the one with the most tokens first."""
        parts: list[tuple[str, ...]] = []
        at = 0
        while at < len(text):
            token = next((one for one in self._used if text.startswith(one, at)), None)
            if token is None:
                parts.append((text[at],))
                at += 1
                continue
            symbol = self.symbols[token]
            parts.append((symbol,) if token in self._special else (symbol, token))
            at += len(token)
        return tuple("".join(one) for one in product(*parts))


class Mark:
    """A mark: parts that white space may separate. Each part has one or more forms, or none: then it is a name or a
    number. A mark without parts is empty.
    """

    def __init__(self, parts: Sequence[tuple[str, ...]]) -> None:
        self._parts = tuple(parts)

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def firsts(self) -> tuple[str, ...]:
        """The forms of its first part: the mark may begin where one of them is."""
        return self._parts[0] if self._parts else ()

    def match(self, text: str, at: int) -> int | None:
        """Return where the mark that begins at `at` ends, skipping white space before it: -1 if there is none, None if
        more text is needed. An empty mark ends where it begins.
        """
        for forms in self._parts:
            at = skip_space(text, at)
            found = match_forms(forms, text, at) if forms else _match_name(text, at)
            if found is None or found < 0:
                return found
            at = found
        return at


_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z0-9_.:/\-]*")


def _match_name(text: str, at: int) -> int | None:
    found = _NAME.match(text, at)
    assert found is not None
    if found.end() == len(text):
        return None
    return found.end() if found.end() > at else -1


def skip_space(text: str, at: int) -> int:
    """Return where the white space that begins at `at` ends."""
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def match_forms(forms: Sequence[str], text: str, at: int) -> int | None:
    """Return where a form that begins at `at` ends; -1 if none is there, None if one may still be."""
    left = len(text) - at
    open_ = False
    for form in forms:
        if text.startswith(form, at):
            return at + len(form)
        open_ = open_ or (left < len(form) and form.startswith(text[at:]))
    return None if open_ else -1
