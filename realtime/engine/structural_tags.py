"""Structural tags - xgrammar's form of what sampling must keep to - in the way models write. Pure.

vLLM's constraints hold from the first character after the reasoning, but models put line ends there, and between
calls: without them the text is not what the model was trained on, nor what its template makes of it in the next turn,
so the prefix cache misses. And they allow white space without end inside of JSON, where a weak model may stay.

They know nothing of grammars of a tool's input. So the tool's parameters are marked before vLLM makes its tag of them,
whose form is the model family's; where they are found again as JSON, the grammar takes their place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_LINE_ENDS = {"type": "regex", "pattern": r"\n{0,2}"}
_MAX_WHITESPACE = 32  # in a row; enough to indent
_MARK = "$comment"  # of JSON schemas, without any meaning of its own
_MARKED = "realtime: input by the grammar of "

GrammarOf = Callable[[str], str]
"""The grammar - in EBNF, of text inside of a JSON string - of the input of the tool with this name."""


def of_json(schema: dict[str, Any]) -> str:
    """The structural tag of an answer that is JSON by this schema."""
    content = _by_json({"type": "json_schema", "json_schema": schema})
    return _tag({"type": "sequence", "elements": [_LINE_ENDS, content]})


def mark(parameters: dict[str, Any], name: str) -> dict[str, Any]:
    """The parameters of a tool whose `input` has a grammar, to be found again in a structural tag."""
    return {**parameters, _MARK: _MARKED + name}


def as_written(tag: str, grammar_of: GrammarOf | None = None) -> str:
    """One of vLLM's structural tags with what the module's text says."""
    return _tag(_as_written(json.loads(tag)["format"], grammar_of))


def _tag(form: dict[str, Any]) -> str:
    return json.dumps({"type": "structural_tag", "format": form})


def _as_written(form: dict[str, Any], grammar_of: GrammarOf | None) -> dict[str, Any]:
    inner = ("content", "elements", "tags")
    form = {name: _each(value, grammar_of) if name in inner else value for name, value in form.items()}
    match form:
        case {"type": "json_schema", "json_schema": {"$comment": str(mark)}} if (
            grammar_of is not None and mark.startswith(_MARKED) and _is_json(form)
        ):
            return _by_grammar(grammar_of(mark.removeprefix(_MARKED)))
        case {"type": "json_schema"} if _is_json(form):
            return _by_json(form)
        case {"type": "tags_with_separator", "separator": "", "at_least_one": True, "tags": tags}:
            call = {"type": "sequence", "elements": [_LINE_ENDS, {"type": "or", "elements": tags}]}
            return call if form.get("stop_after_first") else {"type": "plus", "content": call}
        case _:
            return form


def _each(value: Any, grammar_of: GrammarOf | None) -> Any:
    if isinstance(value, list):
        return [_each(one, grammar_of) for one in value]
    return _as_written(value, grammar_of) if isinstance(value, dict) else value


def _is_json(form: dict[str, Any]) -> bool:
    return bool(form.get("style", "json") == "json")


def _by_json(form: dict[str, Any]) -> dict[str, Any]:
    return {**form, "max_whitespace_cnt": _MAX_WHITESPACE}


def _by_grammar(grammar: str) -> dict[str, Any]:
    """The one argument of a custom tool, as templates write it."""
    begin, end = {"type": "const_string", "value": '{"input": "'}, {"type": "const_string", "value": '"}'}
    return {"type": "sequence", "elements": [begin, {"type": "grammar", "grammar": grammar}, end]}
