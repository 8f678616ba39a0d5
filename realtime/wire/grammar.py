"""The order of a response's events, as tables (docs/protocol.md, 2.2).

`Grammar` follows one response. It refuses what no table allows, so an illegal order is one readable error at the place
that produced it, not a client's crash later. There are two levels: the response, and inside it the open item.
"""

from __future__ import annotations

import enum

from . import events as e
from .items import (
    ApplyPatchCall,
    Compaction,
    CustomToolCall,
    FunctionCall,
    LocalShellCall,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
    ShellCall,
    ToolSearchCall,
)  # fmt: skip


class GrammarError(Exception):
    """An error: the producer tried an event that is not legal here, which is a bug of ours, never of a client."""


class ResponseState(enum.Enum):
    """States of a response."""

    __hash__ = object.__hash__  # Enum's is Python code

    IDLE = "idle"
    CREATED = "created"
    QUEUED = "queued"
    OPEN = "open"
    ITEM = "item"
    SEALED = "sealed"


class ItemState(enum.Enum):
    """States of an open item."""

    __hash__ = object.__hash__

    BARE = "bare"  # nothing in it
    PARTS = "between parts"
    TEXT = "text"
    TEXT_DONE = "text done"
    REASONING = "reasoning"
    REASONING_DONE = "reasoning done"
    SUMMARY = "summary"
    SUMMARY_DONE = "summary done"
    ARGUMENTS = "arguments"
    ARGUMENTS_DONE = "arguments done"
    COMPACTING = "compacting"
    COMMAND = "command"
    AT_WORK = "at work"  # of a tool that the server runs
    ENDED = "ended"


_RESPONSE: dict[ResponseState, dict[type[e.Event], ResponseState]] = {
    ResponseState.IDLE: {e.ResponseCreated: ResponseState.CREATED},
    ResponseState.CREATED: {
        e.ResponseQueued: ResponseState.QUEUED,
        e.ResponseInProgress: ResponseState.OPEN,
        e.ResponseCompleted: ResponseState.SEALED,  # a warm-up: created, completed
        e.ResponseIncomplete: ResponseState.SEALED,
        e.ResponseFailed: ResponseState.SEALED,
    },
    ResponseState.QUEUED: {
        e.ResponseInProgress: ResponseState.OPEN,
        e.ResponseIncomplete: ResponseState.SEALED,
        e.ResponseFailed: ResponseState.SEALED,
    },
    ResponseState.OPEN: {
        e.OutputItemAdded: ResponseState.ITEM,
        e.ResponseCompleted: ResponseState.SEALED,
        e.ResponseIncomplete: ResponseState.SEALED,
        e.ResponseFailed: ResponseState.SEALED,
    },
    ResponseState.ITEM: {},  # see _ITEM; closed by OutputItemDone
    ResponseState.SEALED: {},
}

# Inside an item. A part event is looked up with the class of its part.
_Key = type | tuple[type, type]
_ITEM: dict[type, dict[ItemState, dict[_Key, ItemState]]] = {
    Message: {
        ItemState.BARE: {(e.ContentPartAdded, OutputText): ItemState.TEXT},
        ItemState.TEXT: {e.OutputTextDelta: ItemState.TEXT, e.OutputTextDone: ItemState.TEXT_DONE},
        ItemState.TEXT_DONE: {(e.ContentPartDone, OutputText): ItemState.PARTS},
        ItemState.PARTS: {(e.ContentPartAdded, OutputText): ItemState.TEXT},
    },
    Reasoning: {
        ItemState.BARE: {
            (e.ContentPartAdded, ReasoningText): ItemState.REASONING,
            e.ReasoningSummaryPartAdded: ItemState.SUMMARY,
        },
        ItemState.REASONING: {e.ReasoningTextDelta: ItemState.REASONING, e.ReasoningTextDone: ItemState.REASONING_DONE},
        ItemState.REASONING_DONE: {(e.ContentPartDone, ReasoningText): ItemState.BARE},
        ItemState.SUMMARY: {
            e.ReasoningSummaryTextDelta: ItemState.SUMMARY,
            e.ReasoningSummaryTextDone: ItemState.SUMMARY_DONE,
        },
        ItemState.SUMMARY_DONE: {e.ReasoningSummaryPartDone: ItemState.BARE},
    },
    FunctionCall: {
        ItemState.BARE: {
            e.FunctionCallArgumentsDelta: ItemState.ARGUMENTS,
            e.FunctionCallArgumentsDone: ItemState.ARGUMENTS_DONE,
        },
        ItemState.ARGUMENTS: {
            e.FunctionCallArgumentsDelta: ItemState.ARGUMENTS,
            e.FunctionCallArgumentsDone: ItemState.ARGUMENTS_DONE,
        },
        ItemState.ARGUMENTS_DONE: {},
    },
    CustomToolCall: {
        ItemState.BARE: {
            e.CustomToolCallInputDelta: ItemState.ARGUMENTS,
            e.CustomToolCallInputDone: ItemState.ARGUMENTS_DONE,
        },
        ItemState.ARGUMENTS: {
            e.CustomToolCallInputDelta: ItemState.ARGUMENTS,
            e.CustomToolCallInputDone: ItemState.ARGUMENTS_DONE,
        },
        ItemState.ARGUMENTS_DONE: {},
    },
    Compaction: {
        ItemState.BARE: {e.CompactionCompacting: ItemState.COMPACTING},
        ItemState.COMPACTING: {},
    },
    ShellCall: {
        ItemState.BARE: {e.ShellCallCommandAdded: ItemState.COMMAND},
        ItemState.COMMAND: {e.ShellCallCommandDelta: ItemState.COMMAND, e.ShellCallCommandDone: ItemState.BARE},
    },
    LocalShellCall: {ItemState.BARE: {}},
    ApplyPatchCall: {ItemState.BARE: {}},
    ToolSearchCall: {ItemState.BARE: {}},
    McpListTools: {
        ItemState.BARE: {e.McpListToolsInProgress: ItemState.AT_WORK},
        ItemState.AT_WORK: {e.McpListToolsCompleted: ItemState.ENDED, e.McpListToolsFailed: ItemState.ENDED},
        ItemState.ENDED: {},
    },
    McpCall: {
        ItemState.BARE: {e.McpCallInProgress: ItemState.ARGUMENTS},
        ItemState.ARGUMENTS: {e.McpCallArgumentsDelta: ItemState.ARGUMENTS, e.McpCallArgumentsDone: ItemState.AT_WORK},
        ItemState.AT_WORK: {e.McpCallCompleted: ItemState.ENDED, e.McpCallFailed: ItemState.ENDED},
        ItemState.ENDED: {},
    },
    McpApprovalRequest: {ItemState.BARE: {}},
}
# The event after which the state is the same: a delta. No state has two.
_MORE: dict[type, dict[ItemState, _Key | None]] = {
    kind: {state: next((event for event, to in row.items() if to is state), None) for state, row in rows.items()}
    for kind, rows in _ITEM.items()
}
_PART_EVENTS = frozenset({e.ContentPartAdded, e.ContentPartDone})
# Where an item may be closed.
_CLOSABLE: dict[type, frozenset[ItemState]] = {
    Message: frozenset({ItemState.PARTS}),
    Reasoning: frozenset({ItemState.BARE}),
    FunctionCall: frozenset({ItemState.ARGUMENTS_DONE}),
    CustomToolCall: frozenset({ItemState.ARGUMENTS_DONE}),
    Compaction: frozenset({ItemState.COMPACTING}),
    ShellCall: frozenset({ItemState.BARE}),
    LocalShellCall: frozenset({ItemState.BARE}),
    ApplyPatchCall: frozenset({ItemState.BARE}),
    ToolSearchCall: frozenset({ItemState.BARE}),
    McpListTools: frozenset({ItemState.ENDED}),
    McpCall: frozenset({ItemState.ENDED}),
    McpApprovalRequest: frozenset({ItemState.BARE}),
}


