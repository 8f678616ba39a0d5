"""What sampling must keep to for a Harmony model, from the first token on, as xgrammar's structural tag. Pure.

    ( analysis | preamble )*  ( call | final )

Markup is named by token id, so text that only looks like it is none. Without a tool that is held, a forced call or an
output format there is no constraint at all.
"""

from __future__ import annotations

import json
from typing import Any

from realtime.context.tools import Mode, Tool, ToolSet
from realtime.engine.parsing import BadSpec, Constraint, Parsers
from realtime.wire.formats import JsonObjectFormat, JsonSchemaFormat, TextFormat

from .parser import Vocabulary

Form = dict[str, Any]

_MAX_WHITESPACE = 32  # in a row within JSON; a weak model would stay in it


def constraint(
    tools: ToolSet, output_format: TextFormat | None, vocabulary: Vocabulary, parsers: Parsers
) -> Constraint | None:
    """The constraint of a response, if it needs one. Raises BadSpec for what can't be held to."""
    schema = _schema(output_format)
    callable_tools = () if tools.mode is Mode.NONE else tools.tools
    forced = tools.mode is Mode.REQUIRED
    if not forced and schema is None and not any(tools.holds(tool) for tool in callable_tools):
        return None
    forms = _Forms(vocabulary, parsers)
    if tools.only is not None:
        callable_tools = (tools.only,)
    ends = [forms.call(tool, is_held=tools.holds(tool)) for tool in callable_tools]
    if not forced:
        ends.append(forms.final(schema))
    form = _sequence(forms.before(), {"type": "or", "elements": ends})
    return Constraint("structural_tag", json.dumps({"type": "structural_tag", "format": form}))


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

    def __init__(self, vocabulary: Vocabulary, parsers: Parsers) -> None:
        self._vocabulary = vocabulary
        self._parsers = parsers

    def before(self) -> Form:
        """Any number of thoughts and preambles, and the beginning of what follows them."""
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
        """A call of this tool, as it is rendered, with any object for arguments if it is not held; its end is a stop
        token, which follows by itself.
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
        """The answer; its end follows likewise."""
        return _sequence(
            self._token(self._vocabulary.channel),
            _text("final"),
            self._token(self._vocabulary.message),
            self._anything() if schema is None else self._answer(schema),
        )

    def _answer(self, schema: Form) -> Form:
        self._parsers.check_schema(schema)
        return self._json(schema)

    def _arguments(self, tool: Tool, *, is_held: bool) -> Form:
        if tool.grammar is not None:
            try:
                grammar = self._parsers.grammar_in_json(tool.grammar.syntax, tool.grammar.definition)
            except BadSpec as error:
                raise BadSpec(f"the grammar of the tool '{tool.name}' can't be used: {error}") from error
            return _sequence(_text('{"input": "'), {"type": "grammar", "grammar": grammar}, _text('"}'))
        return self._json(tool.parameters if is_held else {"type": "object"})  # which of them can be is known

    def _json(self, schema: Form) -> Form:
        return {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": _MAX_WHITESPACE}

    def _anything(self) -> Form:
        return {"type": "any_tokens", "exclude_tokens": list(self._vocabulary.markup)}

    def _token(self, token: int) -> Form:
        return {"type": "token", "token": token}
