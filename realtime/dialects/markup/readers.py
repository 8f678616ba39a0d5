"""Readers of one call, from its head to the end of its arguments. Pure.

A reader is repeatedly given the text from where the call begins, each time with more of it, and says how far it has
come. It is `rejected` as soon as this can't be a call of an offered tool. `tool` is known once it can't be anything
else; from then on `read` returns arguments, as JSON.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from realtime.context.tools import Tool, ToolSet
from realtime.wire.json_text import is_object

from .bodies import MAX_KEY, Body, JsonBody, Letters, LiteralsBody, TagsBody
from .elements import ElementsBody
from .family import Key, Member, Named
from .grammar import BoundCalls
from .json_lexer import JsonLexer, clean
from .marks import skip_space
from .schema import Parameters

_NAME = re.compile(r"[A-Za-z0-9_.:/\-]*")
_CALL_ID = re.compile(r"\s*[A-Za-z0-9_\-]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MORE = -2


class Names:
    """The tools that may be called, by the names that the model sees."""

    def __init__(self, tools: ToolSet) -> None:
        self._tools = {tool.shown_as: tool for tool in reversed(tools.tools)}

    def __bool__(self) -> bool:
        return bool(self._tools)

    def find(self, name: str) -> Tool | None:
        """Return the tool of this name."""
        return self._tools.get(name)

    def may_begin(self, text: str) -> bool:
        """Return whether a tool's name begins like this."""
        return any(name.startswith(text) for name in self._tools)


class CallReader(Protocol):
    """The reader of one call. `named`: its head is there up to the name, whatever follows. `whole`: its arguments are
    complete. `broken`: they can't become JSON; what follows is passed on unchanged.
    """

    tool: Tool | None
    named: Tool | None
    rejected: bool
    whole: bool
    broken: bool

    def read(self, text: str, at: int, out: list[str]) -> int:
        """Take as much of the text from `at` as possible. Return where the rest begins."""

    def end(self, text: str, out: list[str]) -> None:
        """End by the model's own end, with this text left unread, which may complete the arguments."""

    def close(self, text: str, out: list[str]) -> None:
        """End. Return what was held back of the arguments, and this text."""


class NamedReader:
    """A reader of a call whose name stands before its arguments."""

    def __init__(self, calls: BoundCalls, names: Names, letters: Letters) -> None:
        self.tool: Tool | None = None
        self.named: Tool | None = None
        self.rejected = self.whole = self.broken = False
        self._calls = calls
        self._names = names
        self._letters = letters
        self._body: Body | None = None

    def read(self, text: str, at: int, out: list[str]) -> int:
        """See CallReader."""
        if self.tool is None:
            after = self._head(text, at)
            if after == _MORE:
                return at
            if after < 0:
                self.rejected = True
                return at
            at = after
        body = self._body
        assert body is not None
        at = body.read(text, at, out)
        self.whole, self.broken = body.whole, body.broken
        return at

    def end(self, text: str, out: list[str]) -> None:
        """See CallReader."""
        if self._body is not None:
            self._body.end(text, out)
            self.whole = self._body.whole

    def close(self, text: str, out: list[str]) -> None:
        """See CallReader."""
        if self._body is not None:
            self._body.close(text, out)

    def _head(self, text: str, start: int) -> int:
        """Return where the arguments begin; -1 if this is not a call, _MORE if more text is needed."""
        at = self._calls.before.match(text, start)
        if at is None or at < 0:
            return _MORE if at is None else -1
        at = skip_space(text, at)
        found = _NAME.match(text, at)
        assert found is not None
        written, at = found[0], found.end()
        form = self._calls.form
        if at == len(text):
            open_ = any(map(self._names.may_begin, form.beginnings(written)))
            return _MORE if open_ else -1
        tool = next((tool for name in form.names(written) if (tool := self._names.find(name)) is not None), None)
        if tool is None:
            return -1
        return self._after_name(text, at, tool)

    def _after_name(self, text: str, at: int, tool: Tool) -> int:
        if self._calls.call_id:
            marked = self._calls.call_id.match(text, at)
            if marked is None:
                return _MORE
            if marked >= 0:
                found = _CALL_ID.match(text, marked)
                assert found is not None
                at = found.end()
        after = -1
        for mark in self._calls.after:
            ended = mark.match(text, at)
            if ended is None:
                return _MORE
            if ended >= 0:
                after = ended
                break
        if after < 0:
            return -1
        body = _body(self._calls, tool, self._letters)
        opens = body.opens(text, after)
        if opens is None:
            self.named = tool
            return _MORE
        if not opens:
            self.named = None
            return -1
        self.tool, self._body = tool, body
        return after


