"""One call of a tool as the model writes it, to pieces. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from realtime.context.tools import ToolSet
from realtime.engine.parsing import CallFragment
from realtime.wire.json_text import is_json

from .base import CallBegin, CallDelta, CallEnd, Piece
from .custom_input import InputDecoder


class Call:
    """One call as it comes in. Nothing is said of it before its name is known."""

    def __init__(self, index: int, tools: ToolSet, channel: str | None = None, *, exact: bool = False) -> None:
        """`exact`: the arguments begin where they seem to; else a colon or white space may precede them."""
        self.index = index
        self._tools = tools
        self._channel = channel
        self._exact = exact
        self._begun = False
        self._held = ""  # arguments that came before the name
        self._arguments: list[str] = []
        self._input: InputDecoder | None = None

    @property
    def complete(self) -> bool:
        """Its arguments are there, and are whole."""
        return self._begun and is_json("".join(self._arguments))

    def take(self, fragment: CallFragment) -> Iterator[Piece]:
        """More of it."""
        if not self._begun and fragment.name:
            yield self._begin(fragment.name)
        if not self._begun:
            self._held += fragment.arguments
        else:
            arguments, self._held = self._held + fragment.arguments, ""
            yield from self._more(arguments)

    def end(self) -> Iterator[Piece]:
        """The model has gone on to something else, so it was complete."""
        if not self._begun:
            return
        if not self._arguments:
            yield from self._more('{"input": ""}' if self._input is not None else "{}")
        if self._input is not None and (rest := self._input.close()):
            yield CallDelta(rest)
        yield CallEnd()

    def finish(self) -> Iterator[Piece]:
        """The generation is over: it was complete if its arguments are; else it stays open, to be closed as cut."""
        if is_json("".join(self._arguments) or "{}"):
            yield from self.end()

    def _begin(self, name: str) -> Piece:
        """The name up to the first special token, which models that are lost put behind it."""
        name = name.split("<|")[0].strip()
        tool = self._tools.find(name)
        self._begun = True
        if tool is None:
            return CallBegin(name, channel=self._channel)
        if tool.custom:
            self._input = InputDecoder()
        return CallBegin(tool.name, tool.namespace, tool.custom, self._channel, tool.kind, tool.mcp)

    def _more(self, arguments: str) -> Iterator[Piece]:
        if not self._arguments and not self._exact:
            arguments = arguments.lstrip(": \t\r\n")
        if not arguments:
            return
        self._arguments.append(arguments)
        text = self._input.feed(arguments) if self._input is not None else arguments
        if text:
            yield CallDelta(text)
