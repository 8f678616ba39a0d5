"""A chunk of several tokens back into tokens with their text. Pure.

vLLM's parsers were made for one token at a time: what some of them say of several at once differs, or loses calls.
Fed token by token, an answer can't depend on how the engine happened to chunk it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Step(NamedTuple):
    """Some text and the tokens that it completes: none while a token's text has come in part only."""

    text: str
    token_ids: list[int]


class TokenSteps:
    """Splits the chunks of one generation. `tokenizer` is a `transformers` one; of a kind that can't be split by, a
    chunk stays whole.
    """

    def __init__(self, tokenizer: Any, *, skip_special_tokens: bool) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = getattr(tokenizer, "_tokenizer", None)
        self._stream = DecodeStream(skip_special_tokens=skip_special_tokens)
        self._owed: deque[Step] = deque()  # tokens whose text has not come: the engine holds some back for stop strings

    def split(self, text: str, token_ids: Sequence[int]) -> list[Step]:
        """The chunk, in steps that say the same in all."""
        if self._tokenizer is None:
            return [Step(text, list(token_ids))]
        for token_id in token_ids:
            self._owed.append(Step(self._stream.step(self._tokenizer, token_id) or "", [token_id]))
        return self._take(text)

    def _take(self, text: str) -> list[Step]:
        steps: list[Step] = []
        while self._owed and text.startswith(self._owed[0].text):
            step = self._owed.popleft()
            steps.append(step)
            text = text[len(step.text) :]
        if not text:
            return steps
        if self._owed and self._owed[0].text.startswith(text):
            rest, ids = self._owed[0]
            self._owed[0] = Step(rest[len(text) :], ids)
            return [*steps, Step(text, [])]
        # The engine decoded it otherwise: then the text counts.
        ids = [token_id for step in self._owed for token_id in step.token_ids]
        self._owed.clear()
        return [*steps, Step(text, ids)]


def joined(steps: Iterable[Step], alone: frozenset[int]) -> list[Step]:
    """As few steps as keep each token of `alone` a step of its own."""
    out: list[Step] = []
    apart = True
    for step in steps:
        marked = not alone.isdisjoint(step.token_ids)
        if apart or marked:
            out.append(Step(step.text, list(step.token_ids)))
        else:
            out[-1] = Step(out[-1].text + step.text, out[-1].token_ids + step.token_ids)
        apart = marked
    return out
