"""Models with a chat template (Qwen, Llama, Mistral, ...): the template renders, vLLM's parsers read.

A continuation re-uses the exact tokens of what it continues as far as the template still renders the same text, so
the engine's prefix cache holds for everything that was said, whatever the tokenizer would make of the text.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from realtime.context.tools import Mode, Tool, ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.engine.parsing import BadSpec, Parsers, ParseSpec
from realtime.engine.pictures import image_parts, picture_of
from realtime.engine.structural_tags import Held
from realtime.wire.formats import JsonObjectFormat, JsonSchemaFormat
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import ResponseCreate

from .base import BLIND, IsWanted, RenderError, Sight, always
from .bounded_encoder import BoundedEncoder
from .chat_parser import ChatParser, WholeCallParser
from .letters.marking import Unmarkable
from .letters.template import Template
from .letters.text import LetteredText, letters_before, letters_of
from .messages import to_messages, to_tools
from .text_bound import text_bound


class ChatDialect:
    """See Dialect."""

    def __init__(self, tokenizer: Any, parsers: Parsers, sight: Sight = BLIND, window: int | None = None) -> None:
        """`tokenizer` is what the engine loaded, `parsers` its own. window: tokens of the model's context; None: any
        number fits.
        """
        self._encoder = BoundedEncoder(self._encode, text_bound(tokenizer), window)
        self._template = Template(tokenizer, sight.marker)
        self._sight = Sight(takes_parts=sight.takes_parts, marker=self._template.picture)
        self._tokenizer = tokenizer
        self._parsers = parsers
        added: dict[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
        self.holds = parsers.holds
        self._specials = {token_id: token.content for token_id, token in added.items() if token.special}

    def render(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], parent: Turn | None,
        is_wanted: IsWanted = always,
    ) -> Prompt:  # fmt: skip
        """See Dialect."""
        messages = to_messages(request.instructions, items, self._sight, tools.tools)
        if not messages:
            raise RenderError(
                "There is nothing to answer: give `input`, `instructions` or a previous response.", "input"
            )
        shown = to_tools(tools) if tools.mode is not Mode.NONE else []
        try:
            text = self._template.render(messages, shown, template_kwargs(request))
        except Unmarkable:
            raise RenderError(
                "The input has all characters of private use (U+E000 to U+F8FF) at once.", "input"
            ) from None
        except Exception as error:  # templates raise whatever they like
            raise RenderError(f"The model's chat template refuses this conversation: {error}", "input") from error
        pictures = tuple(one for _, part in image_parts(items) if (one := picture_of(part)) is not None)
        tokens = array("I", self._encode_after(text, parent, is_wanted))
        return Prompt(str(text), tokens, pictures, letters=letters_of(text))

    @property
    def unsafe_in(self) -> tuple[str, ...]:
        """See Dialect."""
        return self._template.unsafe_in

    speaks_harmony = False

    def transcript(
        self, request: ResponseCreate, tools: ToolSet, items: Sequence[InputItem], output: Sequence[OutputItem]
    ) -> tuple[list[HarmonyMessage], list[HarmonyMessage]]:
        """See Dialect."""
        raise AssertionError("there are no Harmony messages here")

    def template_kwargs(self, request: ResponseCreate) -> dict[str, Any]:
        """See Dialect."""
        return template_kwargs(request)

    def parser(self, request: ResponseCreate, tools: ToolSet, prompt: Prompt) -> ChatParser:
        """See Dialect."""
        only = tools.only
        direct = only is not None and only.grammar is not None
        spec = ParseSpec(
            tools=() if direct else tuple(to_tools_for_parser(tools)),
            held={tool.shown_as: Held(tool.path, _grammar(tool)) for tool in tools.tools if _may_be_held(tool, tools)},
            tool_choice=_choice(tools),
            parallel=tools.parallel,
            output_format=output_format(request),
            template_kwargs=template_kwargs(request),
        )
        try:
            inner = self._parsers.open(spec, prompt.token_ids)
        except BadSpec as error:
            raise RenderError(f"The tools or the output format can't be served: {error}") from error
        if direct:
            assert only is not None
            return WholeCallParser(inner, tools, only)
        num_top = request.top_logprobs or 0
        quiet = self._parsers.quiet
        return ChatParser(inner, tools, quiet=quiet, num_top_logprobs=num_top, specials=self._specials)

    def _encode(self, text: str) -> list[int]:
        if isinstance(text, LetteredText) and self._template.encode_letters is not None:
            return self._template.encode_letters(text)
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _encode_after(self, text: str, parent: Turn | None, is_wanted: IsWanted) -> list[int]:
        """Tokens of `text`, those of the newest turn that it still begins with taken as they were. Where a prompt had a
        control token's letters the text must have letters too; what the model said is what it said.
        """
        turn = parent
        while turn is not None:
            prompt = turn.prompt
            if prompt is not None and _begins_with(text, prompt):
                answer: str = self._tokenizer.decode(turn.token_ids, skip_special_tokens=False)
                whole = prompt.text + answer
                known = [*prompt.token_ids, *turn.token_ids] if text.startswith(whole) else [*prompt.token_ids]
                rest = text[len(whole) if text.startswith(whole) else len(prompt.text) :]
                return [*known, *self._encoder.encode(rest, len(known), is_wanted)]
            turn = turn.parent
        return self._encoder.encode(text, 0, is_wanted)


def _begins_with(text: str, prompt: Prompt) -> bool:
    return text.startswith(prompt.text) and letters_before(text, len(prompt.text)) == prompt.letters


def template_kwargs(request: ResponseCreate) -> dict[str, Any]:
    """What templates may want to know besides the messages."""
    effort = request.reasoning.effort if request.reasoning is not None else None
    asked = dict(request.chat_template_kwargs or {})
    if effort is None:
        return asked
    return {"reasoning_effort": effort, "enable_thinking": effort != "none", **asked}


def output_format(request: ResponseCreate) -> dict[str, Any] | None:
    """`text.format` in Chat Completions' form; None for plain text."""
    match request.text.format if request.text is not None else None:
        case JsonObjectFormat():
            return {"type": "json_object"}
        case JsonSchemaFormat(name=name, schema=schema):
            return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
        case _:
            return None


def to_tools_for_parser(tools: ToolSet) -> list[dict[str, Any]]:
    """The shown tools, with what constrained decoding needs to know."""
    shown = to_tools(tools)
    for tool, form in zip(tools.tools, shown, strict=True):
        if tools.holds(tool):
            form["function"]["strict"] = True
    return shown


def _may_be_held(tool: Tool, tools: ToolSet) -> bool:
    return tools.mode is Mode.REQUIRED or (tools.holds(tool) and tools.mode is Mode.AUTO)


def _grammar(tool: Tool) -> tuple[str, str] | None:
    return None if tool.grammar is None else (tool.grammar.syntax, tool.grammar.definition)


def _choice(tools: ToolSet) -> str | dict[str, Any]:
    if tools.only is not None:
        return {"type": "function", "function": {"name": tools.only.shown_as}}
    return tools.mode.value
