"""Structural tags: xgrammar's form of constraints on sampling. Pure.

A tag is made in *source form*. A part that a client wrote - a schema, a pattern, or the grammar of a custom tool's
input - is a form with a member `param`, its place in the request. xgrammar knows neither that member nor our form of a
grammar, so `expand` translates a tag to its own form. That is work for the compiler, because its cost is up to clients.

Models put line ends before an answer. If they could not, the text would differ from what they were trained on and from
what their template makes of it in the next turn, so the prefix cache would miss. JSON has no more white space than it
needs: where it may have any, a weak model may never leave it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Form = dict[str, Any]

LINE_ENDS: Form = {"type": "regex", "pattern": r"\n{0,2}"}
_MAX_WHITESPACE = 32  # in a row; enough to indent
_GRAMMAR = "written_grammar"  # our own form: a text by a grammar
_DATA = ("enum", "const", "default", "examples")  # members of a schema in which there are no schemas
_INNER = ("content", "elements", "tags", "rules")  # the members that hold forms

Expand = Callable[[str, str, bool], Form]
"""xgrammar's form of a text by a grammar, given its syntax (`regex` or `lark`) and its definition; of the text as it
stands in a JSON string if the last is true.
"""


def of_json(schema: dict[str, Any], param: str | None = None) -> str:
    """Return the structural tag of an answer that is JSON by this schema."""
    return tag({"type": "sequence", "elements": [LINE_ENDS, by_json(schema, param)]})


def by_json(schema: dict[str, Any], param: str | None) -> Form:
    """Return the form of JSON by this schema."""
    form = {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": _MAX_WHITESPACE}
    return form if param is None else {**form, "param": param}


def by_regex(pattern: str, param: str) -> Form:
    """Return the form of a text that a client's regular expression matches."""
    return {"type": "regex", "pattern": pattern, "param": param}


def by_grammar(syntax: str, definition: str, param: str, *, in_json: bool = False) -> Form:
    """Return the form of a text by a client's grammar. `in_json`: as it stands in a JSON string."""
    return {"type": _GRAMMAR, "syntax": syntax, "definition": definition, "in_json": in_json, "param": param}


def input_by_grammar(syntax: str, definition: str, param: str) -> Form:
    """Return the form of the arguments of a custom tool whose input has a grammar."""
    begin, end = {"type": "const_string", "value": '{"input": "'}, {"type": "const_string", "value": '"}'}
    return {"type": "sequence", "elements": [begin, by_grammar(syntax, definition, param, in_json=True), end]}


def tag(form: Form) -> str:
    """Return the structural tag of this form."""
    return json.dumps({"type": "structural_tag", "format": form}, ensure_ascii=False)


def expand(source: str, grammar: Expand) -> str:
    """Translate a tag in source form to xgrammar's form. Raises what `grammar` raises."""
    return tag(_map(json.loads(source)["format"], lambda form: _expanded(form, grammar)))


def parts(source: str) -> Iterator[Form]:
    """Yield the forms in a tag in source form that a client has written."""
    left = [json.loads(source)["format"]]
    while left:
        form = left.pop()
        if "param" in form:
            yield form
        left += reversed([inner for name in _INNER for inner in _forms(form.get(name))])


def _forms(value: Any) -> Iterator[Form]:
    """Yield the forms in a member of a form. Rules are pairs of what begins one and the form."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _forms(one)


def _map(form: Form, change: Callable[[Form], Form]) -> Form:
    """Return the form with this change made to each form in it, the innermost first."""

    def each(value: Any) -> Any:
        if isinstance(value, list):
            return [each(one) for one in value]
        return _map(value, change) if isinstance(value, dict) else value

    return change({name: each(value) if name in _INNER else value for name, value in form.items()})


def _expanded(form: Form, grammar: Expand) -> Form:
    if form.get("type") == _GRAMMAR:
        return grammar(form["syntax"], form["definition"], form["in_json"])
    form = {name: value for name, value in form.items() if name != "param"}
    return {**form, "json_schema": _one_of_both(form["json_schema"])} if "json_schema" in form else form


def _one_of_both(schema: Any) -> Any:
    """Return the schema without any `format` next to a `pattern`: of the two xgrammar keeps only the format, which says
    less.
    """
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
