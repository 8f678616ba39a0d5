"""A writer of answers in a family's form: calls by its row, reasoning around them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .family import NAME, NUMBER, TYPE, Arguments, Calls, Elements, Family, Json, Key, Literals, Member, Named, Tags

Written = tuple[str, dict[str, Any]]
"""A call: the name that the model sees, and its arguments."""


def write_calls(calls: Calls, written: Sequence[Written]) -> str:
    """Write these calls as a model of the family would."""
    each = [_call(calls, index, name, arguments) for index, (name, arguments) in enumerate(written)]
    inner = calls.separator.join(each)
    opened, closed = calls.brackets if calls.bracket else ("", "")
    return calls.section[0] + opened + inner + closed + calls.section[1]


def write_reasoning(family: Family, text: str, index: int = 0) -> str:
    """Write reasoning before an answer."""
    thinking = family.thinking[index]
    return f"{thinking.begin}{text}{thinking.end}"


def _call(calls: Calls, index: int, name: str, arguments: dict[str, Any]) -> str:
    match calls.head:
        case Named(before=before, after=after, form=form):
            written = form.replace(NAME, name).replace("{index}", str(index))
            behind = after[0].replace(NUMBER, str(index + 1))
            said = before + written + behind + write_arguments(calls.arguments, arguments)
        case Member(name=names, arguments=members, number=number):
            number = f'"{number}": "{index}", ' if number else ""
            said = f'{{{number}"{names[0]}": {_json(name)}, "{members[0]}": {_json(arguments)}}}'
        case Key():
            said = f"{{{_json(name)}: {_json(arguments)}}}"
    return calls.call[0].replace(NAME, name) + said + calls.close + calls.call[1]


def write_arguments(how: Arguments, arguments: dict[str, Any]) -> str:
    """Write arguments in the family's form."""
    match how:
        case Json():
            return _json(arguments)
        case Tags():
            return "".join(_tags(how, key, value) for key, value in arguments.items())
        case Elements():
            return "".join(_element(how, key, value) for key, value in arguments.items())
        case Literals():
            each = (f"{key}{how.assign}{''.join(_literal(how, value))}" for key, value in arguments.items())
            return how.begin + how.between.join(each) + how.end


def _tags(how: Tags, key: str, value: Any) -> str:
    is_text = isinstance(value, str)
    middle = how.written(text=is_text)[0] if how.middle else how.typed.replace(TYPE, _kind(value))
    text = value if is_text else _json(value)
    if is_text and how.quote[0] and any(char in text for char in "<&\n"):
        text = how.quote[0] + text + how.quote[1]
    return f"{how.begin}{key}{middle}{how.pad}{text}{how.pad}{how.end}{how.after}"


def _kind(value: Any) -> str:
    kinds = (("string", str), ("boolean", bool), ("number", int | float), ("object", dict), ("array", list))
    return next((kind for kind, one in kinds if isinstance(value, one)), "null")


def _element(how: Elements, key: str, value: Any) -> str:
    match value:
        case dict():
            inner = "".join(_element(how, name, one) for name, one in value.items())
        case list():
            inner = "".join(_element(how, how.item, one) for one in value)
        case str():
            inner = value
        case _:
            inner = _json(value)
    return f"{how.before}<{key}>{inner}{how.before}</{key}>"


def _literal(how: Literals, value: Any) -> Iterator[str]:
    match value:
        case None | bool():
            yield how.words[2] if value is None else how.words[not value]
        case str():
            yield how.quotes[0] + (escaped(value, how.quotes[0]) if how.escapes else value) + how.quotes[0]
        case list() | dict() if how.nested == "json":
            yield _json(value)
        case list():
            yield "[" + how.between.join("".join(_literal(how, one)) for one in value) + "]"
        case dict():
            key: Callable[[str], str] = str if how.bare else lambda name: "".join(_literal(how, name))
            colon = ":" if how.bare else ": "
            each = (f"{key(name)}{colon}{''.join(_literal(how, one))}" for name, one in value.items())
            yield "{" + how.between.join(each) + "}"
        case _:
            yield _json(value)


def escaped(text: str, quote: str) -> str:
    """Return a text as it stands in a string between such quotes, where a backslash has a meaning."""
    text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
