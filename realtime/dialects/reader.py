"""What reads the output of models with a chat template. `markup` does by its table of families; `foreign` by parsers of
the engine's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from realtime.context.tools import ToolSet
from realtime.engine.parsing import Holds

from .base import Parser


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known to read one answer.

    schema: of the answer's text, if that must be JSON.
    stop_token_ids: the request's own, which are no end of the model's.
    begun: the one of the reader's openings that the template has put behind the last message; never a user's.
    """

    tools: ToolSet
    schema: dict[str, Any] | None = None
    num_top_logprobs: int = 0
    stop_token_ids: frozenset[int] = frozenset()
    begun: str = ""
    prompt_token_ids: Sequence[int] = ()
    template_kwargs: dict[str, Any] = {}


class Reader(Protocol):
    """Reads the answers of one model."""

    @property
    def name(self) -> str:
        """Of the family."""

    @property
    def openings(self) -> Sequence[str]:
        """The marks that decide how an answer is read, if a prompt ends with one."""

    @property
    def holds(self) -> Holds:
        """Return when calls can be held to schemas."""

    def as_wanted(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages as the model's template wants them."""

    def open(self, reading: Reading) -> Parser:
        """A parser for one answer. Raises BadSpec for what can't be served."""
