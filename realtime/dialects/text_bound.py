"""A lower bound on a text's tokens, from its size: it refuses a text that can't fit before it is tokenized.

A token stands for a limited number of bytes of text if the tokenizer loses nothing: no normalizer that drops
characters, no pre-tokenizer that drops spaces, no token for everything unknown. `text_bound` reads from the tokenizer's
own description (the `tokenizer.json` of the library `tokenizers`) whether that holds; if it can't tell there is no
bound. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

# By how much a normalizer can shorten a text in UTF-8, at most. K (the Kelvin sign, three bytes) becomes K; Hangul
# of three letters, nine bytes, becomes a syllable of three; NFKC makes A of a mathematical A, which has four.
_SHRINKS = {"NFC": 3, "NFD": 3, "NFKC": 4, "NFKD": 4, "Lowercase": 3, "Prepend": 1, "ByteLevel": 1}
_SPLITTERS = frozenset({"ByteLevel", "Metaspace", "Digits", "Punctuation", "UnicodeScripts", "Split"})
_NUM_BYTES = 256
_OF_ONE_BYTE = frozenset(f"<0x{value:02X}>" for value in range(_NUM_BYTES))  # how vocabularies with a fallback have it


class TextBound(msgspec.Struct, frozen=True):
    """The bound. bytes_per_token: the most UTF-8 bytes that one token stands for. shrink: how many times shorter the
    tokenizer may make a text that is not ASCII, before it is split.
    """

    bytes_per_token: int
    shrink: int = 1

    def least_tokens(self, text: str) -> int:
        """Return the least number of tokens that a text can have."""
        if text.isascii():
            return -(-len(text) // self.bytes_per_token)
        return -(-len(text.encode("utf-8", "replace")) // (self.bytes_per_token * self.shrink))


def text_bound(tokenizer: Any) -> TextBound | None:
    """Return the bound of a `transformers` tokenizer; None where texts of any length may have few tokens, or that is
    not known.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    try:
        described = msgspec.json.decode(backend.to_str(), type=_Description)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None
    shrink = 1
    for step in _steps(described.normalizer, "normalizers"):
        factor = _shrink(step)
        if factor is None:
            return None
        shrink *= factor
    if not all(map(_keeps_all, _steps(described.pre_tokenizer, "pretokenizers"))):
        return None
    added, model = described.added_tokens, described.model
    if any(token.lstrip or token.rstrip for token in added):  # such a token takes the spaces around it, however many
        return None
    of_bytes = _is_of_bytes(described)
    if not of_bytes and not _has_fallback(model):
        return None
    longest = max(map(len if of_bytes else _num_bytes, model.vocab.keys() - _OF_ONE_BYTE))
    return TextBound(max(longest, *(_num_bytes(token.content) for token in added), 1), shrink)


class _Added(msgspec.Struct):
    content: str
    lstrip: bool = False
    rstrip: bool = False


class _Model(msgspec.Struct):
    type: str
    vocab: Any  # of Unigram a list of pairs, of others a table
    byte_fallback: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.vocab, list):
            self.vocab = {entry[0]: index for index, entry in enumerate(self.vocab)}


class _Description(msgspec.Struct):
    model: _Model
    added_tokens: list[_Added] = []
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: dict[str, Any] | None = None


def _steps(step: dict[str, Any] | None, members: str) -> Iterator[dict[str, Any]]:
    """Yield one step after the other, including those of sequences."""
    if step is None:
        return
    if step.get("type") != "Sequence":
        yield step
        return
    for part in step.get(members, ()):
        yield from _steps(part, members)


def _shrink(step: dict[str, Any]) -> int | None:
    """Return how many times shorter a normalizer can make a text; None: without limit."""
    if step.get("type") != "Replace":
        return _SHRINKS.get(str(step.get("type")))
    pattern = step.get("pattern", {}).get("String")  # a regular expression may match anything
    longer = pattern is not None and _num_bytes(step.get("content", "")) >= _num_bytes(pattern)
    return 1 if longer else None


def _keeps_all(step: dict[str, Any]) -> bool:
    """Return whether a pre-tokenizer drops nothing."""
    return step.get("type") in _SPLITTERS and step.get("behavior") != "Removed"


def _is_of_bytes(described: _Description) -> bool:
    """Return whether the model sees the text as bytes, each written as a letter, and knows all of them."""
    steps = (*_steps(described.pre_tokenizer, "pretokenizers"), *_steps(described.normalizer, "normalizers"))
    of_bytes = any(step.get("type") == "ByteLevel" for step in steps)
    return of_bytes and described.model.type == "BPE" and all(letter in described.model.vocab for letter in _LETTERS)


def _has_fallback(model: _Model) -> bool:
    """Return whether unknown characters become bytes: nothing is lost, and nothing is an unknown token."""
    return model.byte_fallback and model.vocab.keys() >= _OF_ONE_BYTE


def _byte_letters() -> Iterator[str]:
    """Yield the letters by which byte-level vocabularies write the bytes: visible ones, then others from U+0100."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    yield from map(chr, sorted(seen))
    yield from (chr(0x100 + index) for index in range(_NUM_BYTES - len(seen)))


_LETTERS = frozenset(_byte_letters())


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
