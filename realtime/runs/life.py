"""The states of a run and the ways between them. Pure.

Theory of operation
===================

A run is in exactly one state, and `TRANSITIONS` is everything that may happen to it. Its own task moves it, with two
exceptions: `Run.start` decides whether it waits, and the scheduler ends each wait.

    created ──► queued ──► admitted ──► started ──► loading images ──► compacting ──► listing tools
       └───────────────────────▲           └──── each of these is skipped where there is nothing to do ────┐
                                                                                                           ▼
                                  put aside ◄──► generating ◄── rendering ◄────────────────────────────────┘
                                                     └──► calling tools ──▲
    any of them but created ──► ending ──► over

Before `started` the run holds nothing but its place in the queue, and of a conversation it does not know yet what is in
it: the responses before it may still add to that. So a run that ends while it waits leaves no turn behind.

From `started` on its history is fixed. What the client sees as `in_progress` are all the states from here to `ending`.
The states that wait for somebody else are `loading images` (the network and the pool), `compacting` (the pool and the
engine), `listing tools` and `calling tools` (MCP servers), `rendering` (the pool) and `generating` (the engine). Only
in `generating`, and in `compacting` while a summary is written, does the engine hold anything of the run; the state is
left when the engine has let go, and not before.

In `put aside` it holds nothing but its place in the queue again, and what there is of the answer: the scheduler, which
has had it put aside for another one, lets it go on (`Run.admit`).

Rendering, generating and calling tools go round as long as the model calls tools that the server runs.

A wish to stop (cancel, interrupt, steer) is not a state. It is kept in the run's `StopSignal`, which cancels what the
task awaits, and the task goes to `ending` from wherever it is. A steer waits for a safe point, and while tools are
called there is none.

`ending` closes what is open and appends the terminal event; nothing in it waits. `over` means that this event is in the
log, whatever happened, and that is the only state which is never left.
"""

from __future__ import annotations

import enum
from collections.abc import Callable


class State(enum.Enum):
    """The state of a run. The values are for people."""

    __hash__ = object.__hash__  # Enum's is Python code

    CREATED = "created"  # nothing of it is in its log
    QUEUED = "queued"  # waits for the scheduler
    ADMITTED = "admitted"  # has its slot
    STARTED = "started"  # knows its history
    LOADING_IMAGES = "loading images"
    COMPACTING = "compacting"  # measures the history, and makes it shorter if it is time
    LISTING_TOOLS = "listing tools"  # and makes the calls that the user has allowed since
    RENDERING = "rendering"
    GENERATING = "generating"
    PUT_ASIDE = "put aside"  # waits for the scheduler, in the middle of an answer
    CALLING_TOOLS = "calling tools"
    ENDING = "ending"
    OVER = "over"


class IllegalTransition(Exception):
    """An error: no transition leads from this state to that one, which is a bug of ours."""

    def __init__(self, here: State, there: State) -> None:
        ways = ", ".join(state.value for state in State if state in TRANSITIONS[here]) or "nothing"
        super().__init__(f"a run that is {here.value} can't become {there.value}; from here it becomes {ways}")


def _ways(*states: State) -> frozenset[State]:
    return frozenset((*states, State.ENDING))


TRANSITIONS: dict[State, frozenset[State]] = {
    State.CREATED: frozenset({State.QUEUED, State.ADMITTED}),
    State.QUEUED: _ways(State.ADMITTED),
    State.ADMITTED: _ways(State.STARTED),
    State.STARTED: _ways(State.LOADING_IMAGES, State.COMPACTING, State.LISTING_TOOLS, State.RENDERING),
    State.LOADING_IMAGES: _ways(State.COMPACTING, State.LISTING_TOOLS, State.RENDERING),
    State.COMPACTING: _ways(State.LISTING_TOOLS, State.RENDERING),
    State.LISTING_TOOLS: _ways(State.RENDERING),
    State.RENDERING: _ways(State.GENERATING),
    State.GENERATING: _ways(State.CALLING_TOOLS, State.PUT_ASIDE),
    State.PUT_ASIDE: _ways(State.GENERATING),
    State.CALLING_TOOLS: _ways(State.RENDERING),
    State.ENDING: frozenset({State.OVER}),
    State.OVER: frozenset(),
}
_UNSAFE = frozenset({State.CALLING_TOOLS, State.ENDING, State.OVER})


class Life:
    """One run's life. Only `enter` changes `state`; `entered` is called with the new state's value."""

    def __init__(self, entered: Callable[[str], None] = lambda state: None) -> None:
        self.state = State.CREATED
        self._entered = entered
        self.knows_history = False  # `started` was reached

    @property
    def queued(self) -> bool:
        """Return whether it waits for the scheduler."""
        return self.state is State.QUEUED

    @property
    def put_aside(self) -> bool:
        """Return whether it waits for the scheduler to let it continue."""
        return self.state is State.PUT_ASIDE

    @property
    def over(self) -> bool:
        """Return whether the terminal event is in the log."""
        return self.state is State.OVER

    @property
    def may_be_steered(self) -> bool:
        """Return whether the state allows a successor to take over."""
        return self.state not in _UNSAFE

    def enter(self, state: State) -> None:
        """Enter another state. Raises IllegalTransition, and then the state has not changed."""
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(self.state, state)
        self.state = state
        self._entered(state._value_)  # `value` is Python code
        self.knows_history = self.knows_history or state is State.STARTED
