"""Continuing a response after its engine is gone, with or without its process: whether it can, how often, and what its
client is told.

The next engine is given the generated tokens and returns those that follow. If the sampling has a seed, or needs none,
they are the ones that would have followed anyway (`exact`); otherwise they are another sample (`prefix_exact`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from realtime.engine.base import EngineDead, EngineError, Loaded, Sampling
from realtime.observability.observer import Observer
from realtime.observability.report import After
from realtime.store.event_log import EventLog
from realtime.store.records import Begun, GoesOn, Note
from realtime.wire.errors import ErrorCode
from realtime.wire.response import Recovery, Response

from .endings import Ended, Failed, failure
from .past import Past
from .serving import Continuity

MAX_ATTEMPTS = 3  # engines that one response may be given to
_MAX_WAITS = 10  # for one that takes it
_SEED_BITS = 62
_RESTARTED = ErrorCode.SERVER_RESTARTED.value.code
_REASONS = {
    "engine": "the engine can't go on with an answer",
    "model_changed": "it serves another model, or serves it in another way",
    "prompt_not_stored": "what the model was given is not stored, and can't be made again",
    "mcp": "what MCP servers need is not stored, or whether a call of theirs was made is not known",
    "compaction": "what its history was replaced by is not stored",
    "diverged": "what was said can't be made again",
    "not_found": "what it continues is not there any more",
    "attempts": f"it has ended in the middle of it {MAX_ATTEMPTS} times",
}


class GoingOn:
    """The continuation of one response. `attempts`: engines that it was given to, not counting those that ended as
    planned.
    """

    def __init__(
        self, continuity: Continuity, observer: Observer, response: Response, log: EventLog,
        note: Callable[[Note], None], past: Past | None,
    ) -> None:  # fmt: skip
        self.attempts = past.attempts if past is not None else 1
        self._after: After = "engine" if past is None else "drain" if past.unfinished.left else "server"
        self._untold: str | None = None  # outcome of which the observer is told when the next engine is asked
        self._observer = observer
        self._continuity = continuity
        self._response = response
        self._log = log
        self._note = note
        self._num_waits = 0

    def close(self) -> None:
        """Drop the references to the run."""
        self._note = _nothing

    @property
    def can_go_on(self) -> bool:
        """Return whether an engine can continue an answer, and there will be an engine."""
        return self._continuity.goes_on and self._continuity.wait_ready is not None

    def seeded(self, wishes: Sampling, begun: Begun | None) -> Sampling:
        """Give a generation a seed, if that costs nothing: then the same tokens can be sampled again. `begun`: how it
        was begun before.
        """
        if begun is not None:
            return msgspec.structs.replace(wishes, seed=begun.seed)
        if wishes.seed is not None or wishes.temperature == 0 or not self._continuity.seeds_are_free:
            return wishes
        return msgspec.structs.replace(wishes, seed=secrets.randbits(_SEED_BITS))

    def check(self, past: Past) -> None:
        """Refuse a generation that can't be continued. Raises Ended."""
        reason = self._obstacle(past)
        if reason is not None:
            raise Ended(self.failed(reason))

    def _obstacle(self, past: Past) -> str | None:
        generations = past.unfinished.generations
        if self.attempts > MAX_ATTEMPTS:
            return "attempts"
        if past.head.lacks_secrets:
            return "mcp"
        if not generations:
            return None  # it begins once more
        if not self._continuity.goes_on:
            return "engine"
        if any(one.begun.fingerprint != self._continuity.fingerprint for one in generations):
            return "model_changed"
        if past.has_compaction:
            return "compaction"
        return None

    def tell(self, *, exact: bool) -> None:
        """Record in the Response that it has continued."""
        recovery = Recovery(kind="exact" if exact else "prefix_exact", attempts=self.attempts)
        self._response.recovery, self._untold = recovery, recovery.kind

    def asked(self, num_tokens: int) -> None:
        """Note that the engine was asked to continue after so many tokens."""
        if self._untold is not None:
            outcome, self._untold = self._untold, None
            self._observer.went_on(self._after, outcome, self._response.id, self.attempts, num_tokens)

    def failed(self, reason: str) -> Failed:
        """Record in the Response that it does not continue. Return the failure."""
        self._fail(reason)
        text = f"The server was restarted while this response ran, and {_REASONS[reason]}: send the request again."
        return Failed(_RESTARTED, text)

    async def survive(self, dead: EngineDead, begun: Begun, wishes: Sampling, *, given: bool) -> None:
        """Wait for the next engine, which must be like the one that has died. `given`: that one had the request, and
        may have died of it. Raises Ended.
        """
        self.attempts += given
        self._after = "engine"
        self._num_waits += 1
        if self._num_waits > _MAX_WAITS:
            raise Ended(self._died(dead, "engine"))
        if not self.can_go_on or self.attempts > MAX_ATTEMPTS:
            raise Ended(self._died(dead, "engine" if self.attempts <= MAX_ATTEMPTS else "attempts"))
        if given:
            self._note(GoesOn(attempts=self.attempts, epoch=self._log.epoch))
        await self.find_engine(dead, begun)
        if given:
            self.tell(exact=is_exact(wishes))

    async def find_engine(self, dead: EngineDead, begun: Begun) -> None:
        """Wait for an engine like the one that has begun this, if that one no longer serves. Raises Ended."""
        ready = self._continuity.wait_ready
        assert ready is not None
        try:
            async with asyncio.timeout(self._continuity.wait_seconds):
                loaded: Loaded = await ready()
        except (EngineError, TimeoutError):
            raise Ended(self._died(dead, "engine")) from None
        if loaded.fingerprint != begun.fingerprint:
            raise Ended(self._died(dead, "model_changed"))

    def _fail(self, reason: str) -> None:
        attempts, self._untold = min(self.attempts, MAX_ATTEMPTS), None
        self._response.recovery = Recovery(kind="failed", attempts=attempts, reason=reason)
        self._observer.went_on(self._after, reason, self._response.id, attempts)

    def _died(self, dead: EngineDead, reason: str) -> Failed:
        self._fail(reason)
        if reason != "attempts":
            return failure(dead)
        text = f"The engine stopped {MAX_ATTEMPTS} times while it generated this response, which is given up."
        return Failed("server_error", text)


def is_exact(wishes: Sampling) -> bool:
    """Return whether the tokens that follow are those that would have followed, if the engine is asked again."""
    return wishes.seed is not None or wishes.temperature == 0


def _nothing(note: Note) -> None:
    """Replace the run's `note` once the run is over."""
