"""Harmony for tests: the library's encoding, tokens of a transcript, scripts that say it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from openai_harmony import HarmonyEncoding, HarmonyEncodingName, Message, TextContent, load_harmony_encoding

from realtime.dialects.base import CallDelta, Piece, ReasoningDelta, TextDelta
from realtime.dialects.harmony import library as harmony_encoding
from realtime.engine.base import EngineRequest, FinishReason, TokenChunk
from realtime.engine.scripted import Script, Step, Token

START_OF_ANSWER = "<|start|>assistant"


@functools.cache
def library() -> HarmonyEncoding:
    """The library's own encoding."""
    return load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)


@functools.cache
def encoding() -> harmony_encoding.LibraryEncoding:
    """Ours around it."""
    return harmony_encoding.load(None)


def tokens(text: str) -> list[int]:
    """What a model generates for this text, markup as special tokens."""
    ids: list[int] = library().encode(text, allowed_special="all")
    return ids


def text_of(token_ids: Iterable[int]) -> str:
    """The other way round."""
    text: str = library().decode(list(token_ids))
    return text


def text_in(message: Message) -> str:
    """What a message of the library's says."""
    (content,) = message.content
    assert isinstance(content, TextContent)
    return content.text


def steps(text: str) -> list[Step]:
    """A script for the scripted engine, a token a step. It ends with the transcript's own stop token."""
    return [Token(token, text_of([token])) for token in tokens(text)]


class Model:
    """A scripted model that answers its n-th request with the n-th transcript, or as a function of the prompt says.
    `prompts` are the prompts that it was given, as text.
    """

    def __init__(self, *answers: str, answer: Callable[[str], str] | None = None) -> None:
        self.requests: list[EngineRequest] = []
        self._answers = answers
        self._answer = answer

    @property
    def prompts(self) -> list[str]:
        """As text, markup included."""
        return [text_of(request.prompt_token_ids) for request in self.requests]

    @property
    def script(self) -> Script:
        """For `running`."""

        def play(request: EngineRequest) -> list[Step]:
            self.requests.append(request)
            if self._answer is not None:
                return steps(self._answer(text_of(request.prompt_token_ids)))
            return steps(self._answers[min(len(self.requests), len(self._answers)) - 1])

        return play


def chunks(token_ids: Sequence[int], sizes: Iterable[int], finish: FinishReason) -> list[TokenChunk]:
    """The tokens in chunks of these sizes (the last one repeats), the last chunk finished."""
    out: list[TokenChunk] = []
    at, size, rest = 0, 1, iter(sizes)
    while at < len(token_ids):
        size = next(rest, size)
        out.append(TokenChunk(text="", token_ids=tuple(token_ids[at : at + size])))
        at += size
    out.append(TokenChunk(text="", token_ids=(), finish=finish))
    return out


def merged(pieces: Iterable[Piece]) -> list[Any]:
    """Pieces with the deltas of one kind that follow each other joined: what does not depend on the chunks."""
    out: list[Any] = []
    for piece in pieces:
        last = out[-1] if out else None
        match piece:
            case TextDelta(text=text) if isinstance(last, TextDelta):
                out[-1] = TextDelta(last.text + text)
            case ReasoningDelta(text=text) if isinstance(last, ReasoningDelta):
                out[-1] = ReasoningDelta(last.text + text)
            case CallDelta(text=text) if isinstance(last, CallDelta):
                out[-1] = CallDelta(last.text + text)
            case _:
                out.append(piece)
    return out
