"""Constraints on a generation, and the engine's own output parsers as a dialect uses them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from realtime.wire.limits import DEFAULT, Limits

ConstraintKind = Literal["regex", "grammar", "structural_tag"]


class Constraint(msgspec.Struct, frozen=True):
    """A constraint on the sampled text. `value` is a regex, a grammar (Lark or EBNF) or a structural tag in source form
    (see structural_tags), all as text. `param`: the place of a regex or a grammar in the request.
    """

    kind: ConstraintKind
    value: str
    param: str | None = None


def _anything_fits(parameters: dict[str, Any]) -> str | None:
    return None


class Holds(msgspec.Struct, frozen=True):
    """The constraints that sampling supports. Calls can be held to the schemas of their tools: `auto`, where the model
    may call one, and `forced`, where it must. Everything must be within `limits`. `misfit` says why sampling can't be
    held to a tool's parameters, in the form in which the model writes them; None: it can.
    """

    auto: bool = True
    forced: bool = True
    limits: Limits = DEFAULT
    misfit: Callable[[dict[str, Any]], str | None] = _anything_fits


ALWAYS = Holds()


class ParseSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a request that a parser must know. `tools` are functions in Chat Completions' form."""

    tools: tuple[dict[str, Any], ...] = ()
    template_kwargs: dict[str, Any] = {}


class CallFragment(msgspec.Struct, frozen=True):
    """A part of a call. `index`: of the call. `name` comes once, with or before the first arguments."""

    index: int
    name: str | None
    arguments: str


class Parsed(msgspec.Struct, frozen=True):
    """Parsed output. Within one of these, reasoning precedes text and text precedes calls."""

    reasoning: str = ""
    text: str = ""
    calls: Sequence[CallFragment] = ()


class BadSpec(Exception):
    """An error: a schema or a choice that can't be served. The text may be shown."""


class OutputParser(Protocol):
    """One generation's parser."""

    @property
    def reasoning_ended(self) -> bool | None:
        """See engine.base.EngineRequest."""

    @property
    def skip_special_tokens(self) -> bool:
        """Return whether it wants the text without special tokens."""

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False) -> list[Parsed]:
        """Take more output, and return it parsed, in order. May raise anything: the caller keeps the raw text."""

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """Return how many of a generation's tokens are reasoning."""


class Parsers(Protocol):
    """A maker of output parsers for one model."""

    @property
    def holds(self) -> Holds:
        """Return which constraints on calls sampling supports."""

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> OutputParser:
        """Return a parser for one generation. Raises BadSpec."""
