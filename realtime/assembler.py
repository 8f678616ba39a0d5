"""Pieces to events: the one place that opens, fills and closes output items. Pure.

Whatever the order of the pieces, the events are legal by the grammar, every item is closed exactly once, and the
joined deltas equal the text of the closing events and of the final item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
        at: dict[str, Any] = {"item_id": self.item_id, "output_index": self.index}
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
        return e.ReasoningTextDelta(item_id=self.item_id, output_index=self.index, content_index=0, delta=piece.text)

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        text = "".join(self.texts)
        part = ReasoningText(text=text)
        item = Reasoning(id=self.item_id, status=status, summary=[], content=[part])
        at: dict[str, Any] = {"item_id": self.item_id, "output_index": self.index}
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
        return FunctionCall(id=self.item_id, status=status, call_id=self.call_id, name=self.name, arguments=arguments)

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
    """One response's items. `output` holds the closed ones in order.

    `feed` and `close` make events as they are iterated, so a caller that appends each one keeps its log in step with
    the assembler even when a later piece raises.
    """

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self.output: list[OutputItem] = []
        self._new_id = new_id
        self._open: _Text | _Reasoning | _Call | None = None
        self._space: list[TextDelta] = []  # white space that may turn out to be nothing but layout between items

    def feed(self, pieces: Iterable[Piece]) -> Iterator[e.Event]:
        """The events of some more pieces. Arguments or an end without an open call raise: that is a parser's bug."""
        for piece in pieces:
            match piece:
                case TextDelta():
                    yield from self._text(piece)
                case ReasoningDelta():
                    yield from self._reasoning(piece)
                case CallBegin():
                    yield from self._begin_call(piece)
                case CallDelta():
                    yield self._call().delta(piece)
                case CallEnd():
                    self._call()
                    yield from self._end("completed")
                case _:
                    raise AssertionError(piece)

    def close(self, status: ItemStatus) -> Iterator[e.Event]:
        """The generation is over: close what is open, as `completed` or `incomplete`."""
        if self._space and not self.output and self._open is None:  # white space is all there is: it is the answer
            yield from self._begin_text()
        yield from self._end(status)

    def _text(self, piece: TextDelta) -> Iterator[e.Event]:
        if isinstance(self._open, _Text):
            yield self._open.delta(piece)
            return
        self._space.append(piece)
        if piece.text.strip():
            yield from self._begin_text()

    def _begin_text(self) -> Iterator[e.Event]:
        """Open a message with what was held back: what an answer holds must not depend on how it was chunked."""
        yield from self._end("completed")
        text = self._open = _Text(self._new_id("msg"), len(self.output))
        yield from text.begin()
        held, self._space = self._space, []
        for piece in held:
            yield text.delta(piece)

    def _reasoning(self, piece: ReasoningDelta) -> Iterator[e.Event]:
        self._space.clear()
        if not isinstance(self._open, _Reasoning):
            yield from self._end("completed")
            self._open = _Reasoning(self._new_id("rs"), len(self.output))
            yield from self._open.begin()
        yield self._open.delta(piece)

    def _begin_call(self, piece: CallBegin) -> Iterator[e.Event]:
        self._space.clear()
        yield from self._end("completed")
        self._open = _Call(self._new_id("fc"), len(self.output), self._new_id("call"), piece.name)
        yield from self._open.begin()

    def _call(self) -> _Call:
        if not isinstance(self._open, _Call):
            raise AssertionError("no call is open")
        return self._open

    def _end(self, status: ItemStatus) -> Iterator[e.Event]:
        if self._open is None:
            return
        done, item = self._open.end(status)
        self.output.append(item)
        self._open = None
        yield from done
