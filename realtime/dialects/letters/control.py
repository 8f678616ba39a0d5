"""Control tokens: the tokens of a tokenizer that control the model: turns, roles, reasoning, calls, images. Pure.

Not every added token is one. Some vocabularies add runs of spaces or HTML tags for better compression, and in a user's
text those are tokenized as usual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_SWITCH = re.compile(r"/\w+")  # as `/nothink` of GLM: a word that users are to write
_SHAPE = re.compile(r"<[|｜].+>|<.+[|｜]>", re.DOTALL)  # noqa: RUF001 (the bar of DeepSeek's marks)


class Added(msgspec.Struct, frozen=True):
    """A token that the tokenizer finds by its letters. normalized: in the text after the normalizer."""

    text: str
    id: int
    special: bool
    normalized: bool = False
    single_word: bool = False


def added_tokens(tokenizer: Any) -> list[Added] | None:
    """Return all added tokens of a `transformers`-like tokenizer; None if it does not list them."""
    decoder: Mapping[int, Any] | None = getattr(tokenizer, "added_tokens_decoder", None)
    if decoder is not None:
        return [
            Added(one.content, number, one.special, one.normalized, one.single_word) for number, one in decoder.items()
        ]
    if not hasattr(tokenizer, "get_added_vocab"):
        return None
    special = set(getattr(tokenizer, "all_special_ids", ()))
    return [Added(text, number, number in special) for text, number in tokenizer.get_added_vocab().items()]


def chat_template(tokenizer: Any) -> str:
    """Return the source of the tokenizer's templates; empty if they are not in Jinja."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        return "\n".join(map(str, template.values()))
    return template if isinstance(template, str) else ""


def control_tokens(added: list[Added], template: str) -> list[Added]:
    """Return the tokens that control the model: special ones, and others that look like it or that the
    template writes.
    """
    return [token for token in added if _controls(token, template)]


def _controls(token: Added, template: str) -> bool:
    text = token.text
    if not text.strip() or _SWITCH.fullmatch(text):
        return False
    return token.special or bool(_SHAPE.fullmatch(text)) or (_is_mark(text) and text in template)


def _is_mark(text: str) -> bool:
    """Return whether it is neither a word nor a punctuation mark of a language."""
    return len(text) > 2 and not text[0].isalnum() and not text[-1].isalnum() and any(map(str.isalnum, text))
