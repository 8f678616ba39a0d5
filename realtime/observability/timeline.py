"""The times of one response, noted while it lives and read when it is over. Pure: the caller gives the clock's time.

All times are seconds on the monotonic clock; `began_unix` is the unix time of the first one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec


class GenerationTimes(msgspec.Struct):
    """The times of one generation on the engine. `first_at`: when its first tokens came. `aside_seconds`: how long it
    was put aside.
    """

    began_at: float
    first_at: float | None = None
    ended_at: float | None = None
    aside_seconds: float = 0.0


class Stage(NamedTuple):
    """A stretch of a response's life. `name`: the name of its state."""

    name: str
    began_at: float
    ended_at: float

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.ended_at - self.began_at


class Timeline:
    """The times of one response. `generations`: those whose tokens are its answer, in order."""

    __slots__ = ("began_at", "began_unix", "ended_at", "entered", "generations", "stop_asked_at")

    def __init__(self, now: float, unix: float) -> None:
        self.began_at = now
        self.began_unix = unix
        self.ended_at: float | None = None
        self.stop_asked_at: float | None = None  # when somebody wanted it to end
        self.generations: list[GenerationTimes] = []
        self.entered: list[tuple[str, float]] = []  # states, and when

    def unix(self, at: float) -> float:
        """Return the unix time of a moment."""
        return self.began_unix + at - self.began_at

    @property
    def first_token_at(self) -> float | None:
        """Return when the first of the answer was available to the client."""
        for one in self.generations:
            if one.first_at is not None:
                return one.first_at
        return None

    def stages(self) -> Iterator[Stage]:
        """Yield all states but the last one, in order."""
        for (name, began_at), (_, ended_at) in zip(self.entered, self.entered[1:], strict=False):
            yield Stage(name, began_at, ended_at)

    def seconds_in(self, state: str) -> float:
        """Return the time spent in a state, over all visits."""
        seconds, since = 0.0, None
        for entered, at in self.entered:
            if since is not None:
                seconds += at - since
            since = at if entered == state else None
        return seconds
