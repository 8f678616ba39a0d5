"""Pieces to events: the one place that opens, fills and closes output items. Pure.

Whatever the order of the pieces, the events are legal by the grammar, every item is closed exactly once, and the
joined deltas equal the text of the closing events and of the final item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from realtime.context.client_tools import CLIENT_TOOLS, read_call
from realtime.context.turns import Opened
from realtime.dialects.base import (
    BlockEnd,
    CallBegin,
    CallDelta,
    CallEnd,
    MessageBegin,
    Piece,
    ReasoningBegin,
    ReasoningDelta,
    Recovered,
    TextDelta,
)  # fmt: skip
from realtime.wire import events as e
from realtime.wire.items import (
    AnswerableCall,
    ClientCall,
    Compaction,
    CustomToolCall,
    FunctionCall,
    ItemStatus,
    Message,
    OutputItem,
    OutputText,
    Phase,
    Reasoning,
    ReasoningText,
    ShellCall,
    SummaryText,
)  # fmt: skip


class ReasoningShown(msgspec.Struct, frozen=True):
    """What a client sees of reasoning: as a summary (there is no summariser: it is the text itself), raw, or only as
    an empty item. Raw includes everything, so then there is no summary. `seal` makes the blob that a client without a
    stored history sends back.
    """

    summary: bool = False
    raw: bool = False
    seal: Callable[[str], str] | None = None


class _Text:
    """An open message with one text part."""

    def __init__(self, item_id: str, index: int, phase: Phase | UnsetType = UNSET) -> None:
        self.item_id = item_id
        self.index = index
        self._phase = phase
        self.texts: list[str] = []
        self.logprobs: list[Any] = []

    def begin(self) -> list[e.Event]:
        item = Message(id=self.item_id, status="in_progress", role="assistant", content=[], phase=self._phase)
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
        item = Message(id=self.item_id, status=status, role="assistant", content=[part], phase=self._phase)
        at: dict[str, Any] = {"item_id": self.item_id, "output_index": self.index}
        return [
            e.OutputTextDone(**at, content_index=0, text=text, logprobs=self.logprobs),
            e.ContentPartDone(**at, content_index=0, part=part),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item


class _Reasoning:
    """An open reasoning item. What of it is shown is the client's choice; what is remembered is all of it."""

    def __init__(self, item_id: str, index: int, shown: ReasoningShown) -> None:
        self.item_id = item_id
        self.index = index
        self._shown = shown
        self.texts: list[str] = []

    @property
    def _at(self) -> dict[str, Any]:
        return {"item_id": self.item_id, "output_index": self.index}

    def begin(self) -> list[e.Event]:
        opened: list[e.Event] = [e.OutputItemAdded(output_index=self.index, item=self._item("in_progress"))]
        if self._shown.raw:
            opened.append(e.ContentPartAdded(**self._at, content_index=0, part=ReasoningText(text="")))
        elif self._shown.summary:
            opened.append(e.ReasoningSummaryPartAdded(**self._at, summary_index=0, part=SummaryText(text="")))
        return opened

    def delta(self, piece: ReasoningDelta) -> Iterator[e.Event]:
        self.texts.append(piece.text)
        if self._shown.raw:
            yield e.ReasoningTextDelta(**self._at, content_index=0, delta=piece.text)
        elif self._shown.summary:
            yield e.ReasoningSummaryTextDelta(**self._at, summary_index=0, delta=piece.text)

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        text = "".join(self.texts)
        closed: list[e.Event] = []
        if self._shown.raw:
            closed.append(e.ReasoningTextDone(**self._at, content_index=0, text=text))
            closed.append(e.ContentPartDone(**self._at, content_index=0, part=ReasoningText(text=text)))
        elif self._shown.summary:
            closed.append(e.ReasoningSummaryTextDone(**self._at, summary_index=0, text=text))
            closed.append(e.ReasoningSummaryPartDone(**self._at, summary_index=0, part=SummaryText(text=text)))
        item = self._item(status, text)
        if self._shown.seal is not None:
            item.encrypted_content = self._shown.seal(text)
        return [*closed, e.OutputItemDone(output_index=self.index, item=item)], item

    def remembered(self, item: OutputItem) -> OutputItem:
        return Reasoning(id=item.id, status=item.status, content=[ReasoningText(text="".join(self.texts))])

    def _item(self, status: ItemStatus, text: str | None = None) -> Reasoning:
        """The item as it is shown; `text` is None while it has no part yet."""
        item = Reasoning(id=self.item_id, status=status)
        if self._shown.raw:
            item.content = [] if text is None else [ReasoningText(text=text)]
        elif self._shown.summary and text is not None:
            item.summary = [SummaryText(text=text)]
        return item


