"""Structural tags - xgrammar's form of what sampling must keep to - in the way models write. Pure.

vLLM's constraints hold from the first character after the reasoning, but models put line ends there, and between
calls: without them the text is not what the model was trained on, nor what its template makes of it in the next turn,
so the prefix cache misses. And they allow white space without end inside of JSON, where a weak model may stay.
"""

from __future__ import annotations

import json
from typing import Any

_LINE_ENDS = {"type": "regex", "pattern": r"\n{0,2}"}
_MAX_WHITESPACE = 32  # in a row; enough to indent


def of_json(schema: dict[str, Any]) -> str:
    """The structural tag of an answer that is JSON by this schema."""
    content = _as_written({"type": "json_schema", "json_schema": schema})
    return _tag({"type": "sequence", "elements": [_LINE_ENDS, content]})


def as_written(tag: str) -> str:
    """One of vLLM's structural tags with what the module's text says."""
    return _tag(_as_written(json.loads(tag)["format"]))


def _tag(form: dict[str, Any]) -> str:
    return json.dumps({"type": "structural_tag", "format": form})


def _as_written(form: dict[str, Any]) -> dict[str, Any]:
    form = {name: _each(value) if name in ("content", "elements", "tags") else value for name, value in form.items()}
    match form:
        case {"type": "json_schema"} if form.get("style", "json") == "json":
            return {**form, "max_whitespace_cnt": _MAX_WHITESPACE}
        case {"type": "tags_with_separator", "separator": "", "at_least_one": True, "tags": tags}:
            call = {"type": "sequence", "elements": [_LINE_ENDS, {"type": "or", "elements": tags}]}
            return call if form.get("stop_after_first") else {"type": "plus", "content": call}
        case _:
            return form


def _each(value: Any) -> Any:
    if isinstance(value, list):
        return [_each(one) for one in value]
    return _as_written(value) if isinstance(value, dict) else value
