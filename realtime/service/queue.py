"""The queue of a service: its scheduler, with a clock, a timer and the responses that wait for their turns."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from realtime.engine.base import Capacity
from realtime.engine.supervisor import SupervisedEngine
from realtime.runs.audience import CallLater, Timer
from realtime.runs.endings import WAITED_TOO_LONG
from realtime.runs.job import Job
from realtime.runs.run import Run
from realtime.runs.usage import Used
from realtime.settings.fields import ResponseSettings, SchedulingSettings
from realtime.settings.tenants import UNLIMITED, TenantLimits
from realtime.wire.errors import WireError
from realtime.wire.events import QueuePlace
from realtime.wire.response import RateLimit

from .permits import queue_place, rate_limits, take_permit
from .scheduler import LOOK_SECONDS, AsideRules, Prices, Scheduler
from .tenant_share import TenantShare, everything
from .timers import call_later

LimitsOf = Callable[[str], TenantLimits]


def no_limits(tenant: str) -> TenantLimits:
    """Return the limits of a tenant that has none."""
    return UNLIMITED


class Queue:
    """The queue of a service. `running`: all responses that are not over, by id, including those that wait."""

    def __init__(
        self,
        settings: ResponseSettings,
        scheduling: SchedulingSettings,
        running: Mapping[str, Run],
        engine: SupervisedEngine,
        tenant_share: TenantShare = everything,
        limits_of: LimitsOf = no_limits,
        call_later: CallLater = call_later,
    ) -> None:
        self._running = running
        self._max_seconds = scheduling.max_queue_seconds
        self._clock = time.monotonic
        self._call_later = call_later
        self._timer: Timer | None = None
        self._due_at = math.inf  # when the timer is
        self._read: list[str] = []  # responses of which a prompt was read, which are to be looked at in the next step
        self.scheduler = Scheduler(
            max_running=settings.max_running_responses,
            max_waiting=settings.max_waiting_responses,
            max_waiting_in_group=settings.max_waiting_per_conversation,
            tenant_share=tenant_share,
            limits_of=limits_of,
            used=self._used,
            capacity=lambda: engine.loaded.capacity if engine.loaded is not None else Capacity(),
            prices=Prices(scheduling.input_token_price, scheduling.output_token_price),
            aside_rules=AsideRules(scheduling.max_times_put_aside, scheduling.put_aside_seconds),
            may_put_aside=self._may_put_aside,
        )

    def take(self, job: Job, *, accepted: bool = False) -> bool:
        """Ask for a place. Return whether it may run now; otherwise it is told later. See take_permit. Raises
        WireError.
        """
        now = self._clock()
        try:
            admitted = take_permit(self.scheduler, job, now, accepted=accepted, max_queue_seconds=self._max_seconds)
        except WireError as error:
            error.rate_limits = self.rate_limits(job.tenant)
            raise
        if not admitted:
            wanted = job.request.max_queue_seconds
            self._look_at(now + min(LOOK_SECONDS, math.inf if wanted is None else wanted))
            self._make_room()
        return admitted

    def give_back(self, response_id: str, used: Used | None = None) -> None:
        """Give a place back, and let those run whose turn it is. `used`: by the response, in all."""
        self._admit(self.scheduler.finish(response_id, self._clock(), used))

    def was_put_aside(self, response_id: str) -> None:
        """Note that the engine has aborted a response that was to be put aside: it waits, and others run."""
        now = self._clock()
        self._look_at(now + LOOK_SECONDS)
        self._admit(self.scheduler.was_put_aside(response_id, now))

    def prompt_read(self, response_id: str) -> None:
        """Note that a prompt was read, which may let another response run. The next step of the loop looks."""
        if self.scheduler.num_waiting:
            if not self._read:
                asyncio.get_running_loop().call_soon(self._look)
            self._read.append(response_id)

    def place(self, response_id: str) -> QueuePlace | None:
        """Return its place in the queue; None: it does not wait."""
        return queue_place(self.scheduler, response_id, self._clock())

    def rate_limits(self, tenant: str) -> list[RateLimit]:
        """Return what is left of a tenant's allowance per minute."""
        return rate_limits(self.scheduler, tenant, self._clock())

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due_at = None, math.inf

    def _used(self, response_id: str) -> Used | None:
        run = self._running.get(response_id)
        return run.used if run is not None else None

    def _may_put_aside(self, response_id: str) -> bool:
        run = self._running.get(response_id)
        return run is not None and run.may_be_put_aside

    def _admit(self, response_ids: list[str]) -> None:
        for response_id in response_ids:
            self._running[response_id].admit()
        self._make_room()

    def _make_room(self) -> None:
        """Put responses aside whose places others need."""
        for response_id in self.scheduler.to_put_aside(self._clock()):
            self._running[response_id].put_aside()

    def _look_at(self, due_at: float) -> None:
        if due_at < self._due_at:
            self.stop()
            self._due_at = due_at
            self._timer = self._call_later(max(0.0, due_at - self._clock()), self._look)

    def _look(self) -> None:
        self.stop()
        read, self._read = self._read, []
        due = self.scheduler.handle_deadline(now := self._clock(), read)
        self._admit(due.admitted)
        for response_id in due.expired:
            self._running[response_id].give_up(WAITED_TOO_LONG)
        if (deadline := self.scheduler.next_deadline(now)) is not None:
            self._look_at(deadline)