class _Call:
    """An open call of a function."""

    prefix = "fc"

    def __init__(self, item_id: str, index: int, call_id: str, begin: CallBegin) -> None:
        self.item_id = item_id
        self.index = index
        self.texts: list[str] = []
        self._what: dict[str, Any] = {"id": item_id, "call_id": call_id, "name": begin.name}
        if begin.namespace is not None:
            self._what["namespace"] = begin.namespace
        if begin.channel is not None:
            self._what["channel"] = begin.channel

    def begin(self) -> list[e.Event]:
        return [e.OutputItemAdded(output_index=self.index, item=self._item("", "in_progress"))]

    def delta(self, piece: CallDelta) -> list[e.Event]:
        self.texts.append(piece.arguments)
        return [self._delta(piece.arguments)]

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        text = "".join(self.texts)
        item = self._item(text, status)
        return [self._done(text), e.OutputItemDone(output_index=self.index, item=item)], item

    def _item(self, text: str, status: ItemStatus) -> OutputItem:
        return FunctionCall(**self._what, status=status, arguments=text)

    def _delta(self, text: str) -> e.Event:
        return e.FunctionCallArgumentsDelta(item_id=self.item_id, output_index=self.index, delta=text)

    def _done(self, text: str) -> e.Event:
        name = self._what["name"]
        return e.FunctionCallArgumentsDone(item_id=self.item_id, output_index=self.index, arguments=text, name=name)


class _CustomCall(_Call):
    """An open call of a custom tool: free text instead of arguments."""

    prefix = "ctc"

    def _item(self, text: str, status: ItemStatus) -> OutputItem:
        return CustomToolCall(**self._what, status=status, input=text)

    def _delta(self, text: str) -> e.Event:
        return e.CustomToolCallInputDelta(item_id=self.item_id, output_index=self.index, delta=text)

    def _done(self, text: str) -> e.Event:
        return e.CustomToolCallInputDone(item_id=self.item_id, output_index=self.index, input=text)


class _Compaction:
    """A compaction that is being made. Closed before it is done it is empty, which stands for nothing."""

    def __init__(self, item_id: str, index: int) -> None:
        self.item_id = item_id
        self.index = index
        self.opened: Opened | None = None

    def begin(self) -> list[e.Event]:
        item = Compaction(id=self.item_id, encrypted_content="")
        return [
            e.OutputItemAdded(output_index=self.index, item=item),
            e.CompactionCompacting(item_id=self.item_id, output_index=self.index),
        ]

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        item = self.opened.closed() if self.opened is not None else Compaction(id=self.item_id, encrypted_content="")
        return [e.OutputItemDone(output_index=self.index, item=item)], item


