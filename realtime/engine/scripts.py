"""Scripts for the scripted engine: what each request generates, step by step. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import msgspec

from .base import EngineRequest, FinishReason


class Pause(msgspec.Struct, frozen=True):
    """A pause of so many ticks, in which nothing is generated."""

    ticks: int


class Token(msgspec.Struct, frozen=True):
    """A particular token of another tokenizer. If the request names it as a stop token, it ends the generation."""

    token_id: int
    text: str = ""


class Finish(msgspec.Struct, frozen=True):
    """The end of a generation. A script that just ends finishes with STOP and an end-of-sequence token,
    as models do.
    """

    reason: FinishReason = FinishReason.STOP
    stop_reason: str | int | None = None


class Fail(msgspec.Struct, frozen=True):
    """A failure: the generation ends with `on_error`, and the others continue."""

    message: str = "scripted failure"


class Die(msgspec.Struct, frozen=True):
    """The death of the whole engine."""

    message: str = "scripted death"


Step = str | Token | Pause | Finish | Fail | Die  # a str is the text of one token; "" stands for half a code point
Script = Callable[[EngineRequest], Iterable[Step]]


def say(*steps: Step) -> Script:
    """Return a script that does the same for each request."""
    return lambda request: steps


class RandomScript:
    """Random text that depends on the seed and the prompt only: words, line ends, characters of 2 to 4 bytes.

    endless: for a request that ignores the end, the text has no end, as with a model.
    """

    PIECES = ("a ", "stream ", "of ", "words, ", "\n", "\n\n", "0", " 42", "naïve ", "日本", "語", "Ω", "🙂", "👩‍🚀")

    def __init__(self, seed: int = 0, min_tokens: int = 1, max_tokens: int = 64, *, endless: bool = False) -> None:
        self._seed, self._min, self._max, self._endless = seed, min_tokens, max_tokens, endless

    def __call__(self, request: EngineRequest) -> Iterator[Step]:
        rng = random.Random(f"{self._seed} {request.prompt_token_ids}")
        ends = not (self._endless and request.sampling.ignore_eos)
        for _ in range(rng.randint(self._min, self._max) if ends else request.sampling.max_tokens):
            piece = rng.choice(self.PIECES)
            if not piece.isascii() and rng.random() < 0.5:
                yield ""  # as a byte-level tokenizer: the first half of a code point has no text yet
            yield piece
