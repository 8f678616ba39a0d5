"""Whether an engine is given requests: the rules of ejection and of coming back. Pure.

An engine starts outside. It comes in when it has introduced itself (see `endpoint`). Failures in a row put it out:
checks that fail, requests that break. It is then asked to introduce itself again, after waits that grow with each
failure to do so. What an engine has delivered proves that it lives, whatever a check says that it was too busy for.
"""

from __future__ import annotations

import enum

from realtime.engine.backoff import Backoff

FAILURES_TO_EJECT = 3


class State(enum.Enum):
    """Where an engine stands."""

    OUT = "out"  # not asked yet, or it failed; it is tried again
    SERVING = "serving"
    UNFIT = "unfit"  # it answers, but can't serve: another model, a wrong key, an endpoint that is off


class Health:
    """One engine's. All times in seconds on one clock."""

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
        """Whether it is given requests."""
        return self.state is State.SERVING

    def due(self, now: float) -> bool:
        """Whether it should be asked to introduce itself."""
        return not self.serves and now >= self._next_at

    def admitted(self, now: float) -> None:
        """It has introduced itself, and can serve."""
        self._set(State.SERVING, now)
        self._failures = 0

    def refused(self, why: str, now: float, *, unfit: bool, jitter: float = 0.0) -> None:
        """It has not come in. `jitter`: a share of the wait that is added to it."""
        self.why = why
        self._set(State.UNFIT if unfit else State.OUT, now)
        self._next_at = now + self._backoff.seconds(self._attempts) * (1 + jitter)
        self._attempts += 1

    def succeeded(self) -> None:
        """It has passed a check, or delivered something."""
        self._failures = self._attempts = 0

    def failed(self, why: str, now: float, *, surely: bool = False) -> bool:
        """It has failed a check or a request; tell whether that put it out. `surely`: it can't serve, by its own word
        or because nobody is there; anything else may have been a moment's weakness.
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