class _ClientCall(_Call):
    """An open call of one of OpenAI's own tools that the client runs. Whether it fits that tool's item is known at its
    end, so all its events come there; one that does not fit, or was cut off, is a call of a function.
    """

    def __init__(self, item_id: str, index: int, call_id: str, begin: CallBegin) -> None:
        super().__init__(item_id, index, call_id, begin)
        assert begin.kind is not None
        self._kind = begin.kind

    def begin(self) -> list[e.Event]:
        return []

    def delta(self, piece: CallDelta) -> list[e.Event]:
        self.texts.append(piece.arguments)
        return []

    def end(self, status: ItemStatus) -> tuple[list[e.Event], OutputItem]:
        text = "".join(self.texts)
        own_id = self.item_id.replace(self.prefix, CLIENT_TOOLS[self._kind].prefix, 1)
        item = read_call(self._kind, text, item_id=own_id, call_id=self._what["call_id"])
        if item is None or status != "completed":
            done, call = super().end(status)
            return [*super().begin(), *([self._delta(text)] if text else []), *done], call
        return [
            e.OutputItemAdded(output_index=self.index, item=_begun(item)),
            *(self._commands(item) if isinstance(item, ShellCall) else ()),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item

    def _commands(self, item: ShellCall) -> Iterator[e.Event]:
        for index, command in enumerate(item.action.commands):
            at: dict[str, Any] = {"item_id": item.id, "output_index": self.index, "command_index": index}
            yield e.ShellCallCommandAdded(**at, command="")
            yield e.ShellCallCommandDelta(**at, delta=command)
            yield e.ShellCallCommandDone(**at, command=command)


def _begun(item: ClientCall) -> ClientCall:
    """The item as it is announced: what events follow for is not in it yet."""
    begun = msgspec.structs.replace(item, status="in_progress")
    if isinstance(begun, ShellCall):
        begun.action = msgspec.structs.replace(begun.action, commands=[])
    return begun


class Assembler:
    """One response's items. `output` holds the closed ones in order, as the client sees them.

    `feed` and `close` make events as they are iterated, so a caller that appends each one keeps its log in step with
    the assembler even when a later piece raises.
    """

    def __init__(self, new_id: Callable[[str], str], shown: ReasoningShown | None = None) -> None:
        self.output: list[OutputItem] = []
        self.remembered: list[OutputItem] = []  # the same with all reasoning, for the history
        self._shown = shown or ReasoningShown()
        self._new_id = new_id
        self._open: _Text | _Reasoning | _Call | _Compaction | None = None
        self._recovered = False  # the open item, or the one that comes
        self._space: list[TextDelta] = []  # white space that may turn out to be nothing but layout between items

    @property
    def open_index(self) -> int | None:
        """The index of the item that is being written."""
        return len(self.output) if self._open is not None else None

    @property
    def has_call(self) -> bool:
        """There is a call that the client is to answer, finished or being written."""
        return isinstance(self._open, _Call) or any(isinstance(item, AnswerableCall) for item in self.output)

    def discard_open(self) -> Iterator[e.Event]:
        """Close what is open, and forget it: it is in no history."""
        num_finished = len(self.output)
        yield from self._end("incomplete")
        del self.output[num_finished:], self.remembered[num_finished:]

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
                    yield from self._call().delta(piece)
                case CallEnd():
                    self._call()
                    yield from self._end("completed")
                case MessageBegin():
                    yield from self._begin_text(piece.phase or UNSET)
                case ReasoningBegin():
                    yield from self._begin_reasoning()
                case BlockEnd():
                    yield from self._end("completed")
                case Recovered():
                    self._recovered = True
                case _:
                    raise AssertionError(piece)

    def begin_compaction(self) -> Iterator[e.Event]:
        """The history is being made shorter; nothing may be open."""
        self._open = _Compaction(self._new_id("cmp"), len(self.output))
        yield from self._open.begin()

    def end_compaction(self, seal: Callable[[Compaction], Opened]) -> Iterator[e.Event]:
        """It was: `seal` makes the item whole."""
        assert isinstance(self._open, _Compaction)
        self._open.opened = seal(Compaction(id=self._open.item_id, encrypted_content=""))
        yield from self._end("completed")

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

    def _begin_text(self, phase: Phase | UnsetType = UNSET) -> Iterator[e.Event]:
        """Open a message with what was held back: what an answer holds must not depend on how it was chunked."""
        yield from self._end("completed")
        text = self._open = _Text(self._new_id("msg"), len(self.output), phase)
        yield from text.begin()
        held, self._space = self._space, []
        for piece in held:
            yield text.delta(piece)

    def _reasoning(self, piece: ReasoningDelta) -> Iterator[e.Event]:
        self._space.clear()
        if not isinstance(self._open, _Reasoning):
            yield from self._begin_reasoning()
        assert isinstance(self._open, _Reasoning)
        yield from self._open.delta(piece)

    def _begin_reasoning(self) -> Iterator[e.Event]:
        self._space.clear()
        yield from self._end("completed")
        self._open = _Reasoning(self._new_id("rs"), len(self.output), self._shown)
        yield from self._open.begin()

    def _begin_call(self, piece: CallBegin) -> Iterator[e.Event]:
        self._space.clear()
        yield from self._end("completed")
        kind = _ClientCall if piece.kind is not None else _CustomCall if piece.custom else _Call
        self._open = kind(self._new_id(kind.prefix), len(self.output), self._new_id("call"), piece)
        yield from self._open.begin()

    def _call(self) -> _Call:
        if not isinstance(self._open, _Call):
            raise AssertionError("no call is open")
        return self._open

    def _end(self, status: ItemStatus) -> Iterator[e.Event]:
        if self._open is None:
            return
        done, item = self._open.end(status)
        if self._recovered:  # the events hold this same item
            item.recovered, self._recovered = True, False
        self.output.append(item)
        match self._open:
            case _Reasoning():
                self.remembered.append(self._open.remembered(item))
            case _Compaction():
                self.remembered.append(self._open.opened or item)
            case _:
                self.remembered.append(item)
        self._open = None
        yield from done
