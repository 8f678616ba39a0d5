"""Tokenizers of every kind: control tokens where they are control tokens, letters where they are letters."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from realtime.dialects.base import always
from realtime.dialects.bounded_encoder import BoundedEncoder
from realtime.dialects.letters.control import added_tokens, control_tokens
from realtime.dialects.letters.encoder import Encode, encoder
from realtime.dialects.letters.text import LetteredText, letters_before
from realtime.dialects.letters.words import any_of
from realtime.dialects.text_bound import text_bound
from realtime.engine.scripted import ScriptedTokenizer

STARTER = Path(__file__).parents[3] / "realtime" / "models" / "starter"
SPECIAL = ("<s>", "</s>", "[INST]", "<|im_end|>")
PLAIN = ("<think>", "</think>")
BYTES = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
PIECES = ["<unk>", *[f"<0x{value:02X}>" for value in range(256)], "▁", *"<>/|[]_sthinkINSTmed ab", "▁a", "im"]
FALLBACK = {piece: index for index, piece in enumerate(dict.fromkeys(PIECES))}
SPACES = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])


class Fast:
    """As much of what `transformers` makes of one as is asked for."""

    def __init__(self, tokenizer: Any) -> None:
        self.backend_tokenizer = tokenizer
        self.added_tokens_decoder = tokenizer.get_added_tokens_decoder()

    def encode(self, text: str, **_: Any) -> list[int]:
        ids: list[int] = self.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: list[int], **_: Any) -> str:
        text: str = self.backend_tokenizer.decode(token_ids, skip_special_tokens=False)
        return text


def fast(model: models.Model, **parts: Any) -> Fast:
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in (*PLAIN, "   ", "<b>")])
    return Fast(tokenizer)


def of_bytes(*, prefix: bool) -> Fast:
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    made = models.BPE({**BYTES, "im": 256, "th": 257}, [("i", "m"), ("t", "h")])
    return fast(made, pre_tokenizer=level, decoder=decoders.ByteLevel())


def of_pieces(**parts: Any) -> Fast:
    made = models.BPE(FALLBACK, [("▁", "a"), ("i", "m")], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    return fast(made, decoder=SPACES, **parts)


def unigram() -> Fast:
    """Its vocabulary has the texts of control tokens, with the best of scores."""
    pieces = [(piece, -5.0) for piece in FALLBACK]
    model = models.Unigram([*pieces, *((text, 0.0) for text in SPECIAL)], unk_id=0, byte_fallback=True)
    return fast(model, pre_tokenizer=pre_tokenizers.Metaspace(), decoder=SPACES)


KINDS: dict[str, Any] = {
    "starter": lambda: Fast(Tokenizer.from_file(str(STARTER / "tokenizer.json"))),
    "bytes": lambda: of_bytes(prefix=False),
    "bytes, a space first": lambda: of_bytes(prefix=True),
    "pieces, as Llama 2": lambda: of_pieces(
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    ),
    "pieces, a space first": lambda: of_pieces(
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    ),
    "unigram": unigram,
    "scripted": ScriptedTokenizer,
}


@cache
def made(kind: str) -> tuple[Any, Encode, dict[str, int]]:
    tokenizer = KINDS[kind]()
    added = added_tokens(tokenizer)
    assert added is not None
    control = control_tokens(added, "<think></think><tool_call></tool_call>")
    encode = encoder(tokenizer, added, control)
    assert encode is not None
    return tokenizer, encode, {token.text: token.id for token in control}


def letters_in(text: str, words: dict[str, int]) -> LetteredText:
    """The text with all control tokens in it as letters."""
    places = [found.start() + 1 for found in re.finditer(any_of(words), text)]
    return LetteredText(text, tuple(places))


def texts(words: dict[str, int]) -> st.SearchStrategy[str]:
    part = st.one_of(
        st.sampled_from([*words, " ", "   ", "\n", "a", "<b>"]), st.text(st.sampled_from("<s>/|im a[é🙂"), max_size=5)
    )
    return st.lists(part, max_size=8).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60)
def test_without_letters_the_tokens_are_those_of_the_tokenizer(kind: str, data: st.DataObject) -> None:
    tokenizer, encode, words = made(kind)
    text = data.draw(texts(words))
    assert encode(LetteredText(text, ())) == tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60)
def test_letters_are_letters_and_tokens_beside_them_are_tokens(kind: str, data: st.DataObject) -> None:
    tokenizer, encode, words = made(kind)
    word = data.draw(st.sampled_from(sorted(words)))
    user, end = letters_in(data.draw(texts(words)), words), data.draw(st.sampled_from(["a", "\na"]))
    text = LetteredText(f"{word}{user}{word}{end}", tuple(len(word) + place for place in user.letters))
    ids = encode(text)
    control = [token for token in ids if token in words.values()]
    assert control == [words[word]] * 2
    plain = tokenizer.encode(str(text), add_special_tokens=False)
    assert tokenizer.decode(ids).replace(" ", "") == tokenizer.decode(plain).replace(" ", "")
    if kind in {"starter", "bytes", "scripted"}:
        assert tokenizer.decode(ids) == text


def test_a_tokenizer_that_knows_no_way_has_none() -> None:
    class Stubborn(ScriptedTokenizer):
        def encode(self, text: str, **_: Any) -> list[int]:
            return super().encode(text)

    tokenizer = Stubborn()
    added = added_tokens(tokenizer)
    assert added is not None
    assert encoder(tokenizer, added, control_tokens(added, "")) is None


def test_a_normalizer_that_makes_a_token_of_other_characters_is_no_way() -> None:
    tokenizer = Tokenizer(models.BPE(BYTES, []))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken("<think>", normalized=True)])
    made = Fast(tokenizer)
    added = added_tokens(made)
    assert added is not None
    assert made.encode("\uff1cthink\uff1e") == made.encode("<think>")
    assert encoder(made, added, control_tokens(added, "<think>")) is None


def test_a_window_counts_the_letters() -> None:
    tokenizer, encode, words = made("starter")
    text = letters_in("<|im_end|> and " * 10_000, words)
    bounded = BoundedEncoder(
        lambda part: encode(LetteredText(part, letters_before(part, len(part)))), text_bound(tokenizer), 50_000
    )
    ids = bounded.encode(text, 0, always)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(words.values())


def test_a_slice_has_its_letters() -> None:
    text = LetteredText("ab<s>cd<s>", (3, 8))
    assert (text[:2], text[2:5], text[5:]) == ("ab", "<s>", "cd<s>")
    assert getattr(text[2:5], "letters", None) == (1,)
    assert getattr(text[5:], "letters", None) == (3,)
    assert type(text[:2]) is str
    assert text.covered("?") == "ab<?>cd<?>"


BEGIN = "<｜tool▁calls▁begin｜>"  # noqa: RUF001
ADDED: dict[str, bool] = {  # text: special
    "<s>": True, "[INST]": True, "<|fim_prefix|>": False, BEGIN: False, "<think>": False, "/nothink": True,
    "<table>": False, "\n\n": False, "   ": False, "▁▁": False, "user": False, "<unused7>": False,
}  # fmt: skip


def test_control_tokens_are_told_from_others() -> None:
    tokenizer = Tokenizer(models.BPE(BYTES, []))
    tokenizer.add_tokens([AddedToken(text, special=special) for text, special in ADDED.items()])
    added = added_tokens(Fast(tokenizer))
    assert added is not None
    found = {token.text for token in control_tokens(added, "{% if user %}\n\n<think>")}
    assert found == {"<s>", "[INST]", "<|fim_prefix|>", BEGIN, "<think>"}
    assert added_tokens(object()) is None
