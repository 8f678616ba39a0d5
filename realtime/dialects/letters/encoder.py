"""Tokenize a text in which some control tokens' letters are only letters. Pure.

A second tokenizer has the model and the steps of the first, and its added tokens, but knows control tokens by other
names that nobody can guess. Its input has these names where the text has a real control token. So everything else is
encoded as before, including white space and prefixes around a token.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from .control import Added
from .text import LetteredText
from .words import any_of

Encode = Callable[[LetteredText], list[int]]

_COVER = "\ufdd0"  # no character, so no token has it
_KIND = re.compile(r'"type": "(\w+)"')
_HARMLESS = frozenset({"Sequence", "Prepend", "Replace", "NFC", "NFD", "ByteLevel"})  # normalizers
_WAYS: tuple[dict[str, Any], ...] = (  # in which tokenizers of other kinds are told to take all for letters
    {"split_special_tokens": True},
    {"allow_special_tokens": False},
    {"allowed_special": set(), "disallowed_special": ()},
)


def encoder(tokenizer: Any, added: Sequence[Added], control: Sequence[Added]) -> Encode | None:
    """Return an encoder of such texts for a `transformers`-like tokenizer; None if there can't be one."""
    for make in _makers(tokenizer, added, control):
        try:
            made = make()
            if all(_is_right(made, tokenizer, token, control) for token in control):
                return made
        except Exception:
            continue
    return None


def _makers(tokenizer: Any, added: Sequence[Added], control: Sequence[Added]) -> Iterator[Callable[[], Encode]]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield from (partial(_Piecewise, tokenizer, control, way) for way in _WAYS)
    elif not any(token.single_word or (token.normalized and _changes_letters(backend)) for token in control):
        yield lambda: _Renamed(backend, backend.model, added, control)
        yield lambda: _Renamed(backend, _without(backend, control), added, control)


def _is_right(encode: Encode, tokenizer: Any, token: Added, control: Sequence[Added]) -> bool:
    """Return whether a control token is encoded as one where it is meant, and as letters where it is not."""
    sample = f"x{token.text} y"
    tokens, letters = encode(LetteredText(sample, ())), encode(LetteredText(sample, (1,)))
    said: str = tokenizer.decode(letters, skip_special_tokens=False)
    return (
        tokens == tokenizer.encode(sample, add_special_tokens=False)
        and not {one.id for one in control}.intersection(letters)
        and "".join(said.split()) == "".join(sample.split())
    )


def _changes_letters(backend: Any) -> bool:
    """Return whether other characters may become those of a token before it is looked for."""
    normalizer = backend.normalizer
    steps = {} if normalizer is None else json.loads(normalizer.__getstate__())
    return any(kind not in _HARMLESS for kind in _KIND.findall(json.dumps(steps)))


class _Renamed:
    """An encoder with a tokenizer of the library `tokenizers`, with which the model is shared."""

    def __init__(self, backend: Any, model: Any, added: Sequence[Added], control: Sequence[Added]) -> None:
        """backend: the tokenizer whose steps are used."""
        from tokenizers import AddedToken, Tokenizer

        secret = secrets.token_hex(16)
        self._tokenizer = Tokenizer(model)
        for step in ("normalizer", "pre_tokenizer"):
            if getattr(backend, step) is not None:
                setattr(self._tokenizer, step, getattr(backend, step))
        self._names = {token.text: f"zq{secret}{index}zq" for index, token in enumerate(control)}
        flags = backend.get_added_tokens_decoder()
        renamed = []
        for token in sorted(added, key=lambda token: token.id):
            theirs = flags[token.id]
            name = self._names.get(token.text, token.text)
            kept = {flag: getattr(theirs, flag) for flag in ("single_word", "lstrip", "rstrip", "normalized")}
            renamed.append((token.id, AddedToken(name, special=False, **kept)))
        self._tokenizer.add_tokens([token for _, token in renamed])
        ids = {self._tokenizer.token_to_id(token.content): number for number, token in renamed}
        self._ids = {ours: theirs for ours, theirs in ids.items() if ours != theirs}
        self._control = re.compile(any_of(self._names))

    def __call__(self, text: LetteredText) -> list[int]:
        """Return the tokens of this text."""
        return [self._ids.get(token, token) for token in self._encode("".join(self._parts(text)))]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _parts(self, text: LetteredText) -> Iterator[str]:
        at = 0
        for found in self._control.finditer(text.covered(_COVER)):
            yield str.__getitem__(text, slice(at, found.start()))
            yield self._names[found[0]]
            at = found.end()
        yield str.__getitem__(text, slice(at, None))


class _Piecewise:
    """An encoder with any tokenizer that can be told to treat everything as letters, and that treats the text after a
    token as a new beginning.
    """

    def __init__(self, tokenizer: Any, control: Iterable[Added], as_letters: dict[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._as_letters = as_letters
        self._ids = {token.text: token.id for token in control}
        self._control = re.compile(any_of(self._ids))

    def __call__(self, text: LetteredText) -> list[int]:
        """Return the tokens of this text."""
        ids: list[int] = []
        at = 0
        for found in self._control.finditer(text.covered(_COVER)):
            ids += self._piece(text[at : found.start()])
            ids.append(self._ids[found[0]])
            at = found.end()
        return [*ids, *self._piece(text[at:])]

    def _piece(self, text: str) -> list[int]:
        if not text:
            return []
        way = self._as_letters if isinstance(text, LetteredText) else {}
        ids: list[int] = self._tokenizer.encode(str(text), add_special_tokens=False, **way)
        return ids


def _without(backend: Any, control: Iterable[Added]) -> Any:
    """Return the model of a tokenizer with a vocabulary without the texts of control tokens: some would find them."""
    from tokenizers import Tokenizer

    texts = {token.text for token in control}
    described = json.loads(backend.to_str())
    model = described["model"]
    hidden = {text: f"\ufdd0{index}" for index, text in enumerate(sorted(texts))}
    if isinstance(model["vocab"], list):
        model["vocab"] = [[hidden.get(piece, piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {hidden.get(piece, piece): number for piece, number in model["vocab"].items()}
    if model.get("unk_token") in hidden:
        model["unk_token"] = hidden[model["unk_token"]]
    described["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(described)).model
