"""One call to pieces, once it is known to be one. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from realtime.context.tools import Tool
from realtime.dialects.base import CallBegin, CallCut, CallDelta, CallEnd, Piece
from realtime.dialects.custom_input import InputDecoder

from .json_lexer import is_object


class SaidCall:
    """A call of this tool. Of one that is not `said` nothing comes out: the request allows one call only."""

    def __init__(self, tool: Tool, *, said: bool) -> None:
        self._tool = tool
        self._said = said
        self._arguments: list[str] = []
        self._input = InputDecoder() if tool.custom else None

    def begin(self) -> Iterator[Piece]:
        """The call begins."""
        tool = self._tool
        if self._said:
            yield CallBegin(tool.name, tool.namespace, tool.custom, None, tool.kind, tool.mcp)

    def more(self, arguments: str) -> Iterator[Piece]:
        """More of its arguments, as JSON."""
        if not arguments or not self._said:
            return
        self._arguments.append(arguments)
        text = self._input.feed(arguments) if self._input is not None else arguments
        if text:
            yield CallDelta(text)

    def end(self, *, complete: bool) -> Iterator[Piece]:
        """The call is over; what is no JSON object is not complete, whatever was seen."""
        if not self._said:
            return
        if self._input is not None and (rest := self._input.close()):
            yield CallDelta(rest)
        yield CallEnd() if complete and is_object("".join(self._arguments)) else CallCut()
