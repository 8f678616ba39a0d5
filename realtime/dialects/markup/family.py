"""What a model family is: how it writes reasoning and calls, as data. Pure.

Marks are written as the family's template writes them, with its white space. When they are read, white space at the
edges of a mark, at its line ends and between its tags may be missing, or be more: it is layout, and so is white space
between marks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Literal

import msgspec

NAME = "{name}"
"""In a mark of a row: the name of the tool that is called."""
NUMBER = "{number}"
"""In a mark of a row: the number of the call, from 1."""
TYPE = "{type}"
"""In a mark of a row: the type of a value, as JSON Schema names it."""
_TYPES = ("string", "number", "integer", "boolean", "null", "object", "array")


class Thinking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How reasoning begins and ends. `answer` is what may stand around the answer that follows it."""

    begin: str
    end: str
    answer: tuple[str, str] | None = None


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="named", kw_only=True):
    """The name stands before the arguments, between marks. `form` is what is written for a name, with `{name}` and, if
    the family numbers its calls, `{index}`. `after` lists the marks that may follow the name, the family's own first,
    and may have `{number}`, which is from 1. `call_id`: the mark of an id that may stand between both.
    """

    before: str = ""
    after: tuple[str, ...] = ("",)
    form: str = "{name}"
    call_id: str = ""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="member", kw_only=True):
    """The call is a JSON object that has the name and the arguments as members, the family's own word first. `number`:
    the member before them by which the family numbers its calls, if it does.
    """

    name: tuple[str, ...] = ("name",)
    arguments: tuple[str, ...] = ("arguments", "parameters")
    number: str = ""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="key"):
    """The call is a JSON object with one member: the name, with the arguments as its value."""


class Json(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json"):
    """The arguments are a JSON object."""


class Tags(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tags", kw_only=True):
    """Each argument is a pair of tags: `begin` KEY `middle` VALUE `end`.

    The value is text as it stands, or JSON: the tool's schema says which, unless the family has marks that do. `pad`
    is the white space that the template puts around values, `after` what it puts after `end`. `text` and `json` are
    middles that say what the value is, `typed` one that names its `{type}`, written if there is no `middle`. `quote`:
    what stands around a text that has more in it than a plain word.
    """

    begin: str
    middle: str
    end: str
    pad: str = ""
    after: str = ""
    text: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    typed: str = ""
    quote: tuple[str, str] = ("", "")

    def middles(self) -> Iterator[tuple[str, bool | None]]:
        """All middles, each with whether the value is a text: None if it does not say."""
        yield from ((one, True) for one in self.text)
        yield from ((one, False) for one in self.json)
        if self.typed:
            yield from ((self.typed.replace(TYPE, kind), kind == "string") for kind in _TYPES)
        if self.middle:
            yield self.middle, None

    def written(self, *, text: bool | None) -> tuple[str, ...]:
        """The middles that the family writes before a text, before JSON, or before either."""
        kinds = (True, False) if text is None else (text,)
        said = tuple(one for one, is_text in self.middles() if is_text in kinds)
        own = self.text if text else self.json
        return (self.middle,) if self.middle and not own else said


class Elements(msgspec.Struct, frozen=True, tag="elements", kw_only=True):
    """Each argument is an element, with elements in it where it is an object or a list: `before`<KEY>VALUE
    `before`</KEY>. `item` is the key of what is in a list.
    """

    before: str
    item: str = "item"


class Literals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="literals", kw_only=True):
    """The arguments are KEY `assign` VALUE, ... between `begin` and `end`, the values as a programming language has
    them: numbers, words, lists, objects. `quotes` are what stands around strings. `escapes`: a backslash in a string
    means something. `bare`: keys within objects have no quotes, and a word that means nothing is a string. `typed`: in
    quotes there may be more than text, and the tool's schema says what. `nested`: how objects and lists are written.
    """

    begin: str = "("
    end: str = ")"
    assign: str = "="
    quotes: tuple[str, ...] = ('"', "'")
    escapes: bool = True
    bare: bool = False
    typed: bool = False
    nested: Literal["literals", "json"] = "literals"
    between: str = ", "
    words: tuple[str, str, str] = ("True", "False", "None")  # as the family writes true, false and null


Head = Named | Member | Key
Arguments = Json | Tags | Elements | Literals


class Calls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How calls are written.

        section[0]  call[0] HEAD ARGUMENTS close call[1]  separator  call[0] ...  section[1]

    Every mark but those of the head may be empty; `{name}` in `call[0]` is the call's name, once more. `bracket`: the
    calls of a section are a list in square brackets, which `brackets` has with the template's white space. `bare`: a
    call may stand without any mark, but only where an answer begins. `several`: more than one may be made.
    """

    head: Head
    arguments: Arguments = Json()
    section: tuple[str, str] = ("", "")
    call: tuple[str, str] = ("", "")
    close: str = ""
    separator: str = ""
    bracket: bool = False
    brackets: tuple[str, str] = ("[", "]")
    bare: bool = False
    several: bool = True


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row. `thinking` and `calls` list what the model may write, its own form first. `ids`, `arguments` and
    `reasoning`: how the template wants ids, arguments and reasoning of a history, see history. `seen`: the row was held
    to what the family's template renders; else it was made from public parsers and examples of its output.
    """

    name: str
    thinking: tuple[Thinking, ...] = ()
    calls: tuple[Calls, ...] = ()
    ids: str | None = None
    arguments: Literal["object", "text"] = "object"
    reasoning: str = "reasoning_content"
    seen: bool = True

    def marks(self) -> Iterator[str]:
        """All marks of the family, as they are written."""
        for thinking in self.thinking:
            yield from (thinking.begin, thinking.end, *(thinking.answer or ()))
        for calls in self.calls:
            yield from _marks(calls)


def _marks(calls: Calls) -> Iterator[str]:
    yield from (*calls.section, *calls.call[0].split(NAME), calls.call[1], calls.close)
    if isinstance(calls.head, Named):
        after = (part for mark in calls.head.after for part in mark.split(NUMBER))
        yield from (calls.head.before, *after, calls.head.call_id)
    match calls.arguments:
        case Tags() as tags:
            yield from (tags.begin, tags.end, *(middle for middle, _ in tags.middles()))
        case Elements(before=before):
            yield before
        case Literals(quotes=quotes):
            yield from quotes
        case _:
            return


def read_family(text: str) -> Family:
    """A row out of a TOML file. Raises ValueError, with what is wrong, for a text that is none."""
    family = msgspec.convert(tomllib.loads(text), Family)
    for index, thinking in enumerate(family.thinking):
        if not thinking.end.strip():
            raise ValueError(f"thinking[{index}].end: reasoning needs a mark that ends it")
    for index, calls in enumerate(family.calls):
        before = calls.head.before if isinstance(calls.head, Named) else ""
        if not (calls.bare or any(mark.strip() for mark in (calls.section[0], calls.call[0], before))):
            raise ValueError(f"calls[{index}]: a call needs a mark that begins it: section, call, head.before, or bare")
    return family
