"""Constraints on sampling for a Harmony model, from the first token on, as xgrammar's structural tag. Pure.

    ( analysis | preamble )*  ( call | final )

Markup is named by token id, so text that only looks like it is not markup. Without a constrained tool, a forced call or
an output format there is no constraint at all.
"""

from __future__ import annotations

from typing import Any

from realtime.context.tools import Mode, Tool, ToolSet
from realtime.engine import structural_tags
from realtime.engine.parsing import Constraint
from realtime.wire.formats import JsonObjectFormat, JsonSchemaFormat, TextFormat

from .parser import Vocabulary

Form = dict[str, Any]


def constraint(tools: ToolSet, output_format: TextFormat | None, vocabulary: Vocabulary) -> Constraint | None:
    """Return the constraint of a response, if it needs one."""
    schema = _schema(output_format)
    callable_tools = () if tools.mode is Mode.NONE else tools.tools
    forced = tools.mode is Mode.REQUIRED
    if not forced and schema is None and not any(tools.holds(tool) for tool in callable_tools):
        return None
    forms = _Forms(vocabulary)
    if tools.only is not None:
        callable_tools = (tools.only,)
    ends = [forms.call(tool, is_held=tools.holds(tool)) for tool in callable_tools]
    if not forced:
        ends.append(forms.final(schema))
    form = _sequence(forms.before(), {"type": "or", "elements": ends})
    return Constraint("structural_tag", structural_tags.tag(form))


def _schema(output_format: TextFormat | None) -> Form | None:
    match output_format:
        case JsonObjectFormat():
            return {"type": "object"}
        case JsonSchemaFormat(schema=schema):
            return schema
        case _:
            return None


def _sequence(*elements: Form) -> Form:
    return {"type": "sequence", "elements": list(elements)}


def _text(value: str) -> Form:
    return {"type": "const_string", "value": value}


class _Forms:
    """The parts of the model's output."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def before(self) -> Form:
        """Return the form of any number of thoughts and preambles, and of the beginning of what follows them."""
        channel = {"type": "or", "elements": [_text("analysis"), _text("commentary")]}
        next_message = _sequence(
            self._token(self._vocabulary.end), self._token(self._vocabulary.start), _text("assistant")
        )
        message = _sequence(
            self._token(self._vocabulary.channel),
            channel,
            self._token(self._vocabulary.message),
            self._anything(),
            next_message,
        )
        return {"type": "star", "content": message}

    def call(self, tool: Tool, *, is_held: bool) -> Form:
        """Return the form of a call of this tool as it is rendered, with any object for arguments if it is not
        constrained. Its end is a stop token, which follows by itself.
        """
        return _sequence(
            self._token(self._vocabulary.channel),
            _text(f"commentary to=functions.{tool.shown_as} "),
            self._token(self._vocabulary.constrain),
            _text("json"),
            self._token(self._vocabulary.message),
            self._arguments(tool, is_held=is_held),
        )

    def final(self, schema: Form | None) -> Form:
        """Return the form of the answer. Its end follows likewise."""
        return _sequence(
            self._token(self._vocabulary.channel),
            _text("final"),
            self._token(self._vocabulary.message),
            self._anything() if schema is None else structural_tags.by_json(schema, "text.format.schema"),
        )

    def _arguments(self, tool: Tool, *, is_held: bool) -> Form:
        if tool.grammar is not None:
            return structural_tags.input_by_grammar(tool.grammar.syntax, tool.grammar.definition, tool.path)
        if is_held:
            return structural_tags.by_json(tool.parameters, tool.path)
        return structural_tags.by_json({"type": "object"}, None)

    def _anything(self) -> Form:
        return {"type": "any_tokens", "exclude_tokens": list(self._vocabulary.markup)}

    def _token(self, token: int) -> Form:
        return {"type": "token", "token": token}
