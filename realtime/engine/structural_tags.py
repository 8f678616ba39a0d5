"""Structural tags - xgrammar's form of what sampling must keep to - in the way models write. Pure.

vLLM's constraints hold from the first character after the reasoning, but models put line ends there, and between
calls: without them the text is not what the model was trained on, nor what its template makes of it in the next turn,
so the prefix cache misses. And they allow white space without end inside of JSON, where a weak model may stay.

A tag is made in *source form*. What a client has written in it - a schema, or the grammar of a custom tool's input - is
a form with a member `param`, its place in the request. xgrammar knows neither that member nor the grammar of a text
inside of JSON, so `expand` makes its own form of a tag: work for the compiler, because what it costs is up to clients.

vLLM makes tags of tools by the model family. So the tools' parameters are marked before, and found again in the tag.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Form = dict[str, Any]

_LINE_ENDS = {"type": "regex", "pattern": r"\n{0,2}"}
_MAX_WHITESPACE = 32  # in a row; enough to indent
_MARK = "$comment"  # of JSON schemas, without any meaning of its own
_MARKED = "realtime: parameters of "
_INPUT = "input_grammar"  # our own form: the arguments of a custom tool
_DATA = ("enum", "const", "default", "examples")  # members of a schema in which there are no schemas
_INNER = ("content", "elements", "tags")  # the members that hold forms


class Held(NamedTuple):
    """What the calls of a tool are held to beside its parameters. `param`: where it is in the request. `grammar`: of
    its one argument `input`, its syntax (`regex` or `lark`) and its text.
    """

    param: str
    grammar: tuple[str, str] | None = None


GrammarInJson = Callable[[str, str], str]
"""The grammar, in EBNF, of a text inside of a JSON string; given its syntax and definition."""


def of_json(schema: dict[str, Any], param: str | None = None) -> str:
    """The structural tag of an answer that is JSON by this schema."""
    return tag({"type": "sequence", "elements": [_LINE_ENDS, by_json(schema, param)]})


def by_json(schema: dict[str, Any], param: str | None) -> Form:
    """JSON by this schema."""
    form = {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": _MAX_WHITESPACE}
    return form if param is None else {**form, "param": param}


def by_grammar(syntax: str, definition: str, param: str) -> Form:
    """The arguments of a custom tool whose input has a grammar."""
    return {"type": _INPUT, "syntax": syntax, "definition": definition, "param": param}


def tag(form: Form) -> str:
    """The structural tag of this form."""
    return json.dumps({"type": "structural_tag", "format": form})


def mark(parameters: dict[str, Any], name: str) -> dict[str, Any]:
    """The parameters of the tool with this name, to be found again in a structural tag."""
    return {**parameters, _MARK: _MARKED + name}


def as_written(theirs: str, held: Mapping[str, Held]) -> str:
    """One of vLLM's structural tags with what the module's text says; `held` is by the names of the tools."""
    return tag(_map(json.loads(theirs)["format"], lambda form: _as_written(form, held)))


def expand(source: str, in_json: GrammarInJson) -> str:
    """A tag in source form, as xgrammar reads it. Raises what `in_json` does."""
    return tag(_map(json.loads(source)["format"], lambda form: _expanded(form, in_json)))


def parts(source: str) -> Iterator[Form]:
    """The forms in a tag in source form that a client has written."""
    left = [json.loads(source)["format"]]
    while left:
        form = left.pop()
        if "param" in form:
            yield form
        for name in _INNER:
            inner = form.get(name, ())
            left += reversed(inner if isinstance(inner, list) else [inner] if isinstance(inner, dict) else [])


def _map(form: Form, change: Callable[[Form], Form]) -> Form:
    """The form with this change made to each form in it, the innermost first."""

    def each(value: Any) -> Any:
        if isinstance(value, list):
            return [_map(one, change) for one in value]
        return _map(value, change) if isinstance(value, dict) else value

    return change({name: each(value) if name in _INNER else value for name, value in form.items()})


def _as_written(form: Form, held: Mapping[str, Held]) -> Form:
    match form:
        case {"type": "json_schema", "json_schema": schema}:
            return _of_tool(form, schema, held)
        case {"type": "tags_with_separator", "separator": "", "at_least_one": True, "tags": tags}:
            call = {"type": "sequence", "elements": [_LINE_ENDS, {"type": "or", "elements": tags}]}
            return call if form.get("stop_after_first") else {"type": "plus", "content": call}
        case _:
            return form


def _of_tool(form: Form, schema: Any, held: Mapping[str, Held]) -> Form:
    is_json = form.get("style", "json") == "json"
    name = schema.get(_MARK) if isinstance(schema, dict) else None
    wanted = held.get(name.removeprefix(_MARKED)) if isinstance(name, str) and name.startswith(_MARKED) else None
    if wanted is None:
        return {**form, "max_whitespace_cnt": _MAX_WHITESPACE} if is_json else form
    if is_json and wanted.grammar is not None:
        return by_grammar(*wanted.grammar, wanted.param)
    plain = {name: value for name, value in schema.items() if name != _MARK}
    form = {**form, "json_schema": plain, "param": wanted.param}
    return {**form, "max_whitespace_cnt": _MAX_WHITESPACE} if is_json else form


def _expanded(form: Form, in_json: GrammarInJson) -> Form:
    if form.get("type") == _INPUT:
        begin, end = {"type": "const_string", "value": '{"input": "'}, {"type": "const_string", "value": '"}'}
        grammar = {"type": "grammar", "grammar": in_json(form["syntax"], form["definition"])}
        return {"type": "sequence", "elements": [begin, grammar, end]}
    form = {name: value for name, value in form.items() if name != "param"}
    return {**form, "json_schema": _one_of_both(form["json_schema"])} if "json_schema" in form else form


def _one_of_both(schema: Any) -> Any:
    """The schema without each `format` beside a `pattern`: of both xgrammar keeps the former only, which says less."""
    if isinstance(schema, list):
        return [_one_of_both(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    both = isinstance(schema.get("pattern"), str) and isinstance(schema.get("format"), str)
    return {
        name: value if name in _DATA else _one_of_both(value)
        for name, value in schema.items()
        if not (both and name == "format")
    }
