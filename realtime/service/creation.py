"""Creation: from a request to the response that it started, or that an earlier attempt at it started.

It looks up, decides and starts. `lookups` finds what is known of the request; `intake` makes a job of it, without input
or output; `run_tasks` gives the job a place and a run. Only look-ups are awaited: all that follows the last one happens
in one step of the event loop, and what takes time happens in the run's task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from realtime.context.turns import Turn
from realtime.store.base import Claim, Stores
from realtime.store.cluster.membership import HeldElsewhere
from realtime.store.records import Source
from realtime.wire.ids import home_of

from .checks import check_background, check_history, check_request
from .intake import Asked, Intake
from .lookups import Lookups
from .run_tasks import RunTasks
from .servings import Servings

logger = logging.getLogger("realtime.service")


class Creation:
    """The creation of responses. `new_id`: makes an id with this prefix."""

    def __init__(
        self, stores: Stores, lookups: Lookups, intake: Intake, servings: Servings, run_tasks: RunTasks,
        new_id: Callable[[str], str],
    ) -> None:  # fmt: skip
        self._stores = stores
        self._lookups = lookups
        self._intake = intake
        self._servings = servings
        self._run_tasks = run_tasks
        self._new_id = new_id
        self._tries: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def create(self, asked: Asked, parent: Turn | None) -> Source:
        """Create a response; see Service.create. Raises WireError, HeldElsewhere and TriedElsewhere."""
        if asked.request.request_id is None:
            return await self._create(asked, parent)
        lock = self._tries.setdefault((asked.tenant, asked.request.request_id), asyncio.Lock())
        async with lock:  # between claim and start nobody may take the claim for one that came to nothing
            return await self._create(asked, parent)

    async def _create(self, asked: Asked, parent: Turn | None) -> Source:
        tenant, request = asked.tenant, asked.request
        earlier = await self._lookups.earlier_attempt(tenant, request, time.time(), asked.asker)
        if earlier.source is not None:
            return earlier.source
        self._run_tasks.check_open()
        serving = self._servings.now()
        check_request(request, serving.model, serving.dialect)
        check_background(request)
        check_history(request)
        try:
            found = await self._lookups.find(tenant, request, parent, time.time())
        except HeldElsewhere as error:
            membership, claim = self._stores.membership, earlier.claim
            if membership is not None and claim is not None:
                error.tried_here = home_of(claim.response_id) == membership.node
            raise
        if request.unknown:
            logger.debug("unknown members tenant=%s members=%s", tenant, list(request.unknown))
        response_id, at, holds = self._new_id("resp"), int(time.time()), serving.dialect.holds
        job = self._intake.job(asked, found, serving.model, holds, response_id, at)
        if request.request_id is None:
            return self._run_tasks.start(job, self._servings.now())  # the engine may have died while we were looking
        requests, claim = self._stores.requests, Claim(job.response_id, job.digest)
        try:
            if await requests.claim(tenant, request.request_id, claim, earlier.claim) is None:
                settled = self._lookups.settle(request, found)
                if settled is not found:
                    job = self._intake.job(asked, settled, serving.model, holds, response_id, at)
                return self._run_tasks.start(job, self._servings.now())
        except BaseException:
            requests.release(tenant, request.request_id, job.response_id)
            raise
        return await self._create(asked, parent)  # another process was faster
