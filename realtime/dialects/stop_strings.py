"""Stop strings: an answer ends where its text has one of them. Pure.

They count in the text of messages only: a client does not mean reasoning or the arguments of a call. So the engine does
not look for them: to the engine all output is alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .base import Piece, TextDelta


class StopStrings:
    """The search for one generation's stop strings. `found` is the one that has ended it: the engine must be told, and
    nothing after it counts.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        self.found: str | None = None
        self._watches = [_Watch(text) for text in sorted({text for text in strings if text}, key=len)]
        self._firsts = frozenset(watch.text[0] for watch in self._watches)
        self._held: list[TextDelta] = []  # may be the beginning of one
        self._start = 0  # of what is held, in all of the text
        self._end = 0
        self._whole: tuple[int, str] | None = None  # where the first is, while an earlier one may still become whole

    @classmethod
    def of(cls, stop: str | Sequence[str] | None) -> StopStrings | None:
        """Return the search for a request's `stop`; None: it has none."""
        strings = (stop,) if isinstance(stop, str) else tuple(stop or ())
        return cls(strings) if any(strings) else None

    def feed(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Return the pieces that certainly precede a stop string."""
        if len(pieces) == 1 and not self._held and self.found is None:
            (piece,) = pieces
            if isinstance(piece, TextDelta) and self._firsts.isdisjoint(piece.text):  # nearly every token
                return pieces
        return list(self._feed(pieces))

    def close(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Return the last pieces."""
        return [*self._feed(pieces), *self._settle()]

    def _feed(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if self.found is not None:
                return
            if isinstance(piece, TextDelta):
                yield from self._text(piece)
                continue
            yield from self._settle()
            if self.found is None:
                yield piece

    def _text(self, piece: TextDelta) -> Iterator[Piece]:
        self._held.append(piece)
        for watch in self._watches:
            for behind in watch.feed(piece.text):
                start = self._end + behind - len(watch.text)
                if self._whole is None or start < self._whole[0]:
                    self._whole = start, watch.text
        self._end += len(piece.text)
        begun = min((self._end - watch.num_begun for watch in self._watches), default=self._end)
        if self._whole is not None and self._whole[0] <= begun:
            yield from self._end_at(*self._whole)
        else:
            yield from self._end_at(begun, None)

    def _settle(self) -> Iterator[Piece]:
        """End the text: what might have become a stop string has not, but there may be a shorter one in it."""
        yield from self._end_at(*(self._whole or (self._end, None)))
        for watch in self._watches:
            watch.num_begun = 0

    def _end_at(self, end: int, found: str | None) -> Iterator[Piece]:
        if end > self._start:
            yield from self._release(end - self._start)
            self._start = end
        if found is not None:
            self.found = found
            self._held.clear()

    def _release(self, end: int) -> Iterator[Piece]:
        """Yield the first `end` characters of what is held; the rest stays."""
        held, self._held = self._held, []
        for piece in held:
            if end <= 0:
                self._held.append(piece)
            elif len(piece.text) <= end:
                yield piece
            else:
                first, rest = _cut(piece, end)
                self._held.append(rest)
                yield first
            end -= len(piece.text)


class _Watch:
    """The search for one stop string in a growing text, which examines each character once: the algorithm of Knuth,
    Morris and Pratt. `num_begun`: how much of the string (not all) the text ends with.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.num_begun = 0
        self._shorter = _borders(text)

    def feed(self, more: str) -> Iterator[int]:
        """Take more of the text, and yield each place where the string ends in it."""
        text, shorter, size = self.text, self._shorter, self.num_begun
        for at, char in enumerate(more, 1):
            while size and text[size] != char:
                size = shorter[size]
            size += text[size] == char
            if size == len(text):
                yield at
                size = shorter[size]
        self.num_begun = size


def _borders(text: str) -> list[int]:
    """Return for each beginning of a text, by its length, the length of its longest end with which the text begins."""
    found = [0, 0]
    for char in text[1:]:
        size = found[-1]
        while size and text[size] != char:
            size = found[size]
        found.append(size + (text[size] == char))
    return found


def _cut(piece: TextDelta, at: int) -> tuple[TextDelta, TextDelta]:
    """Cut a piece in two. Log probabilities of tokens completely before the cut go with the first part."""
    num_tokens = length = 0
    for logprob in piece.logprobs:
        length += len(_token(logprob))
        if length > at:
            break
        num_tokens += 1
    before, after = piece.logprobs[:num_tokens], piece.logprobs[num_tokens:]
    return TextDelta(piece.text[:at], before), TextDelta(piece.text[at:], after)


def _token(logprob: dict[str, Any]) -> str:
    text: str = logprob["token"]
    return text
