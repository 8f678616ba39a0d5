"""Tokens and meaning: how a conversation becomes a prompt, and how generated tokens become pieces.

A dialect belongs to a model family. It renders, and makes one parser for each response. Pieces are what the model
*said* - text, reasoning, a call - with no word about events, ids or the wire; the assembler makes events of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from realtime.context.client_tools import Kind
from realtime.context.tools import McpOrigin, ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.engine.base import TokenChunk
from realtime.engine.parsing import Constraint, Holds
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import ResponseCreate


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Base of what a parser yields."""


class MessageBegin(Piece, frozen=True):
    """A message of its own begins, in this phase. Dialects whose models mark messages say so; in others text alone
    begins one, where nothing else is open.
    """

    phase: Literal["commentary", "final_answer"] | None = None


class ReasoningBegin(Piece, frozen=True):
    """A reasoning of its own begins, likewise."""


class Recovered(Piece, frozen=True):
    """The markup around what is open was malformed; nothing of what was said is lost."""


class BlockEnd(Piece, frozen=True):
    """The message or the reasoning that is open is complete."""


class TextDelta(Piece, frozen=True):
    """More of the answer."""

    text: str
    logprobs: list[Any] = []


class ReasoningDelta(Piece, frozen=True):
    """More of the reasoning that precedes an answer or a call."""

    text: str


class CallBegin(Piece, frozen=True):
    """The model starts to call a tool, under the name that the client gave it. `custom`: with free text. `channel`:
    where the model called it, if that is not where calls belong. `kind`: one of OpenAI's own that the client runs.
    `mcp`: a tool of an MCP server.
    """

    name: str
    namespace: str | None = None
    custom: bool = False
    channel: str | None = None
    kind: Kind | None = None
    mcp: McpOrigin | None = None


class CallDelta(Piece, frozen=True):
    """More of the arguments, or of the free text, of the call that is open."""

    arguments: str


class CallEnd(Piece, frozen=True):
    """The call is complete."""


class CallCut(Piece, frozen=True):
    """The call is over and is not complete: its end was not seen, or its arguments are not JSON."""


class Parser(Protocol):
    """One response's parser: pieces in the order in which the model said them, nothing lost and nothing twice."""

    @property
    def constraint(self) -> Constraint | None:
        """Return what sampling must keep to, so that what comes can be parsed as what was asked for."""

    @property
    def reasoning_ended(self) -> bool | None:
        """See engine.base.EngineRequest."""

    @property
    def skip_special_tokens(self) -> bool:
        """Return whether it wants text without special tokens."""

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        """Tokens that end a generation, besides the model's own end of sequence."""

    @property
    def num_reasoning_tokens(self) -> int:
        """Return how many of the tokens so far were reasoning."""

    @property
    def trouble(self) -> Exception | None:
        """Return what first went wrong in reading the output. Nothing is lost by it: text stays text, at worst raw."""

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """The pieces that this chunk completes; what is still ambiguous is held back."""

    def close(self) -> Sequence[Piece]:
        """The generation is over: what was held back."""


class RenderError(Exception):
    """The conversation can't be put into the model's format; the text may be shown to the client."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class PromptTooLong(RenderError):
    """The conversation can't fit into the context window: it has more tokens than this, how many more is not known."""

    def __init__(self, more_than: int) -> None:
        super().__init__(f"The input has more than {more_than} tokens.", "input")
        self.more_than = more_than


class Unwanted(Exception):
    """Rendering was given up, as nobody waits for the prompt any more."""


IsWanted = Callable[[], bool]  # whether somebody still waits; cheap to call


def always() -> bool:
    """The `IsWanted` of who waits whatever happens."""
    return True


class Sight(msgspec.Struct, frozen=True):
    """What is put where an image stands: a part of the content, for templates that take a list of parts; or the
    model's marker, for those that take text; or nothing: then images are refused.
    """

    takes_parts: bool = False
    marker: str | None = None


BLIND = Sight()


class Dialect(Protocol):
    """How one model family is spoken to. Stateless between responses."""

    def render(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], parent: Turn | None,
        is_wanted: IsWanted = always,
    ) -> Prompt:  # fmt: skip
        """The prompt for `items` (the whole history, oldest first), the request's instructions and its tools.

        `parent` is the turn that the items continue, for its exact tokens. CPU-bound: a long conversation takes
        milliseconds to seconds, so callers run it in a thread; it looks at `is_wanted` between its pieces. Raises
        RenderError, PromptTooLong when it is certain that the prompt can't fit into the window, and Unwanted.
        """

    @property
    def name(self) -> str:
        """For the log: the family that it speaks to."""

    @property
    def holds(self) -> Holds:
        """Return when the model's calls can be held to schemas."""

    @property
    def unsafe_in(self) -> tuple[str, ...]:
        """The places of a prompt where a control token's letters, whoever wrote them, may become that token."""

    @property
    def speaks_harmony(self) -> bool:
        """Return whether a client may hold the history as Harmony messages."""

    def transcript(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], output: Sequence[OutputItem]
    ) -> tuple[list[HarmonyMessage], list[HarmonyMessage]]:
        """The prompt of `items`, and the answer to it, as messages. Only for a dialect that speaks Harmony."""

    def template_kwargs(self, request: ResponseCreate) -> dict[str, Any]:
        """Return what the request sets of the model's prompt; the engine needs it to see where reasoning ends."""

    def parser(self, request: ResponseCreate, tools: ToolSet, prompt: Prompt) -> Parser:
        """A fresh parser for one response to this prompt. Raises RenderError for a format that can't be served."""
