"""The Harmony library behind `dialects.harmony.Encoding`: which package it is, and where its vocabulary comes from.

Two packages bring the module `openai_harmony`, and an environment must have only one of them: oss-harmony carries the
vocabulary (vLLM >= 0.31 depends on it), openai-harmony downloads it at first use. Importing either takes 0.1 s and
loading 0.2 s, so this module is imported only for a model that speaks Harmony.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

import msgspec
from openai_harmony import (
    HarmonyEncoding,
    HarmonyEncodingName,
    Message,
    RenderOptions,
    load_harmony_encoding,
)  # fmt: skip

from realtime.dialects.base import IsWanted, PromptTooLong, Unwanted, always
from realtime.wire.harmony import DeveloperContent, HarmonyMessage, HarmonyText, SystemContent

from .parser import Vocabulary

logger = logging.getLogger("realtime.harmony")

_PACKAGES = ("oss-harmony", "openai-harmony")
_FOLDER = "TIKTOKEN_ENCODINGS_BASE"  # the library's own name for it
# The library holds the interpreter's lock while it works, and its time grows with the square of a word's length
# (300 000 times "a": 80 s). So it is given a message at a time, and long texts in pieces.
_PIECE = 1024  # characters at most
_PATIENCE = 2  # windows of text that are tokenized at most: up to there a client is told how many tokens it has sent
_LONGEST_WORD = 2048  # characters, where a text can't be given in pieces
# Where the vocabulary never has a token over it: a word or a number ends. Before a digit, letters are named, because
# a character of a word may be a number, as in "²1", which the vocabulary takes together.
_LETTER = r"[A-Za-z\u00c0-\u024f\u0370-\u052f\u3041-\u30ff\u4e00-\u9fff\uac00-\ud7a3]"
_BOUNDARY = re.compile(
    r"(?<=[^\W_])(?=[\x00-&(-/:-@\[-`{-\x7f\uff0c\u3002\u3001\uff01\uff1f])|(?<=" + _LETTER + r")(?=[0-9])"
)


class NoVocabulary(Exception):
    """An error: the vocabulary can't be had. The text says what to do."""


def load(folder: str | None) -> LibraryEncoding:
    """Load the encoding of gpt-oss. `folder` holds `o200k_base.tiktoken`, for a package without it. Raises
    NoVocabulary.
    """
    if folder is not None:
        os.environ[_FOLDER] = folder
    found = [f"{name} {version}" for name in _PACKAGES if (version := _version(name)) is not None]
    try:
        encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
    except Exception as error:
        raise NoVocabulary(
            f"The vocabulary of Harmony (o200k_base) can't be loaded by {' and '.join(found)}: {error}. "
            "Install oss-harmony>=0.0.11, which carries it (and uninstall openai-harmony), or put the file "
            "`o200k_base.tiktoken` into a folder and name that folder in the setting `harmony_vocabulary`."
        ) from error
    logger.info("harmony package=%s vocabulary=%s", ",".join(found), folder or "its own")
    return LibraryEncoding(encoding)


