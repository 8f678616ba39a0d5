"""The things that a run shares with its parts: the job, the engine, its state, and how events are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from realtime.dialects.base import Parser, Piece
from realtime.engine.base import TokenChunk
from realtime.observability.observer import Watch
from realtime.store.event_log import EventLog
from realtime.store.records import Note
from realtime.wire import events
from realtime.wire.response import Response

from .job import Job
from .life import Life
from .past import Past
from .serving import Serving
from .stop_signal import StopSignal
from .straight_way import StraightWay


class Append(Protocol):
    """A function that takes new events, and the engine's chunks that they were made of."""

    def __call__(self, new: Iterable[events.Event], chunk: TokenChunk | None = None) -> None: ...


class Shared(NamedTuple):
    """The things that a run shares with its parts.

    append: takes the new events. watch: gives the trace headers for other servers. log, note: see GoingOn. past: what
    was made before this process began. straighten: see Generation.
    """

    job: Job
    serving: Serving
    response: Response
    life: Life
    stopping: StopSignal
    append: Append
    watch: Watch
    log: EventLog
    note: Callable[[Note], None]
    past: Past | None
    straighten: Callable[[Parser, Piece], StraightWay | None] | None


def refuse(new: Iterable[events.Event], chunk: TokenChunk | None = None) -> None:
    """Replace the run's `append` once the run is over."""
    raise AssertionError("an event after the end")


def note_nothing(note: Note) -> None:
    """Replace the run's `note` once the run is over."""
