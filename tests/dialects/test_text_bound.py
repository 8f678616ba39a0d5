"""What a text's size tells of its tokens: never more than it has, and nothing where a tokenizer loses something."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from realtime.dialects.base import PromptTooLong, Unwanted, always
from realtime.dialects.bounded_encoder import BoundedEncoder
from realtime.dialects.text_bound import TextBound, text_bound
from realtime.engine.scripted import ScriptedTokenizer

STARTER = Path(__file__).parents[2] / "realtime" / "models" / "starter"
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
LETTERS = {letter: index for index, letter in enumerate(BYTES)}
MERGED = {**LETTERS, "ab": 256, "abab": 257, "KK": 258, "KKKK": 259}
MERGES = [("a", "b"), ("ab", "ab"), ("K", "K"), ("KK", "KK")]
FALLBACK = {"<unk>": 0, **{f"<0x{value:02X}>": value + 1 for value in range(256)}, "▁": 257, "a": 258, "▁a": 259}
# Hard for bounds: what composes, what decomposes, what becomes one letter, spaces, long runs of what is one token.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("ab \n\tK\u212b\u2126각é漢🙂\U0001d400\u0300\u0301\u0345\u1fbe"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
).flatmap(lambda text: st.integers(1, 40).map(lambda times: text * times))


class Fast:
    """As `transformers` wraps one, which takes seconds to import."""

    def __init__(self, tokenizer: Any) -> None:
        self.backend_tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def fast(model: models.Model, **parts: Any) -> Fast:
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return Fast(tokenizer)


def of_bytes(normalizer: Any = None, added: tuple[AddedToken, ...] = ()) -> Fast:
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = fast(models.BPE(MERGED, MERGES), pre_tokenizer=level, normalizer=normalizer or normalizers.Sequence([]))
    made.backend_tokenizer.add_tokens(list(added))
    return made


def with_fallback(**options: Any) -> Fast:
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    model = models.BPE(FALLBACK, [("▁", "a")], unk_token="<unk>", fuse_unk=True, **{"byte_fallback": True, **options})
    return fast(model, normalizer=normalizer, decoder=decoders.Fuse())


KINDS = {
    "starter": lambda: Fast(Tokenizer.from_file(str(STARTER / "tokenizer.json"))),
    "bytes": of_bytes,
    "NFC": lambda: of_bytes(normalizers.NFC()),
    "NFKC": lambda: of_bytes(normalizers.NFKC()),
    "NFKD, lower": lambda: of_bytes(normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])),
    "added": lambda: of_bytes(added=(AddedToken("<|a long one|>", special=True),)),
    "fallback": with_fallback,
}
LOSSY = {
    "a normalizer drops": lambda: of_bytes(normalizers.Strip()),
    "a normalizer shortens": lambda: of_bytes(normalizers.Replace("aaaa", "a")),
    "a pattern": lambda: of_bytes(normalizers.Replace(Regex(" +"), " ")),
    "accents": lambda: of_bytes(normalizers.StripAccents()),
    "spaces": lambda: of_bytes(added=(AddedToken("<mask>", lstrip=True),)),
    "a word is unknown": lambda: fast(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")),
    "bytes are missing": lambda: with_fallback(byte_fallback=False),
    "a splitter drops": lambda: fast(
        models.BPE(MERGED, MERGES), pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit()])
    ),
}


@cache
def tokenizer(kind: str) -> tuple[Any, TextBound]:
    made: Any = KINDS[kind]()  # type: ignore[no-untyped-call]
    bound = text_bound(made)
    assert bound is not None
    return made, bound


@pytest.mark.parametrize("kind", KINDS)
@example(text="\u212a" * 400)  # NFC makes K of it, and four of these are a token
@example(text="\U0001d41a\U0001d41b" * 200)  # of which NFKC makes ab
@given(text=TEXTS)
@settings(max_examples=100)
def test_no_text_has_fewer_tokens_than_its_bound_says(kind: str, text: str) -> None:
    made, bound = tokenizer(kind)
    assert bound.least_tokens(text) <= len(made.encode(text))


@pytest.mark.parametrize(
    ("kind", "text", "num_tokens"),
    [("bytes", "abab" * 1000, 1000), ("added", "<|a long one|>" * 100, 100), ("fallback", "a a" * 500, 1000)],
)
def test_the_bound_is_tight(kind: str, text: str, num_tokens: int) -> None:
    made, bound = tokenizer(kind)
    assert len(made.encode(text)) == num_tokens
    assert bound.least_tokens(text) >= num_tokens // 4


@pytest.mark.parametrize("kind", LOSSY)
def test_where_text_is_lost_there_is_no_bound(kind: str) -> None:
    assert text_bound(LOSSY[kind]()) is None


def test_where_nothing_is_known_there_is_no_bound() -> None:
    assert text_bound(ScriptedTokenizer()) is None
    assert text_bound(object()) is None


@pytest.mark.parametrize(("form", "shrink"), [("NFC", 3), ("NFD", 3), ("NFKC", 4), ("NFKD", 4)])
def test_no_character_is_shortened_by_more_than_the_table_says(form: Any, shrink: int) -> None:
    """Of all characters, alone and as the full decomposition that composes to them."""
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        for text in {char, unicodedata.normalize("NFD", char)}:
            short = unicodedata.normalize(form, text)
            assert len(text.encode()) <= shrink * len(short.encode()), hex(code)


# -- the encoder


def encoder(window: int | None, bound: TextBound | None = None) -> tuple[BoundedEncoder, list[str]]:
    encoded: list[str] = []

    def encode(text: str) -> list[int]:
        encoded.append(text)
        return list(text.encode())

    return BoundedEncoder(encode, bound, window), encoded


def test_a_text_that_can_not_fit_is_not_tokenized() -> None:
    made, encoded = encoder(1000, TextBound(16))
    with pytest.raises(PromptTooLong) as refused:
        made.encode("x" * 16_001, 0, always)
    assert (refused.value.more_than, encoded) == (1000, [])
    with pytest.raises(PromptTooLong):
        made.encode("x" * 32, 999, always)
    assert len(made.encode("x" * 16, 999, always)) == 16


def test_of_a_text_that_is_likely_not_to_fit_little_is_tokenized() -> None:
    made, encoded = encoder(1000)
    with pytest.raises(PromptTooLong):
        made.encode("x" * 10_000_000, 0, always)
    assert sum(map(len, encoded)) <= 1 << 16


def test_up_to_twice_the_window_tokens_are_counted() -> None:
    made, encoded = encoder(100_000)
    assert len(made.encode("x" * 200_000, 0, always)) == 200_000
    assert len(encoded) == 1
    with pytest.raises(PromptTooLong):
        made.encode("x" * 200_001, 0, always)


def test_long_text_of_few_tokens_is_not_refused() -> None:
    made = BoundedEncoder(lambda text: [0] * -(-len(text) // 100), None, 10_000)
    assert len(made.encode(" " * 1_000_000, 0, always)) == 10_000


def test_nobody_counts_on_for_who_is_gone() -> None:
    made, encoded = encoder(100_000)
    with pytest.raises(Unwanted):
        made.encode("x" * 1_000_000, 0, lambda: len(encoded) < 2)
    assert len(encoded) == 2


def test_without_a_window_nothing_is_too_long() -> None:
    made, _ = encoder(None, TextBound(1))
    assert len(made.encode("x" * 1_000_000, 0, always)) == 1_000_000
