"""An engine's health: the rules by which it is put out and comes back. Pure.

An engine starts outside. It comes in when it has introduced itself (see `introduction`). Failures in a row put it out:
failed checks, broken requests. It is then asked to introduce itself again, after waits that grow until it has served
for long. Any delivery proves that an engine is alive, even if it was too busy to pass a check. A passed check proves
less: vLLM says that it is healthy while its EngineCore hangs.

An engine that breaks answers in the middle is alive, and a request may be what breaks it. So it is not put out: it is
asked last for a while, until it completes an answer.
"""

from __future__ import annotations

import enum
import math

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
        self.heard_at = now  # when it last gave tokens to anybody, or came in
        self._backoff = backoff
        self._checks = 0  # that failed, in a row
        self._requests = 0  # that failed, without a token to anybody between them
        self._attempts = 0  # to come in, in a row
        self._next_at = now
        self._doubts = 0  # answers that it failed of since it completed one
        self._doubtful_until = -math.inf

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
        self.heard_at = now
        self._checks = self._requests = 0

    def refused(self, why: str, now: float, *, unfit: bool, jitter: float = 0.0) -> None:
        """Note that it has not come in. `jitter`: a share of the wait that is added to it."""
        self.why = why
        self._set(State.UNFIT if unfit else State.OUT, now)
        self._next_at = now + self._backoff.seconds(self._attempts) * (1 + jitter)
        self._attempts += 1

    def passed(self) -> None:
        """Note that it has passed a check."""
        self._checks = 0

    def delivered(self, now: float) -> None:
        """Note that it has given somebody tokens."""
        self._checks = self._requests = 0
        self.heard_at = now

    def failed(self, why: str, now: float, *, check: bool = False, surely: bool = False) -> bool:
        """Note a failed check or request. Return whether that put it out. `surely`: it certainly can't serve, by its
        own word or because nobody is there; any other failure may be temporary.
        """
        if not self.serves:
            return False
        self.why = why
        self._checks += check
        self._requests += not check
        if not surely and self._checks + self._requests < FAILURES_TO_EJECT:
            return False
        if now - self.since >= self._backoff.healthy_seconds:
            self._attempts = 0
        self._set(State.OUT, now)
        self._next_at = now + self._backoff.seconds(self._attempts)
        self._attempts += 1
        return True

    def doubt(self, now: float) -> None:
        """Note that it has failed of an answer, by whosever fault. Several at once are one failure."""
        if not self.is_doubtful(now):
            self._doubtful_until = now + self._backoff.seconds(self._doubts)
            self._doubts += 1

    def completed(self) -> None:
        """Note that it has completed an answer."""
        self._doubts, self._doubtful_until = 0, -math.inf

    def is_doubtful(self, now: float) -> bool:
        """Return whether it is asked last."""
        return now < self._doubtful_until

    def _set(self, state: State, now: float) -> None:
        if state is not self.state:
            self.state, self.since = state, now
