"""Restart: enter the responses that ran when the last process ended as runs, which continue once an engine serves.

They exist at once, so that clients can follow, stop and find them while the engine is still loading.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

import msgspec

from realtime.runs.audience import DISCONNECTED
from realtime.runs.endings import Cancelled
from realtime.runs.job import Job
from realtime.runs.past import Past
from realtime.runs.run import Ready, Run
from realtime.runs.serving import Serving
from realtime.settings.fields import ResponseSettings
from realtime.store.base import Stores
from realtime.store.cluster.membership import HeldElsewhere
from realtime.store.conversations import Conversation
from realtime.store.records import Unfinished
from realtime.wire.errors import WireError

from .intake import Intake
from .lookups import Lookups
from .recovery import end_one, past_of
from .servings import Servings

logger = logging.getLogger("realtime.service")

NOT_STORED = "not_stored"  # outcome of what is not entered again
Begin = Callable[[Job, Serving, Past, Ready], Run]
"""Enters a run that was accepted before, and starts it."""


class Recovered(msgspec.Struct, frozen=True):
    """The number of responses that continue, and of those that were ended."""

    num_going_on: int
    num_ended: int


class Restart:
    """The entry of recovered responses after a start."""

    def __init__(
        self, stores: Stores, settings: ResponseSettings, intake: Intake, lookups: Lookups, servings: Servings,
        begin: Begin,
    ) -> None:  # fmt: skip
        self._stores = stores
        self._settings = settings
        self._intake = intake
        self._lookups = lookups
        self._servings = servings
        self._begin = begin

    async def recover(self, model_name: str) -> Recovered:
        """Continue the responses that can, and end the others. Call it once, before anything is created. Raises
        WireError when the store can't be read.
        """
        return await self.take_over([one async for one in self._stores.responses.recover()], model_name)

    async def take_over(
        self, unfinished: Iterable[Unfinished], model_name: str,
        told: Callable[[Unfinished, bool], None] = lambda one, goes_on: None,
    ) -> Recovered:  # fmt: skip
        """Continue the responses that can, and end the others. `told`: whether one goes on."""
        store, now = self._stores.responses, time.time()
        num_going_on = num_ended = 0
        for one in unfinished:
            goes_on = await self._go_on(one)
            told(one, goes_on)
            if goes_on:
                num_going_on += 1
            else:
                end_one(one, store, self._settings, model_name, now)
                self._servings.observer.went_on(
                    "drain" if one.left else "server", NOT_STORED, one.head.response_id, one.attempts
                )
                num_ended += 1
        return Recovered(num_going_on, num_ended)

    async def _go_on(self, unfinished: Unfinished) -> bool:
        """Enter a response as a run. Return False if it can't be."""
        try:
            past = past_of(unfinished, self._settings)
            if past is None:
                return False
            job = self._intake.unprepared(past, await self._conversation_of(past))
        except (ValueError, WireError, HeldElsewhere):  # the last: another node has its conversation in memory
            return False
        except Exception:  # whatever is in the file: the others, and the server, must start
            logger.exception("response does not go on response_id=%s", unfinished.head.response_id)
            return False

        async def ready() -> tuple[Job, Serving]:
            return await self._ready(job, past)

        run = self._begin(job, self._servings.none_yet(), past, ready)
        if job.on_disconnect.policy == "cancel":
            run.cancel(Cancelled(DISCONNECTED))
        return True

    async def _conversation_of(self, past: Past) -> Conversation | None:
        head = past.head
        if head.request.conversation_id is None:
            return None
        return await self._stores.conversations.get(head.owner, head.request.conversation_id)

    async def _ready(self, job: Job, past: Past) -> tuple[Job, Serving]:
        """Wait for the engine, and complete the job of a response that continues. Raises WireError when the turn before
        it is gone, and EngineError.
        """
        serving = await self._servings.next()
        parent = past.parent
        if past.generation(1) is None:
            found = await self._lookups.find(job.tenant, job.request, None, time.time())
            parent = found.continued
        return self._intake.prepared(job, parent, serving.dialect.holds), serving
