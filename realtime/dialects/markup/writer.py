"""Answers as a family writes them: calls by its row, reasoning around them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .family import Calls, Family, Json, Key, Literals, Member, Named, Tags

Written = tuple[str, dict[str, Any]]
"""A call: the name that the model sees, and its arguments."""


def write_calls(calls: Calls, written: Sequence[Written]) -> str:
    """These calls, as a model that writes so would."""
    each = [_call(calls, index, name, arguments) for index, (name, arguments) in enumerate(written)]
    inner = calls.separator.join(each)
    return calls.section[0] + (f"[{inner}]" if calls.bracket else inner) + calls.section[1]


def write_reasoning(family: Family, text: str, index: int = 0) -> str:
    """Reasoning before an answer."""
    thinking = family.thinking[index]
    return f"{thinking.begin}{text}{thinking.end}"


def _call(calls: Calls, index: int, name: str, arguments: dict[str, Any]) -> str:
    match calls.head:
        case Named(before=before, after=after, form=form):
            written = form.replace("{name}", name).replace("{index}", str(index))
            said = before + written + after[0] + write_arguments(calls.arguments, arguments)
        case Member(name=names, arguments=members):
            said = f'{{"{names[0]}": {_json(name)}, "{members[0]}": {_json(arguments)}}}'
        case Key():
            said = f"{{{_json(name)}: {_json(arguments)}}}"
    return calls.call[0] + said + calls.close + calls.call[1]


def write_arguments(how: Json | Tags | Literals, arguments: dict[str, Any]) -> str:
    """Arguments in the family's form."""
    match how:
        case Json():
            return _json(arguments)
        case Tags():
            return "".join(_tags(how, key, value) for key, value in arguments.items())
        case Literals():
            each = (f"{key}{how.assign}{''.join(_literal(how, value))}" for key, value in arguments.items())
            return how.begin + how.between.join(each) + how.end


def _tags(how: Tags, key: str, value: Any) -> str:
    is_text = isinstance(value, str)
    said = how.text if is_text else how.json
    middle = said[0] if said else how.middle
    return f"{how.begin}{key}{middle}{how.pad}{value if is_text else _json(value)}{how.pad}{how.end}{how.after}"


def _literal(how: Literals, value: Any) -> Iterator[str]:
    match value:
        case None | bool():
            yield how.words[2] if value is None else how.words[not value]
        case str():
            yield how.quotes[0] + (_escaped(value, how.quotes[0]) if how.escapes else value) + how.quotes[0]
        case list():
            yield "[" + how.between.join("".join(_literal(how, one)) for one in value) + "]"
        case dict():
            key: Callable[[str], str] = str if how.bare else lambda name: "".join(_literal(how, name))
            colon = ":" if how.bare else ": "
            each = (f"{key(name)}{colon}{''.join(_literal(how, one))}" for name, one in value.items())
            yield "{" + how.between.join(each) + "}"
        case _:
            yield _json(value)


def _escaped(text: str, quote: str) -> str:
    text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
