"""Metrics of remote engines. Each engine is labelled by its number in the settings, never by its address.

A server has one set of them, whichever engines come and go. `EngineView` is what `/ready` reports of one engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from prometheus_client import Metric

from .instruments import Labels, Tally, gauge


class EngineView(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one engine: `serving`, `out` (it is tried again) or `unfit` (it answers, but can't serve here)."""

    state: str
    since: float
    requests: int = 0
    last_error: str | None = None
    alike: bool = True  # with the first one: an answer that another began may go on there
    goes_on: bool = False


class FleetMetrics:
    """The metrics of all remote engines. `views` is set by the owner of the engines.

    `by`: why an engine was chosen: `prefix` or `load`. `kind`: unreachable, broken, silent, untrue, refused,
    overloaded or check. `proof`: that an abort has ended a generation: its final `event`, or we `closed` the
    connection.
    """

    def __init__(self) -> None:
        self.views: Sequence[EngineView] = ()
        self.placed = Tally("realtime_remote_placed", "Generations given to an engine.", ("engine", "by"))
        self.moved = Tally("realtime_remote_moved", "Generations taken from an engine that failed.", ("engine",))
        self.failures = Tally("realtime_remote_failures", "Failures of an engine, by kind.", ("engine", "kind"))
        self.ejections = Tally("realtime_remote_ejections", "Times that an engine was put out.", ("engine",))
        self.aborts = Tally("realtime_remote_aborts", "Aborted generations, by proof.", ("engine", "proof"))
        self.prefix_tokens = Tally("realtime_remote_prefix_tokens", "Prompt tokens sent to where they were before.")

    def collect(self) -> Iterator[Tally | Metric]:
        """Yield all families; none without remote engines."""
        if not self.views:
            return
        names = [(str(number),) for number in range(len(self.views))]
        up: dict[Labels, float] = {name: view.state == "serving" for name, view in zip(names, self.views, strict=True)}
        held: dict[Labels, float] = {name: view.requests for name, view in zip(names, self.views, strict=True)}
        yield gauge("realtime_remote_up", "1 while an engine is given requests.", up, ("engine",))
        yield gauge("realtime_remote_requests", "Generations that an engine has of this server.", held, ("engine",))
        yield from (self.placed, self.moved, self.failures, self.ejections, self.aborts, self.prefix_tokens)
