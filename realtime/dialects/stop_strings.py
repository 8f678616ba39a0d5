"""Stop strings: an answer ends where its text has one of them. Pure.

They count in the text of messages only: what a model thinks, and what it says to a tool, is not what the client has
asked to end. So it is not the engine that looks for them, to which all output is alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .base import Piece, TextDelta
from .searching import searcher


class StopStrings:
    """Looks for the stop strings of one generation. `found` is the one that has ended it: the engine is to be told, and
    nothing behind it counts.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        self.found: str | None = None
        wanted = sorted({text for text in strings if text}, key=len, reverse=True)
        self._search = searcher(wanted)
        self._firsts = frozenset(text[0] for text in wanted)
        self._whole = re.compile("|".join(map(re.escape, wanted)) or r"(?!)")
        self._held: list[TextDelta] = []  # may be the beginning of one

    @classmethod
    def of(cls, stop: str | Sequence[str] | None) -> StopStrings | None:
        """What a request's `stop` asks for; None: nothing."""
        strings = (stop,) if isinstance(stop, str) else tuple(stop or ())
        return cls(strings) if any(strings) else None

    def feed(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """The pieces that are certain to precede a stop string."""
        if len(pieces) == 1 and not self._held and self.found is None:
            (piece,) = pieces
            if isinstance(piece, TextDelta) and self._firsts.isdisjoint(piece.text):  # nearly every token
                return pieces
        return list(self._feed(pieces))

    def close(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """The same for the last ones."""
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
        if self._search is None:
            yield piece
            return
        self._held.append(piece)
        text = "".join(one.text for one in self._held) if len(self._held) > 1 else piece.text
        found = self._search.search(text)
        yield from self._end_at(len(text) if found is None else found.start(), found[1] if found is not None else None)

    def _settle(self) -> Iterator[Piece]:
        """The text is over: what might have become a stop string has not, but there may be a shorter one in it."""
        text = "".join(one.text for one in self._held)
        found = self._whole.search(text)
        yield from self._end_at(len(text) if found is None else found.start(), found[0] if found is not None else None)

    def _end_at(self, end: int, found: str | None) -> Iterator[Piece]:
        yield from self._release(end)
        if found is not None:
            self.found = found
            self._held.clear()

    def _release(self, end: int) -> Iterator[Piece]:
        """What is held, as far as the first `end` characters of it; the rest stays."""
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


def _cut(piece: TextDelta, at: int) -> tuple[TextDelta, TextDelta]:
    """A piece in two; the log probabilities of the tokens that are wholly before the cut go with the first part."""
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
