"""Pieces to events: the one place that opens, fills and closes output items. Pure.

Whatever the order of the pieces, the events are legal by the grammar, every item is closed exactly once, and the
joined deltas equal the text of the closing events and of the final item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .dialects.base import CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from .wire import events as e
from .wire.items import FunctionCall, ItemStatus, Message, OutputItem, OutputText, Reasoning, ReasoningText


class _Text:
    """An open message with one text part."""

    def __init__(self, item_id: str, index: int) -> None:
        self.item_id = item_id
        self.index = index
        self.texts: list[str] = []
        self.logprobs: list[Any] = []

    def begin(self) -> list[e.Event]:
        item = Message(id=self.item_id, status="in_progress", role="assistant", content=[])
        part = OutputText(text="")
        return [
            e.OutputItemAdded(output_index=self.index, item=item),
            e.ContentPartAdded(item_id=self.item_id, output_index=self.index, content_index=0, part=part),
        ]

    def delta(self, piece: TextDelta) -> e.Event:
        self.texts.append(piece.text)
        self.logprobs += piece.logprobs
        return e.OutputTextDelta(
            item_id=self.item_id,
            output_index=self.index,
            content_index=0,
            delta=piece.text,
            logprobs=piece.logprobs,
        )

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        text = "".join(self.texts)
        part = OutputText(text=text, logprobs=self.logprobs)
        item = Message(id=self.item_id, status=status, role="assistant", content=[part])
        at = {"item_id": self.item_id, "output_index": self.index}
        return [
            e.OutputTextDone(**at, content_index=0, text=text, logprobs=self.logprobs),
            e.ContentPartDone(**at, content_index=0, part=part),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item


class _Reasoning:
    """An open reasoning item with one text part."""

    def __init__(self, item_id: str, index: int) -> None:
        self.item_id = item_id
        self.index = index
        self.texts: list[str] = []

    def begin(self) -> list[e.Event]:
        item = Reasoning(id=self.item_id, status="in_progress", summary=[], content=[])
        part = ReasoningText(text="")
        return [
            e.OutputItemAdded(output_index=self.index, item=item),
            e.ContentPartAdded(item_id=self.item_id, output_index=self.index, content_index=0, part=part),
        ]

    def delta(self, piece: ReasoningDelta) -> e.Event:
        self.texts.append(piece.text)
        return e.ReasoningTextDelta(
            item_id=self.item_id, output_index=self.index, content_index=0, delta=piece.text
        )

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        text = "".join(self.texts)
        part = ReasoningText(text=text)
        item = Reasoning(id=self.item_id, status=status, summary=[], content=[part])
        at = {"item_id": self.item_id, "output_index": self.index}
        return [
            e.ReasoningTextDone(**at, content_index=0, text=text),
            e.ContentPartDone(**at, content_index=0, part=part),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item


class _Call:
    """An open function call."""

    def __init__(self, item_id: str, index: int, call_id: str, name: str) -> None:
        self.item_id = item_id
        self.index = index
        self.call_id = call_id
        self.name = name
        self.texts: list[str] = []

    def _item(self, arguments: str, status: ItemStatus) -> FunctionCall:
        return FunctionCall(
            id=self.item_id, status=status, call_id=self.call_id, name=self.name, arguments=arguments
        )

    def begin(self) -> list[e.Event]:
        return [e.OutputItemAdded(output_index=self.index, item=self._item("", "in_progress"))]

    def delta(self, piece: CallDelta) -> e.Event:
        self.texts.append(piece.arguments)
        return e.FunctionCallArgumentsDelta(item_id=self.item_id, output_index=self.index, delta=piece.arguments)

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        arguments = "".join(self.texts)
        item = self._item(arguments, status)
        return [
            e.FunctionCallArgumentsDone(
                item_id=self.item_id, output_index=self.index, arguments=arguments, name=self.name
            ),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item


class Assembler:
    """One response's items. `output` holds the closed ones in order."""

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self.output: list[OutputItem] = []
        self._new_id = new_id
        self._open: _Text | _Reasoning | _Call | None = None
        self._space = ""  # white space that may turn out to be nothing but layout between items

    def feed(self, pieces: Iterable[Piece]) -> list[e.Event]:
        """The events of some more pieces."""
        out: list[e.Event] = []
        for piece in pieces:
            match piece:
                case TextDelta():
                    self._text(piece, out)
                case ReasoningDelta():
                    self._reasoning(piece, out)
                case CallBegin():
                    self._begin_call(piece, out)
                case CallDelta():
                    assert isinstance(self._open, _Call), "arguments without a call"
                    out.append(self._open.delta(piece))
                case CallEnd():
                    self._end("completed", out)
                case _:
                    raise AssertionError(piece)
        return out

    def close(self, status: ItemStatus) -> list[e.Event]:
        """The generation is over: close what is open, as `completed` or `incomplete`."""
        out: list[e.Event] = []
        if self._space and not self.output and self._open is None:
            self._start(_Text(self._new_id("msg"), 0), out)  # white space is all there is: then it is the answer
            self._flush_space(out)
        self._end(status, out)
        return out

    def _text(self, piece: TextDelta, out: list[e.Event]) -> None:
        if isinstance(self._open, _Text):
            out.append(self._open.delta(piece))
            return
        if not piece.text.strip():
            self._space += piece.text
            return
        self._end("completed", out)
        text = _Text(self._new_id("msg"), len(self.output))
        self._start(text, out)
        self._flush_space(out)
        out.append(text.delta(piece))

    def _reasoning(self, piece: ReasoningDelta, out: list[e.Event]) -> None:
        if not isinstance(self._open, _Reasoning):
            self._end("completed", out)
            self._start(_Reasoning(self._new_id("rs"), len(self.output)), out)
        assert isinstance(self._open, _Reasoning)
        out.append(self._open.delta(piece))

    def _begin_call(self, piece: CallBegin, out: list[e.Event]) -> None:
        self._end("completed", out)
        call = _Call(self._new_id("fc"), len(self.output), self._new_id("call"), piece.name)
        self._start(call, out)

    def _start(self, item: _Text | _Reasoning | _Call, out: list[e.Event]) -> None:
        self._open = item
        out += item.begin()

    def _flush_space(self, out: list[e.Event]) -> None:
        if self._space and isinstance(self._open, _Text):
            out.append(self._open.delta(TextDelta(self._space)))
        self._space = ""

    def _end(self, status: ItemStatus, out: list[e.Event]) -> None:
        if self._open is None:
            return
        done, item = self._open.end(status)
        out += done
        self.output.append(item)
        self._open = None
        self._space = ""
