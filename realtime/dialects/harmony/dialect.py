"""The dialect of gpt-oss: its library renders, `parser` reads. Pure.

A prompt depends on the items alone. So a history that the server holds, one that the client holds as items and one that
it holds as messages give the same tokens.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from realtime.context.mcp_calls import McpCalls
from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.dialects.base import IsWanted, RenderError, always
from realtime.engine.parsing import ALWAYS
from realtime.wire.harmony import HarmonyMessage, SystemContent
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import ResponseCreate

from .messages import answer, default_system, to_messages
from .parser import HarmonyParser, Vocabulary
from .tags import constraint


class Encoding(Protocol):
    """The Harmony library, as far as the dialect needs it."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary, for the parser."""

    def render(
        self, messages: Sequence[HarmonyMessage], window: int | None = None, is_wanted: IsWanted = always
    ) -> list[int]:
        """Return the tokens of these messages, and of the beginning of the assistant's next one. Raises ValueError,
        PromptTooLong when there are certainly more than `window` (not worth counting how many), and Unwanted.
        """


class HarmonyDialect:
    """The dialect of gpt-oss."""

    name = "harmony"
    speaks_harmony = True
    holds = ALWAYS
    unsafe_in = ()  # texts are encoded alone, without control tokens

    def __init__(self, encoding: Encoding, today: Callable[[], str], window: int | None = None) -> None:
        """`today` returns the date for the system message, `YYYY-MM-DD`. window: tokens of the model's context; None:
        any number fits.
        """
        self._window = window
        self._encoding = encoding
        self._today = today

    def render(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], parent: Turn | None,
        is_wanted: IsWanted = always,
    ) -> Prompt:  # fmt: skip
        """See Dialect."""
        messages = to_messages(request, tools, items, self._system(request))
        if not any(message.role != "system" for message in messages):
            raise RenderError(
                "There is nothing to answer: give `input`, `instructions` or a previous response.", "input"
            )
        try:
            return Prompt("", array("I", self._encoding.render(messages, self._window, is_wanted)))
        except ValueError as error:
            raise RenderError(f"The conversation can't be rendered as Harmony: {error}", "input") from error

    def transcript(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], output: Sequence[OutputItem]
    ) -> tuple[list[HarmonyMessage], list[HarmonyMessage]]:
        """See Dialect."""
        prompt = to_messages(request, tools, items, self._system(request))
        return prompt, answer(output, McpCalls([*items, *output], tools.tools))

    def template_kwargs(self, request: ResponseCreate) -> dict[str, Any]:
        """See Dialect."""
        return dict(request.chat_template_kwargs or {})

    def parser(self, request: ResponseCreate, tools: ToolSet, prompt: Prompt) -> HarmonyParser:
        """See Dialect."""
        output_format = request.text.format if request.text is not None else None
        return HarmonyParser(
            self._encoding.vocabulary,
            tools,
            constraint=constraint(tools, output_format, self._encoding.vocabulary),
            num_top_logprobs=request.top_logprobs or 0,
        )

    def _system(self, request: ResponseCreate) -> SystemContent:
        """Return the system message, with the variables of the model's own template."""
        system = default_system(self._today())
        for name in ("model_identity", "conversation_start_date", "knowledge_cutoff"):
            value = (request.chat_template_kwargs or {}).get(name)
            if isinstance(value, str):
                setattr(system, name, value)
        return system
