"""The dialect of models with a chat template (Qwen, Llama, Mistral, ...): the template renders, a `Reader` reads.

A continuation reuses the exact tokens of the turns before it, as far as the template still renders the same text. So
the engine's prefix cache holds for everything that was said, whatever the tokenizer would make of the text.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from realtime.context.tools import Mode, ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.engine.parsing import BadSpec
from realtime.engine.pictures import image_parts, picture_of
from realtime.wire.formats import JsonObjectFormat, JsonSchemaFormat
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import ResponseCreate

from .base import BLIND, IsWanted, Parser, RenderError, Sight, always
from .bounded_encoder import BoundedEncoder
from .letters.marking import Unmarkable
from .letters.template import Template
from .letters.text import LetteredText, letters_before, letters_of
from .messages import to_messages, to_tools
from .reader import Reader, Reading
from .text_bound import text_bound

_TAIL = 200  # characters; a mark with the white space behind it is shorter


class ChatDialect:
    """The dialect of a model with a chat template."""

    def __init__(self, tokenizer: Any, reader: Reader, sight: Sight = BLIND, window: int | None = None) -> None:
        """`tokenizer`: the one that the engine loaded. `reader`: for this model. window: tokens of the model's context;
        None: any number fits.
        """
        self._encoder = BoundedEncoder(self._encode, text_bound(tokenizer), window)
        self._template = Template(tokenizer, sight.marker)
        self._sight = Sight(takes_parts=sight.takes_parts, marker=self._template.picture)
        self._tokenizer = tokenizer
        self._reader = reader
        self.name = reader.name
        self.holds = reader.holds

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
        messages = self._reader.as_wanted(messages)
        shown = to_tools(tools) if tools.mode is not Mode.NONE else []
        given = messages, shown, template_kwargs(request)
        try:
            text = self._template.render(*given)
            begun = self._begun(text, messages[-1], lambda: self._template.render_without_prompt(*given))
        except Unmarkable:
            raise RenderError(
                "The input has all characters of private use (U+E000 to U+F8FF) at once.", "input"
            ) from None
        except Exception as error:  # templates raise whatever they like
            raise RenderError(f"The model's chat template refuses this conversation: {error}", "input") from error
        pictures = tuple(one for _, part in image_parts(items) if (one := picture_of(part)) is not None)
        tokens = array("I", self._encode_after(text, parent, is_wanted))
        return Prompt(str(text), tokens, pictures, begun=begun, letters=letters_of(text))

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

    def parser(self, request: ResponseCreate, tools: ToolSet, prompt: Prompt) -> Parser:
        """See Dialect."""
        reading = Reading(
            tools=tools,
            schema=_schema(request),
            num_top_logprobs=request.top_logprobs or 0,
            stop_token_ids=frozenset(request.stop_token_ids or ()),
            begun=prompt.begun,
            prompt_token_ids=prompt.token_ids,
            template_kwargs=template_kwargs(request),
        )
        try:
            return self._reader.open(reading)
        except BadSpec as error:
            raise RenderError(f"The tools or the output format can't be served: {error}") from error

    def _begun(self, text: str, last: dict[str, Any], before: Callable[[], str]) -> str:
        """Return the mark that the template has put at the end, after the last message; empty: none that decides
        anything. `before` renders what precedes it.
        """
        tail = text[-_TAIL:]
        end = len(tail.rstrip())
        mark = next((mark for mark in self._reader.openings if tail.endswith(mark, 0, end)), "")
        if mark and any(place >= end - len(mark) for place in letters_of(tail)):
            return ""
        if mark and _ends_with(last, mark):  # it is not a token, so somebody else may have written it
            head = before()
            return mark if text.startswith(head) and mark in text[len(head) :] else ""
        return mark

    def _encode(self, text: str) -> list[int]:
        if isinstance(text, LetteredText) and self._template.encode_letters is not None:
            return self._template.encode_letters(text)
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _encode_after(self, text: str, parent: Turn | None, is_wanted: IsWanted) -> list[int]:
        """Return the tokens of `text`, taking those of the newest turn unchanged as far as the text still begins with
        them. Where a prompt had a control token's letters the text must have letters too; tokens that the model
        generated stay as they are.
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


def _ends_with(value: Any, mark: str) -> bool:
    """Return whether a text in this part of a message ends with a mark."""
    match value:
        case str():
            return value.rstrip().endswith(mark)
        case dict():
            return any(_ends_with(one, mark) for one in value.values())
        case list():
            return any(_ends_with(one, mark) for one in value)
        case _:
            return False


def _begins_with(text: str, prompt: Prompt) -> bool:
    return text.startswith(prompt.text) and letters_before(text, len(prompt.text)) == prompt.letters


def template_kwargs(request: ResponseCreate) -> dict[str, Any]:
    """Return the variables that templates may use besides the messages."""
    effort = request.reasoning.effort if request.reasoning is not None else None
    asked = dict(request.chat_template_kwargs or {})
    if effort is None:
        return asked
    return {"reasoning_effort": effort, "enable_thinking": effort != "none", **asked}


def _schema(request: ResponseCreate) -> dict[str, Any] | None:
    """Return the schema of the answer's text; None if the text is free."""
    match request.text.format if request.text is not None else None:
        case JsonObjectFormat():
            return {"type": "object"}
        case JsonSchemaFormat(schema=schema):
            return schema
        case _:
            return None