class LibraryEncoding:
    """An `Encoding` by the Harmony library."""

    def __init__(self, encoding: HarmonyEncoding) -> None:
        self._encoding = encoding
        self._bytes: dict[int, bytes] = {}  # of tokens that were seen: asking the library takes 1 us
        self.vocabulary = Vocabulary(
            decode=self._decode,
            first_special=self._special("<|startoftext|>"),
            start=self._special("<|start|>"),
            channel=self._special("<|channel|>"),
            constrain=self._special("<|constrain|>"),
            message=self._special("<|message|>"),
            end=self._special("<|end|>"),
            ends=frozenset(map(self._special, ("<|end|>", "<|return|>", "<|call|>", "<|endoftext|>"))),
            stop=tuple(sorted(encoding.stop_tokens_for_assistant_actions())),
        )
        self._start_of_answer = [self.vocabulary.start, *encoding.encode("assistant")]

    def render(
        self, messages: Sequence[HarmonyMessage], window: int | None = None, is_wanted: IsWanted = always
    ) -> list[int]:
        """Render messages; see Encoding. `dialects.harmony.messages` has dropped old reasoning already."""
        tokens: list[int] = []
        try:
            options = RenderOptions(conversation_has_function_tools=any(map(_offers_functions, messages)))
            for message in messages:
                for part in self._message(message, options):
                    tokens += part
                    if window is not None and len(tokens) > _PATIENCE * window:
                        raise PromptTooLong(window)
                    if not is_wanted():
                        raise Unwanted
        except BaseException as error:  # a panic in the library is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError | PromptTooLong | Unwanted):
                raise
            raise ValueError(str(error)) from error
        return [*tokens, *self._start_of_answer]

    def _message(self, message: HarmonyMessage, options: RenderOptions) -> Iterator[list[int]]:
        """Yield the tokens of one message, in pieces. Its content is put between the tokens that surround an empty
        text.
        """
        parts = list(_parts(message))
        if all(isinstance(part, HarmonyText) for part in parts) and len(message.text) <= _PIECE:
            yield self._whole(message, options)
            return
        *begin, end = self._whole(msgspec.structs.replace(message, content=""), options)
        yield begin
        for part in parts:
            if isinstance(part, HarmonyText):
                for piece in pieces(part.text, _PIECE):
                    yield self._encoding.encode(piece, disallowed_special=())
                continue
            _check_words(msgspec.to_builtins(part))
            alone = self._whole(msgspec.structs.replace(message, content=[part]), options)
            yield alone[alone.index(self.vocabulary.message) + 1 : -1]
        yield [end]

    def _whole(self, message: HarmonyMessage, options: RenderOptions) -> list[int]:
        tokens: list[int] = self._encoding.render(Message.from_dict(msgspec.to_builtins(message)), options)
        return tokens

    def _decode(self, token_ids: Sequence[int]) -> bytes:
        known = self._bytes
        try:
            return b"".join(map(known.__getitem__, token_ids))
        except KeyError:
            known.update((token, self._bytes_of(token)) for token in token_ids)
            return b"".join(map(known.__getitem__, token_ids))

    def _bytes_of(self, token: int) -> bytes:
        text: str = self._encoding.decode([token], "surrogateescape")  # the one public way to bytes
        return text.encode("utf-8", "surrogateescape")

    def _special(self, text: str) -> int:
        token: int
        (token,) = self._encoding.encode(text, allowed_special="all")
        return token


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield the text in pieces of at most `size` characters, cut where tokens end, or else where `size` is reached."""
    at = 0
    while len(text) - at > size:
        found = _BOUNDARY.search(text, at + size // 2, at + size)
        cut = found.start() if found is not None else at + size
        yield text[at:cut]
        at = cut
    yield text[at:]


def _parts(message: HarmonyMessage) -> Iterator[HarmonyText | SystemContent | DeveloperContent]:
    """Yield its content, with long instructions as a text, which is how they are rendered."""
    for part in [HarmonyText(text=message.content)] if isinstance(message.content, str) else message.content:
        if not isinstance(part, DeveloperContent) or len(part.instructions or "") <= _PIECE:
            yield part
        elif message.role != "developer":
            raise ValueError("DeveloperContent may only appear in developer messages")
        else:
            yield HarmonyText(text=f"# Instructions\n\n{part.instructions}" + "\n\n" * bool(part.tools))
            if part.tools:
                yield DeveloperContent(tools=part.tools)


def _check_words(value: Any) -> None:
    """Refuse text that would take too long to tokenize. Raises ValueError."""
    if isinstance(value, str):
        if any(len(piece) == _LONGEST_WORD for piece in pieces(value, _LONGEST_WORD)):
            raise ValueError(f"{value[:32]!r}... has a word of {_LONGEST_WORD} characters, too long for a description")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_words(name)
            _check_words(member)
    elif isinstance(value, list):
        for member in value:
            _check_words(member)


def _offers_functions(message: HarmonyMessage) -> bool:
    """Return whether the system message must say where functions are called."""
    return any(
        isinstance(part, DeveloperContent) and part.tools is not None and "functions" in part.tools
        for part in message.content
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
