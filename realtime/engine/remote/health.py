"""An engine's health: the rules by which it is put out and comes back. Pure.

An engine starts outside. It comes in when it has introduced itself (see `introduction`). Failures in a row put it out:
failed checks, broken requests. It is then asked to introduce itself again, after waits that grow with each failure. Any
delivery proves that an engine is alive, even if it was too busy to pass a check.
"""

from __future__ import annotations

import enum

from realtime.engine.backoff import Backoff

FAILURES_TO_EJECT = 3


class State(enum.Enum):
    """The standing of an engine."""

    OUT = "out"  # not asked yet, or it failed; it is tried again
    SERVING = "serving"
    UNFIT = "unfit"  # it answers, but can't serve: another model, a wrong key, an endpoint that is off


class Health:
    """One engine's health. All times in seconds on one clock."""

    def __init__(self, backoff: Backoff, now: float) -> None:
        self.state = State.OUT
        self.why: str | None = None  # the last failure, also when it serves again
        self.since = now
        self._backoff = backoff
        self._failures = 0  # in a row
        self._attempts = 0  # to come in, in a row
        self._next_at = now

    @property
    def serves(self) -> bool:
        """Return whether it is given requests."""
        return self.state is State.SERVING

    def due(self, now: float) -> bool:
        """Return whether it should be asked to introduce itself."""
        return not self.serves and now >= self._next_at

    def admitted(self, now: float) -> None:
        """Note that it has introduced itself, and can serve."""
        self._set(State.SERVING, now)
        self._failures = 0

    def refused(self, why: str, now: float, *, unfit: bool, jitter: float = 0.0) -> None:
        """Note that it has not come in. `jitter`: a share of the wait that is added to it."""
        self.why = why
        self._set(State.UNFIT if unfit else State.OUT, now)
        self._next_at = now + self._backoff.seconds(self._attempts) * (1 + jitter)
        self._attempts += 1

    def succeeded(self) -> None:
        """Note that it has passed a check, or delivered something."""
        self._failures = self._attempts = 0

    def failed(self, why: str, now: float, *, surely: bool = False) -> bool:
        """Note a failed check or request. Return whether that put it out. `surely`: it certainly can't serve, by its
        own word or because nobody is there; any other failure may be temporary.
        """
        if not self.serves:
            return False
        self.why = why
        self._failures += 1
        if not surely and self._failures < FAILURES_TO_EJECT:
            return False
        self._set(State.OUT, now)
        self._next_at = now + self._backoff.seconds(self._attempts)
        self._attempts += 1
        return True

    def _set(self, state: State, now: float) -> None:
        if state is not self.state:
            self.state, self.since = state, now
