"""How a response goes on when the engine that generated it is gone, with its process or without: whether it can, how
often, and what its client is told.

What had been generated is given to the next engine, which returns what follows. Where the sampling has a seed, or needs
none, that is what would have followed (`exact`); otherwise it is another sample (`prefix_exact`).
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
    """One response's. `attempts`: engines that it has been given to, less those that came to a planned end."""

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
        """Let go of the run."""
        self._note = _nothing

    @property
    def can_go_on(self) -> bool:
        """Whether an engine takes what there is of an answer, and there will be one."""
        return self._continuity.goes_on and self._continuity.wait_ready is not None

    def seeded(self, wishes: Sampling, begun: Begun | None) -> Sampling:
        """Give a generation a seed, where that costs nothing: with it the same tokens can be sampled again. `begun`:
        how it was begun before.
        """
        if begun is not None:
            return msgspec.structs.replace(wishes, seed=begun.seed)
        if wishes.seed is not None or wishes.temperature == 0 or not self._continuity.seeds_are_free:
            return wishes
        return msgspec.structs.replace(wishes, seed=secrets.randbits(_SEED_BITS))

    def check(self, past: Past) -> None:
        """Refuse what can't be gone on with. Raises Ended."""
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
        """Say in the Response that it has gone on."""
        recovery = Recovery(kind="exact" if exact else "prefix_exact", attempts=self.attempts)
        self._response.recovery, self._untold = recovery, recovery.kind

    def asked(self, num_tokens: int) -> None:
        """The engine is asked for what follows behind so many tokens."""
        if self._untold is not None:
            outcome, self._untold = self._untold, None
            self._observer.went_on(self._after, outcome, self._response.id, self.attempts, num_tokens)

    def failed(self, reason: str) -> Failed:
        """Say in the Response that it does not go on; return the failure."""
        self._fail(reason)
        text = f"The server was restarted while this response ran, and {_REASONS[reason]}: send the request again."
        return Failed(_RESTARTED, text)

    async def survive(self, dead: EngineDead, begun: Begun, wishes: Sampling, *, given: bool) -> None:
        """Wait for the next engine, that is like the one which has died. `given`: that one had the request, and may
        have died of it. Raises Ended.
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
        """Wait for an engine that is like the one which has begun this, if it serves no more. Raises Ended."""
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
    """Whether what follows is what would have followed, if the engine is asked again."""
    return wishes.seed is not None or wishes.temperature == 0


def _nothing(note: Note) -> None:
    """In the place of the run's `note` once it is over."""
