"""The assembler: turns pieces into events. It is the one place that opens, fills and closes output items. Pure.

Whatever the order of the pieces, the events follow the grammar, every item is closed exactly once, and the joined
deltas equal the text of the closing events and of the final item. Items follow one another: what the model says while
an item waits for a result (a call of an MCP server's tool) is held back until the result is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import UNSET, UnsetType

from realtime.context.turns import ExpandedCompaction
from realtime.dialects.base import (
    BlockEnd,
    CallBegin,
    CallCut,
    CallDelta,
    CallEnd,
    Delta,
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
    OpenText,
    ReasoningShown,
)  # fmt: skip

Events = Iterable[e.Event]


class Assembler:
    """The assembler of one response's items. `output` holds the closed items in order, as the client sees them.

    `feed` makes the events of a piece when it comes to it, so a caller that appends each one keeps its log in step with
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
    def has_call(self) -> bool:
        """Return whether there is a call that the client has to answer, or one that is not complete."""
        return isinstance(self._open, OpenCall) or any(isinstance(item, AnswerableCall) for item in self.output)

    # -- what the model says

    def feed(self, pieces: Sequence[Piece]) -> Events:
        """Make the events of more pieces. Arguments, or an end, without an open call raise an error: that is a parser's
        bug.
        """
        if len(pieces) == 1:
            return self._next(pieces[0])
        return (event for piece in pieces for event in self._next(piece))

    def taker(self, piece: Piece) -> OpenText | None:
        """Return the open item, if a piece adds to it."""
        item = self._open
        return item if isinstance(item, OpenText) and type(piece) is item.takes and not item.at_work else None

    def next_generation(self) -> Events:
        """Complete the open item; the model continues with another generation."""
        self._space.clear()
        events = self._end("completed")
        self._num_before = len(self.output)
        self._ignored = False
        return events

    def close(self, status: ItemStatus) -> Events:
        """Close the open item as `completed` or `incomplete`: the response is over. Nothing that was said is lost."""
        events = self._close_all(status)
        if self._space and not self.output:  # white space is all there is: it is the answer
            events += [*self._begin_text(), *self._end(status)]
        return events

    def discard_open(self) -> Events:
        """Close the open item and forget it: no history has it."""
        num_finished = len(self.output)
        events = self._close_all("incomplete")
        del self.output[num_finished:], self.remembered[num_finished:]
        return events

    # -- what the server does

    def begin_compaction(self) -> Events:
        """Announce a compaction. No item may be open."""
        return self._begin(OpenCompaction(*self._place("cmp")))

    def end_compaction(self, make: Callable[[Compaction], ExpandedCompaction]) -> Events:
        """Close the compaction; `make` completes its item."""
        assert isinstance(self._open, OpenCompaction)
        self._open.result = make(Compaction(id=self._open.item_id, encrypted_content=""))
        return self._finish("completed")

    def begin_listing(self, label: str) -> Events:
        """Announce that an MCP server's tools are being listed. No item may be open."""
        return self._begin(OpenMcpListing(*self._place("mcpl"), label))

    def end_listing(self, tools: Sequence[McpTool], error: str | None) -> Events:
        """Close the listing; `error` says why there is none."""
        assert isinstance(self._open, OpenMcpListing)
        self._open.answer(tools, error)
        return self._finish("completed")

    def begin_approved(self, asked: McpApprovalRequest) -> Events:
        """Begin a call that the model made earlier and the user has approved. It is `calling` from now on."""
        approved_by = asked.id if isinstance(asked.id, str) else None
        begun = self._begin(OpenMcpCall(*self._place("mcp"), asked.server_label, asked.name, approved_by))
        return [*begun, *self.feed((*([CallDelta(asked.arguments)] if asked.arguments else ()), CallEnd()))]

    @property
    def calling(self) -> OpenMcpCall | None:
        """The MCP call that waits for its result."""
        return self._open if isinstance(self._open, OpenMcpCall) and self._open.at_work else None

    def finish_call(self, result: CallResult) -> Events:
        """Close `calling` with its result. The output that was held back follows, up to the next call."""
        assert self.calling is not None
        self.calling.result = result
        return self._finish("completed")

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

    def _next(self, piece: Piece) -> Events:
        """Take a piece. If the open item waits for a result, hold back what does not belong to it."""
        item = self._open
        if item is None:
            return self._take(piece)
        if isinstance(piece, Delta) and (taker := self.taker(piece)) is not None:
            self._space.clear()
            return taker.delta(piece)
        ended: Events = ()
        if not item.at_work and _begins_item(piece):
            ended = self._complete()
        if self._open is not None and self._open.at_work:
            self._held.append(piece)
            return ended
        return [*ended, *self._take(piece)]

    def _take(self, piece: Piece) -> Events:
        match piece:
            case TextDelta():
                self._space.append(piece)
                return self._begin_text() if piece.text.strip() else ()
            case ReasoningDelta():
                return [*self._begin_reasoning(), *self._next(piece)]
            case CallBegin():
                self._space.clear()
                return self._begin(self._new_call(piece))
            case CallEnd() if isinstance(self._open, OpenCall):
                return self._complete()
            case CallCut() if isinstance(self._open, OpenCall):
                return self._cut(self._open)
            case MessageBegin():
                return self._begin_text(piece.phase or UNSET)
            case ReasoningBegin():
                return self._begin_reasoning()
            case BlockEnd():
                return self._complete()
            case Recovered():
                self._recovered = True
                return ()
            case _:
                raise AssertionError(piece)

    def _begin_text(self, phase: Phase | UnsetType = UNSET) -> Events:
        """Open a message with the text that was held back: an answer must not depend on how it was chunked."""
        message = OpenMessage(*self._place("msg"), phase)
        events = [*self._begin(message)]
        held, self._space = self._space, []
        for piece in held:
            events += message.delta(piece)
        return events

    def _begin_reasoning(self) -> Events:
        self._space.clear()
        return self._begin(OpenReasoning(*self._place("rs"), self._shown))

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

    def _begin(self, item: OpenItem) -> Events:
        self._open = item
        return item.begin()

    def _complete(self) -> Events:
        """Note that the open item is completely written: it ends, unless it waits for a result."""
        if self._open is None:
            return ()
        written = self._open.written()
        return written if self._open.at_work else [*written, *self._end("completed")]

    def _cut(self, call: OpenCall) -> Events:
        """End an incomplete call. One that can't be made at all fails when it is made, so that the model
        learns of it.
        """
        if isinstance(call, OpenMcpCall) and not is_object(call.text):
            return self._complete()
        return self._end("incomplete")

    def _finish(self, status: ItemStatus) -> Events:
        """Close the open item. The output that was held back follows it."""
        ended = self._end(status)
        if not self._held:
            return ended
        held, self._held = self._held, []
        return [*ended, *self.feed(held)]

    def _close_all(self, status: ItemStatus) -> list[e.Event]:
        events: list[e.Event] = []
        while self._open is not None:
            events += self._finish(status)
        return events

    def _end(self, status: ItemStatus) -> Events:
        if self._open is None:
            return ()
        done, item = self._open.end(status)
        if item is not None:
            if self._recovered:  # the events hold this same item
                item.recovered, self._recovered = True, False
            self.output.append(item)
            self.remembered.append(self._open.remembered(item))
        self._open = None
        return done


def _begins_item(piece: Piece) -> bool:
    """Return whether a piece begins an item, unless it continues the open one."""
    match piece:
        case TextDelta():
            return bool(piece.text.strip())
        case ReasoningDelta() | CallBegin() | MessageBegin() | ReasoningBegin():
            return True
        case _:
            return False
