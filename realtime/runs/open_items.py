"""Open items: output items that are being written, with the events of each kind from first to last. Pure.

`Assembler` holds one open item at a time and decides when it begins and ends. The items of MCP are in `mcp.open_items`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from realtime.context.client_tools import CLIENT_TOOLS, read_call
from realtime.context.turns import ExpandedCompaction
from realtime.dialects.base import CallBegin, CallDelta, Delta, ReasoningDelta, TextDelta
from realtime.wire import events as e
from realtime.wire.items import (
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

Ended = tuple[Iterable[e.Event], OutputItem | None]
"""The events that close an item, and the item; None if nothing comes of it."""


class OpenItem:
    """Base class of open items. Its methods are called in this order: `begin`; `delta` if the model writes the item;
    `written`; `end`. `end` is legal at any time after `begin`.
    """

    at_work = False  # it waits for a result; what the model says meanwhile comes after it

    def __init__(self, item_id: str, index: int) -> None:
        self.item_id = item_id
        self.index = index
        self._at: dict[str, Any] = {"item_id": item_id, "output_index": index}

    def begin(self) -> Iterable[e.Event]:
        """Announce the item, unless its kind comes in one piece at the end."""
        return ()

    def written(self) -> Iterable[e.Event]:
        """Note that the model has written all of it. An item that needs a result is `at_work` from now on."""
        return ()

    def end(self, status: ItemStatus) -> Ended:
        """Close the item as far as it is written."""
        raise NotImplementedError

    def remembered(self, item: OutputItem) -> OutputItem:
        """Return the closed item as the history keeps it."""
        return item

    def so_far(self) -> OutputItem | None:
        """Return the item as far as it has been sent; None: it has not been announced."""
        return None


class OpenText(OpenItem):
    """Base class of the items whose text the model writes.

    takes: the kind of pieces that add to it. streams: each of them makes one event, always the same one but for its
    text; else all of it comes at the end. add_text: keeps a text whose event is made elsewhere, or is none.
    """

    takes: type[Delta]
    streams = True

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._texts: list[str] = []
        self.add_text = self._texts.append

    @property
    def text(self) -> str:
        """The text as far as it is written."""
        return "".join(self._texts)

    def delta(self, piece: Delta) -> Iterable[e.Event]:
        """Add a piece that it `takes`."""
        self.add_text(piece.text)
        return (self._delta(piece.text),) if self.streams else ()

    def _delta(self, text: str) -> e.Event:
        raise NotImplementedError


class OpenMessage(OpenText):
    """A message with one part, a text."""

    takes = TextDelta

    def __init__(self, item_id: str, index: int, phase: Phase | UnsetType = UNSET) -> None:
        super().__init__(item_id, index)
        self._phase = phase
        self._logprobs: list[Any] = []

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        item = Message(id=self.item_id, status="in_progress", role="assistant", content=[], phase=self._phase)
        return [
            e.OutputItemAdded(output_index=self.index, item=item),
            e.ContentPartAdded(**self._at, content_index=0, part=OutputText(text="")),
        ]

    def delta(self, piece: Delta) -> Iterable[e.Event]:
        """See OpenText."""
        assert isinstance(piece, TextDelta)
        self.add_text(piece.text)
        self._logprobs += piece.logprobs
        return (e.OutputTextDelta(**self._at, content_index=0, delta=piece.text, logprobs=piece.logprobs),)

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        part = OutputText(text=self.text, logprobs=self._logprobs)
        item = self._item(part, status)
        return [
            e.OutputTextDone(**self._at, content_index=0, text=part.text, logprobs=self._logprobs),
            e.ContentPartDone(**self._at, content_index=0, part=part),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item

    def so_far(self) -> Message:
        """See OpenItem."""
        part = OutputText(text=self.text, logprobs=[*self._logprobs])
        return self._item(part, "in_progress")

    def _item(self, part: OutputText, status: ItemStatus) -> Message:
        return Message(id=self.item_id, status=status, role="assistant", content=[part], phase=self._phase)


class ReasoningShown(msgspec.Struct, frozen=True):
    """The form in which a client sees reasoning: a summary (the reasoning itself, as there is no summarizer), the raw
    text, or an empty item. With raw text there is no summary, since that would say the same. `encrypt` makes the
    content that a client without a stored history sends back.
    """

    summary: bool = False
    raw: bool = False
    encrypt: Callable[[str], str] | None = None


class OpenReasoning(OpenText):
    """Reasoning. The client sees the form that it chose; the history keeps all of it."""

    takes = ReasoningDelta

    def __init__(self, item_id: str, index: int, shown: ReasoningShown) -> None:
        super().__init__(item_id, index)
        self._shown = shown
        self.streams = shown.raw or shown.summary

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        begun: list[e.Event] = [e.OutputItemAdded(output_index=self.index, item=self._item("in_progress"))]
        if self._shown.raw:
            begun.append(e.ContentPartAdded(**self._at, content_index=0, part=ReasoningText(text="")))
        elif self._shown.summary:
            begun.append(e.ReasoningSummaryPartAdded(**self._at, summary_index=0, part=SummaryText(text="")))
        return begun

    def _delta(self, text: str) -> e.Event:
        if self._shown.raw:
            return e.ReasoningTextDelta(**self._at, content_index=0, delta=text)
        return e.ReasoningSummaryTextDelta(**self._at, summary_index=0, delta=text)

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        text = self.text
        closed: list[e.Event] = []
        if self._shown.raw:
            closed.append(e.ReasoningTextDone(**self._at, content_index=0, text=text))
            closed.append(e.ContentPartDone(**self._at, content_index=0, part=ReasoningText(text=text)))
        elif self._shown.summary:
            closed.append(e.ReasoningSummaryTextDone(**self._at, summary_index=0, text=text))
            closed.append(e.ReasoningSummaryPartDone(**self._at, summary_index=0, part=SummaryText(text=text)))
        item = self._item(status, text)
        if self._shown.encrypt is not None:
            item.encrypted_content = self._shown.encrypt(text)
        return [*closed, e.OutputItemDone(output_index=self.index, item=item)], item

    def remembered(self, item: OutputItem) -> OutputItem:
        """See OpenItem."""
        return Reasoning(id=item.id, status=item.status, content=[ReasoningText(text=self.text)])

    def so_far(self) -> OutputItem:
        """See OpenItem."""
        return self._item("in_progress", self.text)

    def _item(self, status: ItemStatus, text: str | None = None) -> Reasoning:
        """Return the item as it is shown. `text`: None while it has no part yet."""
        item = Reasoning(id=self.item_id, status=status)
        if self._shown.raw:
            item.content = [] if text is None else [ReasoningText(text=text)]
        elif self._shown.summary and text is not None:
            item.summary = [SummaryText(text=text)]
        return item


class OpenCall(OpenText):
    """Base class of calls, whoever runs the tool. The text: the arguments, or the free text."""

    takes = CallDelta


class OpenFunctionCall(OpenCall):
    """A call of a function."""

    prefix = "fc"

    def __init__(self, item_id: str, index: int, call_id: str, begin: CallBegin) -> None:
        super().__init__(item_id, index)
        self._members: dict[str, Any] = {"id": item_id, "call_id": call_id, "name": begin.name}
        if begin.namespace is not None:
            self._members["namespace"] = begin.namespace
        if begin.channel is not None:
            self._members["channel"] = begin.channel

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        return [e.OutputItemAdded(output_index=self.index, item=self._item("", "in_progress"))]

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        text = self.text
        item = self._item(text, status)
        return [self._done(text), e.OutputItemDone(output_index=self.index, item=item)], item

    def so_far(self) -> OutputItem | None:
        """See OpenItem."""
        return self._item(self.text, "in_progress")

    def _item(self, text: str, status: ItemStatus) -> OutputItem:
        return FunctionCall(**self._members, status=status, arguments=text)

    def _delta(self, text: str) -> e.Event:
        return e.FunctionCallArgumentsDelta(item_id=self.item_id, output_index=self.index, delta=text)

    def _done(self, text: str) -> e.Event:
        return e.FunctionCallArgumentsDone(**self._at, arguments=text, name=self._members["name"])


class OpenCustomCall(OpenFunctionCall):
    """A call of a custom tool: free text instead of arguments."""

    prefix = "ctc"

    def _item(self, text: str, status: ItemStatus) -> OutputItem:
        return CustomToolCall(**self._members, status=status, input=text)

    def _delta(self, text: str) -> e.Event:
        return e.CustomToolCallInputDelta(item_id=self.item_id, output_index=self.index, delta=text)

    def _done(self, text: str) -> e.Event:
        return e.CustomToolCallInputDone(**self._at, input=text)


class OpenClientCall(OpenFunctionCall):
    """A call of one of OpenAI's own tools that the client runs. Only at the end is it known whether the arguments fit
    that tool's item, so all events come then. A call that does not fit, or was cut off, becomes a function's.
    """

    streams = False

    def __init__(self, item_id: str, index: int, call_id: str, begin: CallBegin) -> None:
        super().__init__(item_id, index, call_id, begin)
        assert begin.kind is not None
        self._kind = begin.kind

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        return ()

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        text = self.text
        own_id = self.item_id.replace(self.prefix, CLIENT_TOOLS[self._kind].prefix, 1)
        item = read_call(self._kind, text, item_id=own_id, call_id=self._members["call_id"])
        if item is None or status != "completed":
            done, call = super().end(status)
            return [*super().begin(), *([self._delta(text)] if text else []), *done], call
        return [
            e.OutputItemAdded(output_index=self.index, item=_announced(item)),
            *(self._commands(item) if isinstance(item, ShellCall) else ()),
            e.OutputItemDone(output_index=self.index, item=item),
        ], item

    def so_far(self) -> OutputItem | None:
        """See OpenItem."""
        return None

    def _commands(self, item: ShellCall) -> Iterator[e.Event]:
        for index, command in enumerate(item.action.commands):
            at: dict[str, Any] = {"item_id": item.id, "output_index": self.index, "command_index": index}
            yield e.ShellCallCommandAdded(**at, command="")
            yield e.ShellCallCommandDelta(**at, delta=command)
            yield e.ShellCallCommandDone(**at, command=command)


def _announced(item: ClientCall) -> ClientCall:
    """Return the item without what later events add."""
    begun = msgspec.structs.replace(item, status="in_progress")
    if isinstance(begun, ShellCall):
        begun.action = msgspec.structs.replace(begun.action, commands=[])
    return begun


class OpenCompaction(OpenItem):
    """A compaction that is being made. If it closes before there is a `result`, it is empty and replaces nothing."""

    at_work = True

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self.result: ExpandedCompaction | None = None

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        item = Compaction(id=self.item_id, encrypted_content="")
        return [e.OutputItemAdded(output_index=self.index, item=item), e.CompactionCompacting(**self._at)]

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        item = self.result.encrypted() if self.result is not None else Compaction(id=self.item_id, encrypted_content="")
        return [e.OutputItemDone(output_index=self.index, item=item)], item

    def remembered(self, item: OutputItem) -> OutputItem:
        """See OpenItem."""
        return self.result if self.result is not None else item

    def so_far(self) -> OutputItem:
        """See OpenItem."""
        return Compaction(id=self.item_id, encrypted_content="")
