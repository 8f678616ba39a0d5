"""The assembler: turns pieces into events. It is the one place that opens, fills and closes output items. Pure.

Whatever the order of the pieces, the events follow the grammar, every item is closed exactly once, and the joined
deltas equal the text of the closing events and of the final item. Items follow one another: what the model says while
an item waits for a result (a call of an MCP server's tool) is held back until the result is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import UNSET, UnsetType

from realtime.context.turns import ExpandedCompaction
from realtime.dialects.base import (
    BlockEnd,
    CallBegin,
    CallCut,
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
    Compaction,
    ItemStatus,
    McpApprovalRequest,
    McpCall,
    McpTool,
    Message,
    OutputItem,
    Phase,
)  # fmt: skip
from realtime.wire.json_text import is_object

from .mcp.open_items import (
    CallResult,
    IgnoredMcpCall,
    OpenMcpApproval,
    OpenMcpCall,
    OpenMcpListing,
)  # fmt: skip
from .open_items import (
    OpenCall,
    OpenClientCall,
    OpenCompaction,
    OpenCustomCall,
    OpenFunctionCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    ReasoningShown,
)  # fmt: skip


class Assembler:
    """The assembler of one response's items. `output` holds the closed items in order, as the client sees them.

    All iterators of events make them as they are iterated, so a caller that appends each one keeps its log in step with
    the assembler even when a later piece raises. `max_mcp_calls`: the most calls of MCP tools that the response may
    make.
    """

    def __init__(
        self, new_id: Callable[[str], str], shown: ReasoningShown | None = None, max_mcp_calls: int = 0
    ) -> None:
        self.output: list[OutputItem] = []
        self.remembered: list[OutputItem] = []  # the same with all reasoning, for the history
        self._shown = shown or ReasoningShown()
        self._new_id = new_id
        self._max_mcp_calls = max_mcp_calls
        self._open: OpenItem | None = None
        self._recovered = False  # the open item, or the one that comes
        self._space: list[TextDelta] = []  # white space that may turn out to be nothing but layout between items
        self._held: list[Piece] = []  # what was said after a call that has no result yet
        self._num_before = 0  # items of earlier generations
        self._ignored = False  # the generation made a call beyond the limit

    @property
    def open_index(self) -> int | None:
        """The index of the open item."""
        return len(self.output) if self._open is not None else None

    @property
    def so_far(self) -> list[OutputItem]:
        """The output, including the open item as far as it is written."""
        item = self._open.so_far() if self._open is not None else None
        return [*self.output, *([item] if item is not None else ())]

    @property
    def open_message(self) -> Message | None:
        """The open item as far as it is written, if it is a message."""
        return self._open.so_far() if isinstance(self._open, OpenMessage) else None

    @property
    def add_text(self) -> Callable[[str], None] | None:
        """Return how to add to the text of the open message, whose events are made elsewhere; None: none is open."""
        return self._open.add_text if isinstance(self._open, OpenMessage) else None

    @property
    def has_call(self) -> bool:
        """Return whether there is a call that the client has to answer, or one that is not complete."""
        return isinstance(self._open, OpenCall) or any(isinstance(item, AnswerableCall) for item in self.output)

    # -- what the model says

    def feed(self, pieces: Sequence[Piece]) -> Iterable[e.Event]:
        """Make the events of more pieces. Arguments, or an end, without an open call raise an error: that is a parser's
        bug.
        """
        if len(pieces) == 1:
            piece, item = pieces[0], self._open
            if isinstance(piece, TextDelta) and isinstance(item, OpenMessage):
                return (item.delta(piece),)  # nearly every token
        return self._feed(pieces)

    def _feed(self, pieces: Sequence[Piece]) -> Iterator[e.Event]:
        for piece in pieces:
            if isinstance(piece, TextDelta) and isinstance(self._open, OpenMessage):
                yield self._open.delta(piece)
            elif isinstance(piece, ReasoningDelta) and isinstance(self._open, OpenReasoning):
                self._space.clear()
                yield from self._open.delta(piece)
            elif isinstance(piece, CallDelta) and isinstance(self._open, OpenCall) and not self._open.at_work:
                yield from self._open.delta(piece.arguments)
            else:
                yield from self._next(piece)

    def next_generation(self) -> Iterator[e.Event]:
        """Complete the open item; the model continues with another generation."""
        self._space.clear()
        yield from self._end("completed")
        self._num_before = len(self.output)
        self._ignored = False

    def close(self, status: ItemStatus) -> Iterator[e.Event]:
        """Close the open item as `completed` or `incomplete`: the response is over. Nothing that was said is lost."""
        yield from self._close_all(status)
        if self._space and not self.output:  # white space is all there is: it is the answer
            yield from self._begin_text()
            yield from self._end(status)

    def discard_open(self) -> Iterator[e.Event]:
        """Close the open item and forget it: no history has it."""
        num_finished = len(self.output)
        yield from self._close_all("incomplete")
        del self.output[num_finished:], self.remembered[num_finished:]

    # -- what the server does

    def begin_compaction(self) -> Iterator[e.Event]:
        """Announce a compaction. No item may be open."""
        yield from self._begin(OpenCompaction(*self._place("cmp")))

    def end_compaction(self, make: Callable[[Compaction], ExpandedCompaction]) -> Iterator[e.Event]:
        """Close the compaction; `make` completes its item."""
        assert isinstance(self._open, OpenCompaction)
        self._open.result = make(Compaction(id=self._open.item_id, encrypted_content=""))
        yield from self._finish("completed")

    def begin_listing(self, label: str) -> Iterator[e.Event]:
        """Announce that an MCP server's tools are being listed. No item may be open."""
        yield from self._begin(OpenMcpListing(*self._place("mcpl"), label))

    def end_listing(self, tools: Sequence[McpTool], error: str | None) -> Iterator[e.Event]:
        """Close the listing; `error` says why there is none."""
        assert isinstance(self._open, OpenMcpListing)
        self._open.answer(tools, error)
        yield from self._finish("completed")

    def begin_approved(self, asked: McpApprovalRequest) -> Iterator[e.Event]:
        """Begin a call that the model made earlier and the user has approved. It is `calling` from now on."""
        approved_by = asked.id if isinstance(asked.id, str) else None
        yield from self._begin(OpenMcpCall(*self._place("mcp"), asked.server_label, asked.name, approved_by))
        yield from self.feed((*([CallDelta(asked.arguments)] if asked.arguments else ()), CallEnd()))

    @property
    def calling(self) -> OpenMcpCall | None:
        """The MCP call that waits for its result."""
        return self._open if isinstance(self._open, OpenMcpCall) and self._open.at_work else None

    def finish_call(self, result: CallResult) -> Iterator[e.Event]:
        """Close `calling` with its result. The output that was held back follows, up to the next call."""
        assert self.calling is not None
        self.calling.result = result
        yield from self._finish("completed")

    @property
    def spent(self) -> bool:
        """Return whether no more MCP calls are allowed."""
        return sum(isinstance(item, McpCall) for item in self.output) >= self._max_mcp_calls

    @property
    def wants_more(self) -> bool:
        """Return whether the output has MCP calls and nothing that the client has to answer: then the model
        continues.
        """
        said = self.output[self._num_before :]
        if any(isinstance(item, AnswerableCall) for item in said):
            return False
        made = (item for item in said if isinstance(item, McpCall) and item.status != "incomplete")
        return self._ignored or any(not item.approval_request_id for item in made)

    # -- parts

    def _next(self, piece: Piece) -> Iterator[e.Event]:
        """Take a piece that does not belong to the open item. If that waits for a result, hold the piece back."""
        if _begins_item(piece) and self._open is not None and not self._open.at_work:
            yield from self._complete()
        if self._open is not None and self._open.at_work:
            self._held.append(piece)
        else:
            yield from self._take(piece)

    def _take(self, piece: Piece) -> Iterator[e.Event]:
        match piece:
            case TextDelta():
                yield from self._text(piece)
            case ReasoningDelta():
                yield from self._begin_reasoning()
                yield from self.feed((piece,))
            case CallBegin():
                self._space.clear()
                yield from self._begin(self._new_call(piece))
            case CallEnd() if isinstance(self._open, OpenCall):
                yield from self._complete()
            case CallCut() if isinstance(self._open, OpenCall):
                yield from self._cut(self._open)
            case MessageBegin():
                yield from self._begin_text(piece.phase or UNSET)
            case ReasoningBegin():
                yield from self._begin_reasoning()
            case BlockEnd():
                yield from self._complete()
            case Recovered():
                self._recovered = True
            case _:
                raise AssertionError(piece)

    def _text(self, piece: TextDelta) -> Iterator[e.Event]:
        self._space.append(piece)
        if piece.text.strip():
            yield from self._begin_text()

    def _begin_text(self, phase: Phase | UnsetType = UNSET) -> Iterator[e.Event]:
        """Open a message with the text that was held back: an answer must not depend on how it was chunked."""
        message = OpenMessage(*self._place("msg"), phase)
        yield from self._begin(message)
        held, self._space = self._space, []
        for piece in held:
            yield message.delta(piece)

    def _begin_reasoning(self) -> Iterator[e.Event]:
        self._space.clear()
        yield from self._begin(OpenReasoning(*self._place("rs"), self._shown))

    def _new_call(self, piece: CallBegin) -> OpenCall:
        if piece.mcp is None:
            kind = OpenClientCall if piece.kind is not None else OpenCustomCall if piece.custom else OpenFunctionCall
            return kind(*self._place(kind.prefix), self._new_id("call"), piece)
        label = piece.mcp.server_label
        if piece.mcp.needs_approval:
            return OpenMcpApproval(*self._place("mcpr"), label, piece.name)
        if self.spent:
            self._ignored = True
            return IgnoredMcpCall(*self._place("mcp"), label, piece.name)
        return OpenMcpCall(*self._place("mcp"), label, piece.name)

    def _place(self, prefix: str) -> tuple[str, int]:
        """Return the id and the index of the next item."""
        return self._new_id(prefix), len(self.output)

    def _begin(self, item: OpenItem) -> Iterator[e.Event]:
        self._open = item
        yield from item.begin()

    def _complete(self) -> Iterator[e.Event]:
        """Note that the open item is completely written: it ends, unless it waits for a result."""
        if self._open is not None:
            yield from self._open.written()
            if not self._open.at_work:
                yield from self._end("completed")

    def _cut(self, call: OpenCall) -> Iterator[e.Event]:
        """End an incomplete call. One that can't be made at all fails when it is made, so that the model
        learns of it.
        """
        if isinstance(call, OpenMcpCall) and not is_object(call.arguments):
            yield from self._complete()
        else:
            yield from self._end("incomplete")

    def _finish(self, status: ItemStatus) -> Iterator[e.Event]:
        """Close the open item. The output that was held back follows it."""
        yield from self._end(status)
        held, self._held = self._held, []
        yield from self.feed(held)

    def _close_all(self, status: ItemStatus) -> Iterator[e.Event]:
        while self._open is not None:
            yield from self._finish(status)

    def _end(self, status: ItemStatus) -> Iterator[e.Event]:
        if self._open is None:
            return
        done, item = self._open.end(status)
        if item is not None:
            if self._recovered:  # the events hold this same item
                item.recovered, self._recovered = True, False
            self.output.append(item)
            self.remembered.append(self._open.remembered(item))
        self._open = None
        yield from done


def _begins_item(piece: Piece) -> bool:
    """Return whether a piece begins an item, unless it continues the open one."""
    match piece:
        case TextDelta():
            return bool(piece.text.strip())
        case ReasoningDelta() | CallBegin() | MessageBegin() | ReasoningBegin():
            return True
        case _:
            return False
