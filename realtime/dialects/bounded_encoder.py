"""Tokenize text that may fit into the context window, and give up early on the rest. Pure.

Tokenizing costs about 200 bytes of memory for each byte of text, and a thread for as long as it takes. So a text that
can't fit (`text_bound`) is refused untokenized. One that is unlikely to fit is counted first, in small pieces, until
there are more than twice the tokens of the window: cutting adds a few tokens, but never doubles them.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import IsWanted, PromptTooLong, Unwanted
from .text_bound import TextBound

_PIECE = 1 << 16  # characters
_PATIENCE = 2  # windows of text that are tokenized at most


class BoundedEncoder:
    """An encoder for texts that may not fit into the context window."""

    def __init__(self, encode: Callable[[str], list[int]], bound: TextBound | None, window: int | None) -> None:
        """encode: the tokenizer's. window: the most tokens that a prompt may have; None: no limit."""
        self._encode = encode
        self._bound = bound
        self._window = window

    def encode(self, text: str, num_before: int, is_wanted: IsWanted) -> list[int]:
        """Return the tokens of a text that follows `num_before` others. Raises PromptTooLong and Unwanted."""
        if self._window is not None:
            self._check(text, self._window, num_before, is_wanted)
        return self._encode(text)

    def _check(self, text: str, window: int, num_before: int, is_wanted: IsWanted) -> None:
        if self._bound is not None and num_before + self._bound.least_tokens(text) > window:
            raise PromptTooLong(window)
        most = _PATIENCE * window
        if len(text) <= max(_PIECE, most - num_before):  # it can't be many more, or it costs as little as to count it
            return
        for start in range(0, len(text), _PIECE):
            if not is_wanted():
                raise Unwanted
            num_before += len(self._encode(text[start : start + _PIECE]))
            if num_before > most:
                raise PromptTooLong(window)
