"""The order of a response's events, as tables (docs/protocol.md, 2.2).

`Grammar` follows one response. It refuses what no table allows, so an illegal order is one readable error at the
place that produced it, not a client's crash later. Two levels: the response, and inside it the open item.
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
    """The producer tried an event that is not legal here: a bug of ours, never of a client."""


class R(enum.Enum):
    """States of a response."""

    IDLE = "idle"
    CREATED = "created"
    QUEUED = "queued"
    OPEN = "open"
    ITEM = "item"
    SEALED = "sealed"


class I(enum.Enum):  # noqa: E742 - the states of an item, beside R
    """States of an open item."""

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


_RESPONSE: dict[R, dict[type[e.Event], R]] = {
    R.IDLE: {e.ResponseCreated: R.CREATED},
    R.CREATED: {
        e.ResponseQueued: R.QUEUED,
        e.ResponseInProgress: R.OPEN,
        e.ResponseCompleted: R.SEALED,  # a warm-up: created, completed
        e.ResponseIncomplete: R.SEALED,
        e.ResponseFailed: R.SEALED,
    },
    R.QUEUED: {e.ResponseInProgress: R.OPEN, e.ResponseIncomplete: R.SEALED, e.ResponseFailed: R.SEALED},
    R.OPEN: {
        e.OutputItemAdded: R.ITEM,
        e.ResponseCompleted: R.SEALED,
        e.ResponseIncomplete: R.SEALED,
        e.ResponseFailed: R.SEALED,
    },
    R.ITEM: {},  # see _ITEM; closed by OutputItemDone
    R.SEALED: {},
}

# Inside an item. A part event is looked up with the class of its part.
_Key = type | tuple[type, type]
_ITEM: dict[type, dict[I, dict[_Key, I]]] = {
    Message: {
        I.BARE: {(e.ContentPartAdded, OutputText): I.TEXT},
        I.TEXT: {e.OutputTextDelta: I.TEXT, e.OutputTextDone: I.TEXT_DONE},
        I.TEXT_DONE: {(e.ContentPartDone, OutputText): I.PARTS},
        I.PARTS: {(e.ContentPartAdded, OutputText): I.TEXT},
    },
    Reasoning: {
        I.BARE: {
            (e.ContentPartAdded, ReasoningText): I.REASONING,
            e.ReasoningSummaryPartAdded: I.SUMMARY,
        },
        I.REASONING: {e.ReasoningTextDelta: I.REASONING, e.ReasoningTextDone: I.REASONING_DONE},
        I.REASONING_DONE: {(e.ContentPartDone, ReasoningText): I.BARE},
        I.SUMMARY: {e.ReasoningSummaryTextDelta: I.SUMMARY, e.ReasoningSummaryTextDone: I.SUMMARY_DONE},
        I.SUMMARY_DONE: {e.ReasoningSummaryPartDone: I.BARE},
    },
    FunctionCall: {
        I.BARE: {e.FunctionCallArgumentsDelta: I.ARGUMENTS, e.FunctionCallArgumentsDone: I.ARGUMENTS_DONE},
        I.ARGUMENTS: {
            e.FunctionCallArgumentsDelta: I.ARGUMENTS,
            e.FunctionCallArgumentsDone: I.ARGUMENTS_DONE,
        },
        I.ARGUMENTS_DONE: {},
    },
    CustomToolCall: {
        I.BARE: {e.CustomToolCallInputDelta: I.ARGUMENTS, e.CustomToolCallInputDone: I.ARGUMENTS_DONE},
        I.ARGUMENTS: {e.CustomToolCallInputDelta: I.ARGUMENTS, e.CustomToolCallInputDone: I.ARGUMENTS_DONE},
        I.ARGUMENTS_DONE: {},
    },
    Compaction: {
        I.BARE: {e.CompactionCompacting: I.COMPACTING},
        I.COMPACTING: {},
    },
    ShellCall: {
        I.BARE: {e.ShellCallCommandAdded: I.COMMAND},
        I.COMMAND: {e.ShellCallCommandDelta: I.COMMAND, e.ShellCallCommandDone: I.BARE},
    },
    LocalShellCall: {I.BARE: {}},
    ApplyPatchCall: {I.BARE: {}},
    ToolSearchCall: {I.BARE: {}},
    McpListTools: {
        I.BARE: {e.McpListToolsInProgress: I.AT_WORK},
        I.AT_WORK: {e.McpListToolsCompleted: I.ENDED, e.McpListToolsFailed: I.ENDED},
        I.ENDED: {},
    },
    McpCall: {
        I.BARE: {e.McpCallInProgress: I.ARGUMENTS},
        I.ARGUMENTS: {e.McpCallArgumentsDelta: I.ARGUMENTS, e.McpCallArgumentsDone: I.AT_WORK},
        I.AT_WORK: {e.McpCallCompleted: I.ENDED, e.McpCallFailed: I.ENDED},
        I.ENDED: {},
    },
    McpApprovalRequest: {I.BARE: {}},
}
_PART_EVENTS = frozenset({e.ContentPartAdded, e.ContentPartDone})
# Where an item may be closed.
_CLOSABLE: dict[type, frozenset[I]] = {
    Message: frozenset({I.PARTS}),
    Reasoning: frozenset({I.BARE}),
    FunctionCall: frozenset({I.ARGUMENTS_DONE}),
    CustomToolCall: frozenset({I.ARGUMENTS_DONE}),
    Compaction: frozenset({I.COMPACTING}),
    ShellCall: frozenset({I.BARE}),
    LocalShellCall: frozenset({I.BARE}),
    ApplyPatchCall: frozenset({I.BARE}),
    ToolSearchCall: frozenset({I.BARE}),
    McpListTools: frozenset({I.ENDED}),
    McpCall: frozenset({I.ENDED}),
    McpApprovalRequest: frozenset({I.BARE}),
}


class Grammar:
    """Checks one response's events in the order in which they are appended. `sealed`: the terminal event has passed."""

    __slots__ = ("_item_id", "_item_kind", "_item_moves", "_item_state", "_output_index", "_state", "sealed")

    def __init__(self) -> None:
        self._state = R.IDLE
        self._item_kind: type = type(None)
        self._item_state = I.BARE
        self._item_moves: dict[_Key, I] = {}  # the row of _ITEM for kind and state, so that a delta is one look-up
        self._item_id: object = None
        self._output_index = -1
        self.sealed = False

    def accept(self, event: e.Event) -> None:
        """Move on, or raise GrammarError and change nothing."""
        if self._state is R.ITEM:
            self._inside(event)
            return
        state = _RESPONSE[self._state].get(type(event))
        if state is None:
            raise GrammarError(f"{type(event).__name__} is not legal in state {self._state.value!r}")
        if state is R.ITEM:
            self._open(event)
        self._state = state
        self.sealed = state is R.SEALED

    def abandon(self) -> None:
        """Whatever is open stays open: nothing is legal any more."""
        self._state = R.SEALED

    def _open(self, event: e.Event) -> None:
        assert isinstance(event, e.OutputItemAdded)
        if event.output_index != self._output_index + 1:
            raise GrammarError(f"output_index {event.output_index} after {self._output_index}")
        self._output_index = event.output_index
        self._item_kind, self._item_id = type(event.item), event.item.id
        self._enter(I.BARE)

    def _enter(self, state: I) -> None:
        self._item_state = state
        self._item_moves = _ITEM[self._item_kind][state]

    def _inside(self, event: e.Event) -> None:
        if not isinstance(event, e.InItem):
            self._close(event)
            return
        if event.item_id != self._item_id or event.output_index != self._output_index:
            raise GrammarError(f"{type(event).__name__} names item {event.item_id!r}, open is {self._item_id!r}")
        state = self._item_moves.get(_key(event))
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
        self._state = R.OPEN

    def _illegal(self, event: e.Event) -> GrammarError:
        where = f"a {self._item_kind.__name__} in state {self._item_state.value!r}"
        return GrammarError(f"{type(event).__name__} is not legal in {where}")


def _key(event: e.InItem) -> _Key:
    """What `_ITEM` lists an event by."""
    kind = type(event)
    return (kind, type(event.part)) if kind in _PART_EVENTS else kind  # type: ignore[attr-defined]