class Grammar:
    """A check of one response's events, in the order in which they are appended. `sealed`: the terminal event has
    passed.
    """

    __slots__ = ("_item_id", "_item_kind", "_item_moves", "_item_state", "_more", "_output_index", "_state", "sealed")

    def __init__(self) -> None:
        self._state = ResponseState.IDLE
        self._item_kind: type = type(None)
        self._item_state = ItemState.BARE
        self._item_moves: dict[_Key, ItemState] = {}  # the row of _ITEM for kind and state; outside of an item nothing
        self._more: _Key | None = None  # what changes nothing: the delta that may follow, if one may
        self._item_id: object = None
        self._output_index = -1
        self.sealed = False

    def accept(self, event: e.Event) -> None:
        """Accept an event, or raise GrammarError and change nothing."""
        if (
            type(event) is self._more
            and event.item_id == self._item_id  # type: ignore[attr-defined]
            and event.output_index == self._output_index  # type: ignore[attr-defined]
        ):
            return  # more of what is open, as nearly every event is
        if self._state is ResponseState.ITEM:
            self._inside(event)
            return
        state = _RESPONSE[self._state].get(type(event))
        if state is None:
            raise GrammarError(f"{type(event).__name__} is not legal in state {self._state.value!r}")
        if state is ResponseState.ITEM:
            self._open(event)
        self._state = state
        self.sealed = state is ResponseState.SEALED

    def abandon(self) -> None:
        """Leave open what is open: nothing is legal any more."""
        self._state, self._item_moves, self._more = ResponseState.SEALED, {}, None

    def _open(self, event: e.Event) -> None:
        assert isinstance(event, e.OutputItemAdded)
        if event.output_index != self._output_index + 1:
            raise GrammarError(f"output_index {event.output_index} after {self._output_index}")
        self._output_index = event.output_index
        self._item_kind, self._item_id = type(event.item), event.item.id
        self._enter(ItemState.BARE)

    def _enter(self, state: ItemState) -> None:
        self._item_state = state
        self._item_moves = _ITEM[self._item_kind][state]
        self._more = _MORE[self._item_kind][state]

    def _inside(self, event: e.Event) -> None:
        if not isinstance(event, e.InItem):
            self._close(event)
            return
        if event.item_id != self._item_id or event.output_index != self._output_index:
            raise GrammarError(f"{type(event).__name__} names item {event.item_id!r}, open is {self._item_id!r}")
        kind: _Key = type(event)
        if kind in _PART_EVENTS:
            kind = type(event), type(event.part)  # type: ignore[attr-defined]
        state = self._item_moves.get(kind)
        if state is None:
            raise self._illegal(event)
        if state is not self._item_state:
            self._enter(state)

    def _close(self, event: e.Event) -> None:
        closable = self._item_state in _CLOSABLE[self._item_kind]
        if not isinstance(event, e.OutputItemDone) or not closable:
            raise self._illegal(event)
        if event.item.id != self._item_id or event.output_index != self._output_index:
            raise GrammarError(f"OutputItemDone closes {event.item.id!r}, open is {self._item_id!r}")
        self._state, self._item_moves, self._more = ResponseState.OPEN, {}, None

    def _illegal(self, event: e.Event) -> GrammarError:
        where = f"a {self._item_kind.__name__} in state {self._item_state.value!r}"
        return GrammarError(f"{type(event).__name__} is not legal in {where}")
