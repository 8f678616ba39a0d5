"""The definition of a model family: the form of its reasoning and calls, as data. Pure.

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
    """The marks around reasoning. `answer`: marks that may surround the answer after it."""

    begin: str
    end: str
    answer: tuple[str, str] | None = None


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="named", kw_only=True):
    """A head in which the name stands before the arguments, between marks. `form` is the text of a name, with `{name}`
    and, if the family numbers its calls, `{index}`. `after` lists the marks that may follow the name, the family's own
    first, and may have `{number}`, which counts from 1. `call_id`: the mark of an id that may stand between the two.
    """

    before: str = ""
    after: tuple[str, ...] = ("",)
    form: str = "{name}"
    call_id: str = ""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="member", kw_only=True):
    """A call that is a JSON object with the name and the arguments as members, the family's own word first. `number`:
    the member before them by which the family numbers its calls, if it does.
    """

    name: tuple[str, ...] = ("name",)
    arguments: tuple[str, ...] = ("arguments", "parameters")
    number: str = ""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="key"):
    """A call that is a JSON object with one member: the name, with the arguments as its value."""


class Json(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json"):
    """Arguments as a JSON object."""


class Tags(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tags", kw_only=True):
    """Arguments as pairs of tags: `begin` KEY `middle` VALUE `end`.

    The value is text as it stands, or JSON: the tool's schema says which, unless the family has marks that do. `pad` is
    the white space that the template puts around values, `after` the white space after `end`. `text` and `json` are
    middles that say which the value is; `typed` is one that names its `{type}`, written if there is no `middle`.
    `quote`: surrounds a text that is more than a plain word.
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
        """All middles, each with whether the value is a text; None: it does not say."""
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
    """Arguments as elements, with elements in them for objects and lists: `before`<KEY>VALUE `before`</KEY>. `item` is
    the key of a list's entries.
    """

    before: str
    item: str = "item"


class Literals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="literals", kw_only=True):
    """Arguments as KEY `assign` VALUE, ... between `begin` and `end`, with values as in a programming language:
    numbers, words, lists, objects. `quotes`: what surrounds strings. `escapes`: a backslash in a string has a meaning.
    `bare`: keys within objects have no quotes, and an unknown word is a string. `typed`: a quoted value may be more
    than text, and the tool's schema says which. `nested`: the form of objects and lists.
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
    """The form of calls.

        section[0]  call[0] HEAD ARGUMENTS close call[1]  separator  call[0] ...  section[1]

    Every mark but those of the head may be empty; `{name}` in `call[0]` is the call's name, once more. `bracket`: the
    calls of a section are a list in square brackets, which `brackets` has with the template's white space. `bare`: a
    call may stand without any mark, but only where an answer begins. `several`: more than one call may be made.
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
    """One row. `thinking` and `calls` list the forms that the model may write, its own first. `ids`, `arguments` and
    `reasoning`: the template's forms of these in a history, see history. `seen`: the row was compared with what the
    family's template renders; otherwise it was made from public parsers and examples of its output.
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
    """Read a row from a TOML file. Raises ValueError, with what is wrong, for an invalid one."""
    family = msgspec.convert(tomllib.loads(text), Family)
    for index, thinking in enumerate(family.thinking):
        if not thinking.end.strip():
            raise ValueError(f"thinking[{index}].end: reasoning needs a mark that ends it")
    for index, calls in enumerate(family.calls):
        before = calls.head.before if isinstance(calls.head, Named) else ""
        if not (calls.bare or any(mark.strip() for mark in (calls.section[0], calls.call[0], before))):
            raise ValueError(f"calls[{index}]: a call needs a mark that begins it: section, call, head.before, or bare")
    return family
