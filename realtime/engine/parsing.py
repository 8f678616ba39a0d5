"""What an engine's own output parsers offer a dialect: reasoning, text and calls out of raw text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from realtime.wire.limits import DEFAULT, Limits

from .structural_tags import Held

ConstraintKind = Literal["regex", "grammar", "structural_tag"]


class Constraint(msgspec.Struct, frozen=True):
    """What the sampled text must match; `value` is a regex, a grammar (Lark or EBNF) or a structural tag in source form
    (see structural_tags), all as text. `param`: where a regex or a grammar is in the request.
    """

    kind: ConstraintKind
    value: str
    param: str | None = None


class Holds(msgspec.Struct, frozen=True):
    """What sampling can be held to: calls to the schemas of their tools, `auto`, where the model may call one, and
    `forced`, where it must; and everything within `limits`.
    """

    auto: bool = True
    forced: bool = True
    limits: Limits = DEFAULT


ALWAYS = Holds()


class ParseSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a parser must know of the request. `tools` are functions in Chat Completions' form; `held` says of those
    whose calls may be held to something where they come from, and which grammar the one argument `input` must match,
    where the model's format lets it be held to one.
    """

    tools: tuple[dict[str, Any], ...] = ()
    held: dict[str, Held] = {}
    tool_choice: str | dict[str, Any] = "none"
    parallel: bool = True
    output_format: dict[str, Any] | None = None  # Chat Completions' `response_format`
    template_kwargs: dict[str, Any] = {}


class CallFragment(msgspec.Struct, frozen=True):
    """A part of a call: `index` says of which; `name` comes once, with or before the first arguments."""

    index: int
    name: str | None
    arguments: str


class Parsed(msgspec.Struct, frozen=True):
    """What some more text turned out to be; within one of these, reasoning precedes text and text precedes calls."""

    reasoning: str = ""
    text: str = ""
    calls: Sequence[CallFragment] = ()


class BadSpec(Exception):
    """A schema or a choice that can't be served; the text may be shown."""


class OutputParser(Protocol):
    """One generation's parser."""

    @property
    def constraint(self) -> Constraint | None:
        """What the tool choice and the output format ask of sampling."""

    @property
    def reasoning_ended(self) -> bool | None:
        """See engine.base.EngineRequest."""

    @property
    def skip_special_tokens(self) -> bool:
        """Whether it wants text without special tokens."""

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False, plain: bool = False) -> list[Parsed]:
        """Take more of the output; what it turned out to be, in order. `plain`: it is known to pass through as it is
        (see Parsers.quiet), so it may be taken in one go. May raise anything: the caller keeps the raw text.
        """

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """How many of a generation's tokens are reasoning."""


class Parsers(Protocol):
    """Makes output parsers for one model."""

    @property
    def quiet(self) -> bool:
        """Text without `<[{|(` and backticks passes through these parsers as it is, once they are in it."""

    @property
    def holds(self) -> Holds:
        """When calls can be held to schemas."""

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> OutputParser:
        """A parser for one generation. Raises BadSpec."""


class PlainParsers:
    """`Parsers` of a model without any markup: everything is text, so no call can break a schema."""

    quiet = True
    holds = ALWAYS

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> PlainParser:
        """See Parsers."""
        return PlainParser()


class PlainParser:
    """`OutputParser` to which everything is text."""

    constraint: Constraint | None = None
    reasoning_ended: bool | None = None
    skip_special_tokens = True

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False, plain: bool = False) -> list[Parsed]:
        """See OutputParser."""
        return [Parsed(text=text)]

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return 0
