"""The Harmony library behind `dialects.harmony.Encoding`: which package it is, and where its vocabulary comes from.

Two packages bring the module `openai_harmony`, and one environment must have only one of them: oss-harmony carries the
vocabulary (vLLM >= 0.31 depends on it), openai-harmony downloads it when it is first used. Importing either takes 0.1 s
and loading 0.2 s, so this module is imported only where a model speaks Harmony.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from importlib import metadata

import msgspec
from openai_harmony import (
    Conversation,
    HarmonyEncoding,
    HarmonyEncodingName,
    Message,
    RenderConversationConfig,
    Role,
    load_harmony_encoding,
)  # fmt: skip

from .dialects.harmony_parser import Vocabulary
from .wire.harmony import HarmonyMessage

logger = logging.getLogger("realtime.harmony")

_PACKAGES = ("oss-harmony", "openai-harmony")
_FOLDER = "TIKTOKEN_ENCODINGS_BASE"  # the library's own name for it
_NEVER_DROP = RenderConversationConfig(auto_drop_analysis=False)  # dialects.harmony_messages has the right rule


class NoVocabulary(Exception):
    """The vocabulary can't be had; the text says what to do."""


def load(folder: str | None) -> LibraryEncoding:
    """The encoding of gpt-oss; `folder` holds `o200k_base.tiktoken`, for a package without it. Raises NoVocabulary."""
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
    """See dialects.harmony.Encoding."""

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

    def render(self, messages: Sequence[HarmonyMessage]) -> list[int]:
        """See Encoding."""
        try:
            read = [Message.from_dict(msgspec.to_builtins(message)) for message in messages]
            tokens: list[int] = self._encoding.render_conversation_for_completion(
                Conversation.from_messages(read), Role.ASSISTANT, _NEVER_DROP
            )
        except BaseException as error:  # a panic in the library is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            raise ValueError(str(error)) from error
        return tokens

    def _decode(self, token_ids: Sequence[int]) -> bytes:
        known = self._bytes
        try:
            return b"".join([known[token] for token in token_ids])
        except KeyError:
            known.update((token, self._bytes_of(token)) for token in token_ids)
            return b"".join([known[token] for token in token_ids])

    def _bytes_of(self, token: int) -> bytes:
        text: str = self._encoding.decode([token], "surrogateescape")  # the one public way to bytes
        return text.encode("utf-8", "surrogateescape")

    def _special(self, text: str) -> int:
        token: int
        (token,) = self._encoding.encode(text, allowed_special="all")
        return token


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