class MemberReader:
    """A reader of a call that is a JSON object, with its name in it."""

    def __init__(self, calls: BoundCalls, names: Names, letters: Letters, *, bare: bool) -> None:
        head = calls.row.head
        self.tool: Tool | None = None
        self.named: Tool | None = None
        self.rejected = False
        self.whole = False
        self.broken = False
        self._calls = calls
        self._names = names
        self._letters = letters
        self._bare = bare
        self._name_keys = head.name if isinstance(head, Member) else ()
        self._arguments_keys = head.arguments if isinstance(head, Member) else ()
        self._read = self._open
        self._key = ""
        self._lexer: JsonLexer | None = None  # of the value that is open
        self._kept: list[str] | None = None  # arguments that came before the name, or as a text
        self._has_arguments = False
        self._whole_arguments = False

    def read(self, text: str, at: int, out: list[str]) -> int:
        """See CallReader."""
        while not (self.whole or self.broken or self.rejected):
            at = skip_space(text, at) if self._lexer is None else at
            if at == len(text):
                break
            after = self._read(text, at, out)
            if after is None:
                break
            at = after
            if self._lexer is not None and at == len(text):
                break
        return at

    def end(self, text: str, out: list[str]) -> None:
        """See CallReader."""
        self.whole = self.whole or (self.tool is not None and self._whole_arguments and not text.strip(" \t\r\n}]"))

    def close(self, text: str, out: list[str]) -> None:
        """See CallReader."""
        if self.tool is not None and self._lexer is not None and self._key in self._arguments_keys:
            out.append(self._letters(self._lexer.close() + text))

    def _fail(self, at: int) -> int:
        self.broken, self.rejected = self.tool is not None, self.tool is None
        return at

    # each returns where to go on, or None if more must be seen

    def _open(self, text: str, at: int, out: list[str]) -> int | None:
        if text[at] != "{":
            return self._fail(at)
        self._read = self._member
        return at + 1

    def _member(self, text: str, at: int, out: list[str]) -> int | None:
        if text[at] == "}":
            return self._finish(at + 1, out)
        found = _STRING.match(text, at)
        if found is None:
            may_be = text[at] == '"' and len(text) - at < MAX_KEY and self._may_be_key(text[at + 1 :])
            return None if may_be else self._fail(at)
        self._key = found[0][1:-1]
        if not self._is_known(self._key):
            return self._fail(at)
        self._read = self._colon
        return found.end()

    def _may_be_key(self, begun: str) -> bool:
        if self._is_by_key:
            return self._names.may_begin(begun)
        return not self._bare or any(key.startswith(begun) for key in self._known)

    def _is_known(self, key: str) -> bool:
        if self._is_by_key:
            self.named = self._names.find(key)
            self._arguments_keys = (key,)
            return self.named is not None and not self._has_arguments
        return not self._bare or key in self._known

    @property
    def _known(self) -> tuple[str, ...]:
        return (*self._name_keys, *self._arguments_keys, "type", "id")

    @property
    def _is_by_key(self) -> bool:
        return isinstance(self._calls.row.head, Key)

    def _colon(self, text: str, at: int, out: list[str]) -> int | None:
        if text[at] != ":":
            return self._fail(at)
        if self._key in self._name_keys and self.named is None:
            self._read = self._name
        elif self._key in self._arguments_keys and not self._has_arguments:
            self._read = self._begin_arguments
        else:
            self._read = self._skip
        return at + 1

    def _name(self, text: str, at: int, out: list[str]) -> int | None:
        found = _STRING.match(text, at)
        if found is None:
            may_be = text[at] == '"' and self._names.may_begin(text[at + 1 :])
            return None if may_be else self._fail(at)
        self.named = self._names.find(self._letters(found[0][1:-1]))
        if self.named is None:
            return self._fail(at)
        self._read = self._comma
        if self._has_arguments:
            self.tool = self.named
            out += self._kept or ()
            self._kept = None
        return found.end()

    def _begin_arguments(self, text: str, at: int, out: list[str]) -> int | None:
        self._has_arguments = True
        if text[at] == "{" and self.named is not None:
            self.tool = self.named
        elif text[at] in '{"n':
            self._kept = []
        else:
            return self._fail(at)
        self._lexer = JsonLexer()
        self._read = self._arguments
        return at

    def _arguments(self, text: str, at: int, out: list[str]) -> int | None:
        assert self._lexer is not None
        said, at = self._lexer.feed(text, at)
        if said:
            (out if self._kept is None else self._kept).append(self._letters(said))
        if self._lexer.done:
            self._lexer = None
            self._read = self._comma
            return self._end_arguments(at, out)
        return self._fail(at) if self._lexer.broken else at

    def _end_arguments(self, at: int, out: list[str]) -> int:
        if self._kept is not None:
            written = "".join(self._kept)
            if written.startswith('"'):
                written = clean(_text_of(written) or written)
            self._kept = ["{}" if written.strip() in ("", "null") else written]
        self._whole_arguments = True
        if self.named is not None and self.tool is None:
            self.tool = self.named
            out += self._kept or ()
            self._kept = None
        return at

    def _skip(self, text: str, at: int, out: list[str]) -> int | None:
        if self._lexer is None:
            self._lexer = JsonLexer()
        _, at = self._lexer.feed(text, at)
        if self._lexer.broken:
            return self._fail(at)
        if self._lexer.done:
            self._lexer, self._read = None, self._comma
        return at

    def _comma(self, text: str, at: int, out: list[str]) -> int | None:
        if text[at] == ",":
            self._read = self._member
            return at + 1
        if text[at] == "}":
            return self._finish(at + 1, out)
        if self.tool is not None and self._whole_arguments:
            found = self._calls.match_end(text, at)
            if found is None or found > at:  # the brace is missing
                self.whole = found is not None
                return None
        return self._fail(at)

    def _finish(self, at: int, out: list[str]) -> int:
        if self.named is None or (self._bare and not self._has_arguments):
            return self._fail(at - 1)
        if not self._has_arguments:
            self.tool = self.named
            out.append("{}")
        self.whole = True
        return at


def _text_of(string: str) -> str | None:
    """Return the text of a JSON string, if that text is an object itself."""
    try:
        text = msgspec.json.decode(string, type=str)
    except ValueError:
        return None
    return text if is_object(text) else None


def reader(calls: BoundCalls, names: Names, letters: Letters, *, bare: bool) -> CallReader:
    """Return the reader of a call in this form."""
    if isinstance(calls.row.head, Named):
        return NamedReader(calls, names, letters)
    return MemberReader(calls, names, letters, bare=bare)


def _body(calls: BoundCalls, tool: Tool, letters: Letters) -> Body:
    if calls.tags is not None:
        return TagsBody(calls, calls.tags, Parameters(tool.parameters), letters)
    if calls.elements is not None:
        return ElementsBody(calls, calls.elements, Parameters(tool.parameters), letters)
    if calls.style is not None:
        return LiteralsBody(calls, Parameters(tool.parameters).types, letters)
    return JsonBody(calls, letters)
