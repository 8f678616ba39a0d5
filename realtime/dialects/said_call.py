"""One call of a tool, turned into pieces once it is known to be one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from realtime.context.tools import Tool
from realtime.wire.json_text import is_object

from .base import CallBegin, CallCut, CallDelta, CallEnd, Piece
from .custom_input import InputDecoder


class SaidCall:
    """One call. If it is not `said` it yields nothing: the request does not allow it."""

    def __init__(self, begin: CallBegin, *, said: bool = True) -> None:
        self._begin = begin
        self._said = said
        self._arguments: list[str] = []
        self._input = InputDecoder() if begin.custom else None

    @property
    def is_empty(self) -> bool:
        """Return whether it has no arguments yet."""
        return not self._arguments

    def begin(self) -> Sequence[Piece]:
        """Begin the call."""
        return (self._begin,) if self._said else ()

    def more(self, arguments: str) -> Sequence[Piece]:
        """Add to its arguments, as JSON."""
        if not arguments or not self._said:
            return ()
        self._arguments.append(arguments)
        text = arguments if self._input is None else self._input.feed(arguments)
        return (CallDelta(text),) if text else ()

    def end(self, *, complete: bool) -> Iterator[Piece]:
        """End the call. Arguments that are not a JSON object are incomplete, whatever was seen. The free text of a
        custom tool may stand without the object around it.
        """
        if not self._said:
            return
        text = "".join(self._arguments)
        bare = self._input is not None and not text.lstrip().startswith("{")
        whole = bare or is_object(text)
        if self._input is not None and whole and (rest := self._input.close()):
            yield CallDelta(rest)
        yield CallEnd() if complete and whole else CallCut()


def call_of(tool: Tool, channel: str | None = None) -> CallBegin:
    """Return the beginning of a call of this tool, under the name that the client gave it."""
    return CallBegin(tool.name, tool.namespace, tool.custom, channel, tool.kind, tool.mcp)
