"""The interface of a dialect: from a conversation to a prompt, and from generated tokens to pieces.

A dialect belongs to a model family. It renders, and makes one parser for each response. Pieces are what the model
*said* - text, reasoning, a call - without events, ids or anything of the wire; the assembler makes events of them.
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
    """Base class of pieces."""


class MessageBegin(Piece, frozen=True):
    """The beginning of a separate message, in this phase. Only dialects whose models mark messages yield it; in others
    text begins one where nothing else is open.
    """

    phase: Literal["commentary", "final_answer"] | None = None


class ReasoningBegin(Piece, frozen=True):
    """The beginning of separate reasoning, likewise."""


class Recovered(Piece, frozen=True):
    """A note that the markup around the open item was malformed; nothing of what was said is lost."""


class BlockEnd(Piece, frozen=True):
    """The end of the open message or reasoning."""


class Delta(Piece, frozen=True):
    """Base class of the pieces that are more of what the last piece has begun or added to, or the beginning of it."""

    text: str


class TextDelta(Delta, frozen=True):
    """More text of the answer."""

    logprobs: list[Any] = []


class ReasoningDelta(Delta, frozen=True):
    """More reasoning before an answer or a call."""


class CallBegin(Piece, frozen=True):
    """The beginning of a call, under the name that the client gave the tool. `custom`: with free text. `channel`: where
    the model called it, if calls don't belong there. `kind`: one of OpenAI's own tools that the client runs. `mcp`: a
    tool of an MCP server.
    """

    name: str
    namespace: str | None = None
    custom: bool = False
    channel: str | None = None
    kind: Kind | None = None
    mcp: McpOrigin | None = None


class CallDelta(Delta, frozen=True):
    """More of the open call's arguments, or of its free text."""


class CallEnd(Piece, frozen=True):
    """The end of a complete call."""


class CallCut(Piece, frozen=True):
    """The end of an incomplete call: its end was not seen, or its arguments are not JSON."""


class Parser(Protocol):
    """One response's parser. It yields pieces in the order in which the model said them, nothing lost and nothing
    twice.
    """

    @property
    def constraint(self) -> Constraint | None:
        """Return the constraint on sampling that makes the output parse as what was asked for."""

    @property
    def reasoning_ended(self) -> bool | None:
        """See engine.base.EngineRequest."""

    @property
    def skip_special_tokens(self) -> bool:
        """Return whether it wants the text without special tokens."""

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        """The tokens that end a generation, besides the model's own end of sequence."""

    @property
    def num_reasoning_tokens(self) -> int:
        """Return how many of the tokens so far are reasoning."""

    @property
    def trouble(self) -> Exception | None:
        """Return the first problem in reading the output. Nothing is lost by it: text stays text, at worst raw."""

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """Return the pieces that this chunk completes. Ambiguous text is held back."""

    def close(self) -> Sequence[Piece]:
        """End the generation, and return the pieces that were held back."""


class RenderError(Exception):
    """An error: the conversation can't be put into the model's format. The text may be shown to the client."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class PromptTooLong(RenderError):
    """An error: the conversation can't fit into the context window. It has more tokens than this; how many more is not
    known.
    """

    def __init__(self, more_than: int) -> None:
        super().__init__(f"The input has more than {more_than} tokens.", "input")
        self.more_than = more_than


class Unwanted(Exception):
    """An exception: rendering was given up, because nobody waits for the prompt any more."""


IsWanted = Callable[[], bool]  # whether somebody still waits; cheap to call


def always() -> bool:
    """Return True: the `IsWanted` of a caller that waits whatever happens."""
    return True


class Sight(msgspec.Struct, frozen=True):
    """The form of an image in a prompt: a part of the content, for templates that take a list of parts; the model's
    marker, for those that take text; or nothing: then images are refused.
    """

    takes_parts: bool = False
    marker: str | None = None


BLIND = Sight()


class Dialect(Protocol):
    """The dialect of one model family. Stateless between responses."""

    def render(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], parent: Turn | None,
        is_wanted: IsWanted = always,
    ) -> Prompt:  # fmt: skip
        """Render the prompt for `items` (the whole history, oldest first), the request's instructions and its tools.

        `parent` is the turn that the items continue, for its exact tokens. CPU-bound: a long conversation takes
        milliseconds to seconds, so callers run this in a thread; it checks `is_wanted` between its pieces. Raises
        RenderError, PromptTooLong when it is certain that the prompt can't fit into the window, and Unwanted.
        """

    @property
    def name(self) -> str:
        """The name of the family, for the log."""

    @property
    def holds(self) -> Holds:
        """Return which constraints on calls sampling supports."""

    @property
    def unsafe_in(self) -> tuple[str, ...]:
        """The places of a prompt where the letters of a control token, whoever wrote them, may become that token."""

    @property
    def speaks_harmony(self) -> bool:
        """Return whether a client may hold the history as Harmony messages."""

    def transcript(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], output: Sequence[OutputItem]
    ) -> tuple[list[HarmonyMessage], list[HarmonyMessage]]:
        """Return the prompt of `items`, and the answer to it, as messages. Only for a dialect that speaks Harmony."""

    def template_kwargs(self, request: ResponseCreate) -> dict[str, Any]:
        """Return the request's variables for the model's template. The engine needs them to see where
        reasoning ends.
        """

    def parser(self, request: ResponseCreate, tools: ToolSet, prompt: Prompt) -> Parser:
        """Return a new parser for one response to this prompt. Raises RenderError for a format that can't be served."""
