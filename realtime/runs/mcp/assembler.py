"""The assembler of a response that has MCP tools: calls whose results come while the response goes on. Pure.

Items follow each other, so what the model says after a call waits until the call has its result: `calling` is the
call that somebody has to make now, and `finish_call` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from realtime.dialects.base import CallBegin, CallDelta, CallEnd, Piece, Recovered
from realtime.runs.assembler import Assembler, ReasoningShown
from realtime.runs.open_items import CallResult, OpenApproval, OpenListing, OpenMcpCall
from realtime.wire import events as e
from realtime.wire.items import AnswerableCall, ItemStatus, McpApprovalRequest, McpTool, OutputItem


class _Ignored:
    """A call beyond the last one that is allowed."""


class McpAssembler(Assembler):
    """See the module. `max_calls`: calls of MCP tools that the response may make."""

    def __init__(self, new_id: Callable[[str], str], shown: ReasoningShown | None, max_calls: int) -> None:
        super().__init__(new_id, shown)
        self.num_calls = 0  # that were begun
        self._max_calls = max_calls
        self._mcp: OpenMcpCall | OpenApproval | _Ignored | None = None
        self._listing: OpenListing | None = None
        self._held: list[Piece] = []  # what was said after a call that has no result yet
        self._num_before = 0  # items of earlier generations
        self._called = self._ignored = False

    @property
    def calling(self) -> OpenMcpCall | None:
        """The call that waits for its result."""
        return self._mcp if isinstance(self._mcp, OpenMcpCall) and self._mcp.at_work else None

    @property
    def spent(self) -> bool:
        """No more calls are allowed."""
        return self.num_calls >= self._max_calls

    @property
    def wants_more(self) -> bool:
        """This generation called MCP tools, and nothing that the client has to answer: the model is to go on."""
        said = self.output[self._num_before :]
        if any(isinstance(item, AnswerableCall) for item in said):
            return False
        return self._called or self._ignored

    def end_written(self) -> Iterator[e.Event]:
        """The generation has ended well: a call that it left open is as complete as it will be."""
        if self._mcp is not None and self.calling is None:
            yield from self._end_written("completed")

    def next_generation(self) -> Iterator[e.Event]:
        """What was said is complete; the model goes on."""
        self._space.clear()
        yield from self._end("completed")
        self._begin_generation()

    def _begin_generation(self) -> None:
        self._num_before = len(self.output)
        self._called = self._ignored = False

    def feed(self, pieces: Iterable[Piece]) -> Iterator[e.Event]:
        """See Assembler."""
        rest = iter(pieces)
        for piece in rest:
            if self.calling is not None:
                self._held += [piece, *rest]
            elif isinstance(piece, CallBegin) and piece.mcp is not None and self._mcp is None:
                yield from self._begin_mcp(piece)
            elif self._mcp is None or isinstance(piece, Recovered):
                yield from super().feed((piece,))
            else:
                yield from self._more(self._mcp, piece)

    def close(self, status: ItemStatus) -> Iterator[e.Event]:
        """See Assembler. A call without a result is incomplete, a listing failed; nothing that was said is lost."""
        if self._listing is not None:
            yield from self.end_listing((), "The listing was cut off.")
        while self._mcp is not None:
            if isinstance(self._mcp, OpenMcpCall):
                yield from self._finish(self._mcp, None)
            else:
                yield from self._end_written(status)
        yield from super().close(status)

    @property
    def open_index(self) -> int | None:
        """See Assembler."""
        at_work = isinstance(self._mcp, OpenMcpCall) or self._listing is not None
        return len(self.output) if at_work else super().open_index

    @property
    def has_call(self) -> bool:
        """See Assembler; a call that is being written or made is let to its end as well."""
        return self._mcp is not None or super().has_call

    def discard_open(self) -> Iterator[e.Event]:
        """See Assembler."""
        num_finished = len(self.output)
        yield from self.close("incomplete")
        del self.output[num_finished:], self.remembered[num_finished:]

    # -- listings and calls that no model makes now

    def begin_listing(self, label: str) -> Iterator[e.Event]:
        """A server is asked for its tools."""
        self._listing = OpenListing(self._new_id("mcpl"), len(self.output), label)
        yield from self._listing.begin()

    def end_listing(self, tools: Sequence[McpTool], error: str | None) -> Iterator[e.Event]:
        """It has answered, or `error` says why not."""
        assert self._listing is not None
        events, item = self._listing.end(tools, error)
        self._listing = None
        self._keep(item)
        self._begin_generation()
        yield from events

    def begin_approved(self, asked: McpApprovalRequest) -> Iterator[e.Event]:
        """A call that the model made earlier and the user has allowed: `calling` from now on."""
        self.num_calls += 1
        approved_by = asked.id if isinstance(asked.id, str) else None
        call = OpenMcpCall(self._new_id("mcp"), len(self.output), asked.server_label, asked.name, approved_by)
        self._mcp = call
        yield from call.begin()
        if asked.arguments:
            yield call.delta(asked.arguments)
        yield call.written()

    def finish_call(self, result: CallResult) -> Iterator[e.Event]:
        """The result of `calling`, and what the model said after it, up to its next call."""
        assert self.calling is not None
        yield from self._finish(self.calling, result)

    # -- parts

    def _begin_mcp(self, piece: CallBegin) -> Iterator[e.Event]:
        assert piece.mcp is not None
        self._space.clear()
        yield from self._end("completed")
        label, index = piece.mcp.server_label, len(self.output)
        if piece.mcp.needs_approval:
            self._mcp = OpenApproval(self._new_id("mcpr"), index, label, piece.name)
        elif self.spent:
            self._mcp, self._ignored = _Ignored(), True
        else:
            self.num_calls += 1
            self._called = True
            self._mcp = call = OpenMcpCall(self._new_id("mcp"), index, label, piece.name)
            yield from call.begin()

    def _more(self, mcp: OpenMcpCall | OpenApproval | _Ignored, piece: Piece) -> Iterator[e.Event]:
        """Inside of a call. What does not belong to it ends it, as it ends other items."""
        match piece:
            case CallDelta() if isinstance(mcp, OpenMcpCall):
                yield mcp.delta(piece.arguments)
            case CallDelta() if isinstance(mcp, OpenApproval):
                mcp.texts.append(piece.arguments)
            case CallDelta():
                pass
            case CallEnd():
                yield from self._end_written("completed")
            case _:
                yield from self._end_written("completed")
                yield from self.feed((piece,))

    def _end_written(self, status: ItemStatus) -> Iterator[e.Event]:
        """The arguments are complete."""
        mcp = self._mcp
        if isinstance(mcp, OpenMcpCall):
            yield mcp.written()
            return
        self._mcp = None
        if isinstance(mcp, OpenApproval):
            events, item = mcp.end(status)
            if item is not None:
                self._keep(item)
            yield from events

    def _finish(self, call: OpenMcpCall, result: CallResult | None) -> Iterator[e.Event]:
        events, item = call.end(result)
        self._mcp = None
        self._keep(item)
        yield from events
        held, self._held = self._held, []
        yield from self.feed(held)

    def _keep(self, item: OutputItem) -> None:
        if self._recovered:
            item.recovered, self._recovered = True, False
        self.output.append(item)
        self.remembered.append(item)
