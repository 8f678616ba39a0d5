"""The interface of a reader: reads the output of models with a chat template. `markup` does so by its table of
families; `foreign` by the engine's own parsers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from realtime.context.tools import ToolSet
from realtime.engine.parsing import Holds

from .base import Parser


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The facts needed to read one answer.

    schema: of the answer's text, if that must be JSON. stop_token_ids: the request's own, which are not the model's
    end. begun: the one of the reader's openings that the template has put after the last message; never a user's.
    """

    tools: ToolSet
    schema: dict[str, Any] | None = None
    num_top_logprobs: int = 0
    stop_token_ids: frozenset[int] = frozenset()
    begun: str = ""
    prompt_token_ids: Sequence[int] = ()
    template_kwargs: dict[str, Any] = {}


class Reader(Protocol):
    """A reader of one model's answers."""

    @property
    def name(self) -> str:
        """The name of the family."""

    @property
    def openings(self) -> Sequence[str]:
        """The marks that decide how an answer is read, if a prompt ends with one."""

    @property
    def holds(self) -> Holds:
        """Return which constraints on calls sampling supports."""

    def as_wanted(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the messages in the form that the model's template wants."""

    def open(self, reading: Reading) -> Parser:
        """Return a parser for one answer. Raises BadSpec for a request that can't be served."""
