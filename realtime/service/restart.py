"""Restart: enter the responses that ran when the last process ended as runs, which continue once an engine serves.

They exist at once, so that clients can follow, stop and find them while the engine is still loading.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

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
from realtime.wire.errors import WireError, store_unavailable

from .commits import committed
from .intake import Intake
from .lookups import Lookups
from .recovery import end_one, past_of
from .servings import Servings

logger = logging.getLogger("realtime.service")

NOT_STORED = "not_stored"  # outcome of what is not entered again
_STORE_SECONDS = 5.0  # for which a server that is alone waits for its store
_MAX_LOOKS, _LOOK_SECONDS = 20, 0.25  # at a conversation, while the store is away
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
        owned: Callable[[], bool] = lambda: True,
    ) -> Recovered:  # fmt: skip
        """Continue the responses that can, and end the others: whatever one of them is, the others are not left lying.
        `told`: whether one goes on. `owned`: whether they are still this process's. Raises WireError when they are not.
        """
        num_going_on = num_ended = 0
        found = [(one, self._past_of(one)) for one in unfinished]
        await self._store([past for _, past in found if past is not None])
        for one, past in found:
            goes_on = past is not None and await self._go_on(past, owned)
            _check(owned)
            told(one, goes_on)
            if goes_on:
                num_going_on += 1
            else:
                self._end(one, model_name)
                num_ended += 1
        return Recovered(num_going_on, num_ended)

    def _past_of(self, unfinished: Unfinished) -> Past | None:
        try:
            return past_of(unfinished, self._settings)
        except ValueError:
            return None
        except Exception:  # whatever is in the file: the others, and the server, must start
            logger.exception("response does not go on response_id=%s", unfinished.head.response_id)
            return None

    async def _store(self, pasts: Sequence[Past]) -> None:
        """Commit what the readers of these logs will be told of them. Raises WireError when nothing can be written any
        more.
        """
        notes = [(past.head.response_id, past.log.stored_tip, past.entered) for past in pasts]
        for response_id, first, note in notes:
            if note is not None:
                self._stores.responses.note(response_id, first, note)
        in_cluster = self._stores.membership is not None  # where the lease bounds the time
        try:
            async with asyncio.timeout(None if in_cluster else _STORE_SECONDS):
                await committed(self._stores.batches)
        except TimeoutError:  # a full disk, say: what is there is served
            logger.warning("responses go on before the store can be written")

    def _end(self, unfinished: Unfinished, model_name: str) -> None:
        end_one(unfinished, self._stores.responses, self._settings, model_name, time.time())
        self._servings.observer.went_on(
            "drain" if unfinished.left else "server", NOT_STORED, unfinished.head.response_id, unfinished.attempts
        )

    async def _go_on(self, past: Past, owned: Callable[[], bool]) -> bool:
        """Enter a response as a run. Return False if it can't be. Raises WireError if it is not this process's any
        more.
        """
        try:
            conversation = await self._conversation_of(past, owned)
            _check(owned)
            job = self._intake.unprepared(past, conversation)
            run = self._begin(job, self._servings.none_yet(), past, lambda: self._ready(job, past))
        except (ValueError, WireError, HeldElsewhere):  # the last: another node has its conversation in memory
            return False
        except Exception:
            logger.exception("response does not go on response_id=%s", past.head.response_id)
            return False
        if job.on_disconnect.policy == "cancel":
            run.cancel(Cancelled(DISCONNECTED))
        return True

    async def _conversation_of(self, past: Past, owned: Callable[[], bool]) -> Conversation | None:
        head = past.head
        if head.request.conversation_id is None:
            return None
        for _ in range(_MAX_LOOKS):
            try:
                return await self._stores.conversations.get(head.owner, head.request.conversation_id)
            except WireError as error:  # a store that is away for a moment must not cost the response
                if not error.spec.retry or not owned():
                    raise
            await asyncio.sleep(_LOOK_SECONDS)
        raise store_unavailable()

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


def _check(owned: Callable[[], bool]) -> None:
    """Refuse to do anything about what another process may go on with. Raises WireError."""
    if not owned():
        raise store_unavailable()
