"""What a model family is: how it writes reasoning and calls, as data. Pure.

Marks are written as the family's template writes them, with its white space. When they are read, white space at the
edges of a mark and at its line ends may be missing, or be more: it is layout, and so is white space between marks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import msgspec


class Thinking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How reasoning begins and ends. `answer` is what may stand around the answer that follows it."""

    begin: str
    end: str
    answer: tuple[str, str] | None = None


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="named", kw_only=True):
    """The name stands before the arguments, between marks. `form` is what is written for a name, with `{name}` and, if
    the family numbers its calls, `{index}`. `after` lists the marks that may follow the name, the family's own first.
    `call_id`: the mark of an id that may stand between both.
    """

    before: str = ""
    after: tuple[str, ...] = ("",)
    form: str = "{name}"
    call_id: str = ""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="member", kw_only=True):
    """The call is a JSON object that has the name and the arguments as members, the family's own word first."""

    name: tuple[str, ...] = ("name",)
    arguments: tuple[str, ...] = ("arguments", "parameters")


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="key"):
    """The call is a JSON object with one member: the name, with the arguments as its value."""


class Json(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json"):
    """The arguments are a JSON object."""


class Tags(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tags", kw_only=True):
    """Each argument is a pair of tags: `begin` KEY `middle` VALUE `end`.

    The value is text as it stands, or JSON: the tool's schema says which, unless the family has marks that do. `pad`
    is the white space that the template puts around values, `after` what it puts after `end`. `text` and `json` are
    middles that say what the value is.
    """

    begin: str
    middle: str
    end: str
    pad: str = ""
    after: str = ""
    text: tuple[str, ...] = ()
    json: tuple[str, ...] = ()


class Literals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="literals", kw_only=True):
    """The arguments are KEY `assign` VALUE, ... between `begin` and `end`, the values as a programming language has
    them: numbers, words, lists, objects. `quotes` are what stands around strings. `escapes`: a backslash in a string
    means something. `bare`: keys within objects have no quotes, and a word that means nothing is a string.
    """

    begin: str = "("
    end: str = ")"
    assign: str = "="
    quotes: tuple[str, ...] = ('"', "'")
    escapes: bool = True
    bare: bool = False
    between: str = ", "
    words: tuple[str, str, str] = ("True", "False", "None")  # as the family writes true, false and null


Head = Named | Member | Key
Arguments = Json | Tags | Literals


class Calls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How calls are written.

        section[0]  call[0] HEAD ARGUMENTS close call[1]  separator  call[0] ...  section[1]

    Every mark but those of the head may be empty. `bracket`: the calls of a section are a list in square brackets.
    `bare`: a call may stand without any mark, but only where an answer begins. `several`: more than one may be made.
    """

    head: Head
    arguments: Arguments = Json()
    section: tuple[str, str] = ("", "")
    call: tuple[str, str] = ("", "")
    close: str = ""
    separator: str = ""
    bracket: bool = False
    bare: bool = False
    several: bool = True


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row. `thinking` and `calls` list what the model may write, its own form first. `ids`: the form of a call's
    id, if the template shows it to the model. `seen`: the row was made from the family's template; else from public
    parsers of its output.
    """

    name: str
    thinking: tuple[Thinking, ...] = ()
    calls: tuple[Calls, ...] = ()
    ids: str | None = None
    seen: bool = True

    def marks(self) -> Iterator[str]:
        """All marks of the family, as they are written."""
        for thinking in self.thinking:
            yield from (thinking.begin, thinking.end, *(thinking.answer or ()))
        for calls in self.calls:
            yield from _marks(calls)


def _marks(calls: Calls) -> Iterator[str]:
    yield from (*calls.section, *calls.call, calls.close)
    if isinstance(calls.head, Named):
        yield from (calls.head.before, *calls.head.after, calls.head.call_id)
    match calls.arguments:
        case Tags(begin=begin, middle=middle, end=end, text=text, json=json):
            yield from (begin, middle, end, *text, *json)
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
