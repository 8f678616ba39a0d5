"""A text in which the letters of some control tokens are only letters. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any


class LetteredText(str):
    """A text, and the place of one character in each occurrence of a control token's letters that is not that token, in
    order.

    A slice is a LetteredText too.
    """

    __slots__ = ("letters",)
    letters: tuple[int, ...]

    def __new__(cls, text: str, letters: tuple[int, ...]) -> LetteredText:
        made = super().__new__(cls, text)
        made.letters = letters
        return made

    def __getitem__(self, key: Any) -> str:
        part = super().__getitem__(key)
        if not isinstance(key, slice):
            return part
        start, stop, step = key.indices(len(self))
        assert step == 1, "a part of a text, in its order"
        inside = self.letters[bisect_left(self.letters, start) : bisect_left(self.letters, stop)]
        return LetteredText(part, tuple(place - start for place in inside)) if inside else part

    def covered(self, cover: str) -> str:
        """Return the same text with `cover`, one character, in these places."""
        return "".join(self._covered(cover))

    def _covered(self, cover: str) -> Iterator[str]:
        at = 0
        for place in self.letters:
            yield str.__getitem__(self, slice(at, place))
            yield cover
            at = place + 1
        yield str.__getitem__(self, slice(at, None))


def letters_of(text: str) -> tuple[int, ...]:
    """Return the places of a text's letters of control tokens that are not these tokens."""
    return text.letters if isinstance(text, LetteredText) else ()


def letters_before(text: str, end: int) -> tuple[int, ...]:
    """Return the places before an index of the text."""
    letters = letters_of(text)
    return letters[: bisect_left(letters, end)]
