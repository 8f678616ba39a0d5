"""A chunk of several tokens back into tokens with their text. Pure.

vLLM's parsers were made for one token at a time: what some of them say of several at once differs, or loses calls.
Fed token by token, an answer can't depend on how the engine happened to chunk it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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

        self._tokenizer: Any = getattr(tokenizer, "_tokenizer", None)
        self._stream = DecodeStream(skip_special_tokens=skip_special_tokens)
        added: dict[str, int] = getattr(tokenizer, "get_added_vocab", dict)()
        self._added = frozenset(added.values())
        self._owed: deque[Step] = deque()  # tokens whose text has not come: the engine holds some back for stop strings
        self._early = ""  # text before half a character in a chunk that was taken whole: it is decoded with the rest
        self._part = ""  # of a token of markup, which is nothing until it is whole

    def split(self, text: str, token_ids: Sequence[int]) -> list[Step]:
        """The chunk, in steps that say the same in all."""
        if self._tokenizer is None:
            return [Step(text, list(token_ids))]
        for token_id in token_ids:
            self._owed.append(Step(self._decode([token_id]), [token_id]))
        part, self._part = self._part, ""
        return self._take(part + text)

    def whole(self, text: str, token_ids: Sequence[int]) -> list[Step]:
        """The chunk in one step, if nothing is owed."""
        if self._tokenizer is None or self._owed or not token_ids:
            return self.split(text, token_ids)
        ids = list(token_ids)
        decoded = self._decode(ids)
        if not text.startswith(decoded):
            self._owed.append(Step(decoded, ids))
            return self._take(text)
        self._early += text[len(decoded) :]
        return [Step(text, ids)]

    def _decode(self, token_ids: list[int]) -> str:
        """The text that these tokens complete, less what is known of it."""
        decoded = self._stream.step(self._tokenizer, token_ids) or ""
        if decoded and self._early and decoded.startswith(self._early):
            decoded, self._early = decoded[len(self._early) :], ""
        return decoded

    def is_markup(self, step: Step) -> bool:
        """Whether it is one token that the tokenizer has besides its words."""
        return len(step.token_ids) == 1 and step.token_ids[0] in self._added

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
            if ids[0] in self._added:
                self._part = text
                return steps
            self._owed[0] = Step(rest[len(text) :], ids)
            return [*steps, Step(text, [])]
        # The engine decoded it otherwise: then the text counts.
        ids = [token_id for step in self._owed for token_id in step.token_ids]
        self._owed.clear()
        return [*steps, Step(text, ids)]
