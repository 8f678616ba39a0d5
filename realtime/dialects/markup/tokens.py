"""Chunks of tokens as the machine's input: runs of text, and tokens of markup. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .family import Family
from .grammar import Grammar

Decode = Callable[[Sequence[int]], str]


class Run(NamedTuple):
    """Text as the machine reads it, and the number of its tokens. `mark`: it is a token that has a meaning."""

    text: str
    num_tokens: int
    mark: bool = False


class Markup:
    """A family's row for one model. `added`: the tokenizer's added tokens, with their text, and whether they are
    special. `decode` is for chunks in which a token's text occurs as letters as well.
    """

    def __init__(self, family: Family, added: Mapping[int, tuple[str, bool]], decode: Decode | None = None) -> None:
        self.grammar = Grammar(family, dict(added.values()))
        self.special = {text: token_id for token_id, (text, special) in added.items() if special}
        symbols = self.grammar.alphabet.symbols
        self._decode = decode
        self._tokens = {
            token_id: (text, symbols.get(text, ""))
            for token_id, (text, special) in added.items()
            if text in symbols or special
        }
        self.watched = frozenset(self._tokens)

    @classmethod
    def of_tokenizer(cls, family: Family, tokenizer: Any) -> Markup:
        """Make one for a `transformers`-like tokenizer."""
        known: dict[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
        added = {token_id: (token.content, bool(token.special)) for token_id, token in known.items()}
        return cls(family, added, lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=False)))

    def runs(self, text: str, token_ids: Sequence[int]) -> Iterator[Run]:
        """Yield the parts of the chunk: tokens of markup as the machine knows them, without other special tokens."""
        begun = 0  # index of the first token of the run
        for index, token_id in enumerate(token_ids):
            if token_id not in self._tokens:
                continue
            letters, symbol = self._tokens[token_id]
            at = self._find(letters, text, token_ids[begun:], index - begun)
            before, text = (text[:at], text[at + len(letters) :]) if at >= 0 else ("", text)
            if at < 0 and index == len(token_ids) - 1:
                before, text = text, ""
            if before or index > begun:
                yield Run(before, index - begun)
            yield Run(symbol, 1, bool(symbol))
            begun = index + 1
        if text or begun < len(token_ids):
            yield Run(text, len(token_ids) - begun)

    def _find(self, letters: str, text: str, token_ids: Sequence[int], index: int) -> int:
        """Return where the token at `index` is in the text of these tokens; -1 if it is not there."""
        num_left = sum(self._tokens.get(token_id, ("",))[0] == letters for token_id in token_ids)
        if self._decode is None or text.count(letters) <= num_left:
            return text.find(letters)
        near = len(self._decode(token_ids[:index]))
        places = [at for at in range(len(text)) if text.startswith(letters, at)]
        return min(places, key=lambda at: abs(at - near))
