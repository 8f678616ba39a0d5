"""Tokens and meaning: how a conversation becomes a prompt, and how generated tokens become pieces.

A dialect belongs to a model family. It renders, and makes one parser for each response. Pieces are what the model
*said* - text, reasoning, a call - with no word about events, ids or the wire; the assembler makes events of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from realtime.engine.base import TokenChunk
from realtime.wire.items import InputItem
from realtime.wire.requests import ResponseCreate


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Base of what a parser yields."""


class TextDelta(Piece, frozen=True):
    """More of the answer."""

    text: str
    logprobs: list[Any] = []


class ReasoningDelta(Piece, frozen=True):
    """More of the reasoning that precedes an answer or a call."""

    text: str


class CallBegin(Piece, frozen=True):
    """The model starts to call a function."""

    name: str


class CallDelta(Piece, frozen=True):
    """More of the arguments of the call that is open."""

    arguments: str


class CallEnd(Piece, frozen=True):
    """The call is complete."""


class Parser(Protocol):
    """One response's parser: pieces in the order in which the model said them, nothing lost and nothing twice."""

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """The pieces that this chunk completes; what is still ambiguous is held back."""

    def close(self) -> Sequence[Piece]:
        """The generation is over: what was held back."""


class RenderError(Exception):
    """The conversation can't be put into the model's format; the text may be shown to the client."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class Dialect(Protocol):
    """How one model family is spoken to. Stateless between responses."""

    def render(self, request: ResponseCreate, items: Sequence[InputItem]) -> tuple[int, ...]:
        """The prompt's token ids for `items` (the whole history, oldest first) and the request's instructions.

        CPU-bound: a long conversation takes milliseconds, so callers may run it in a thread. Raises RenderError.
        """

    def parser(self, request: ResponseCreate) -> Parser:
        """A fresh parser for one response to this request."""
