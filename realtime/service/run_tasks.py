"""The runs of this process and their tasks: each is started here, stored when it is over, and ended with the process.

A run has a place in the queue, an entry in the registry and a task; what takes one of them gives it back here.
"""

from __future__ import annotations

import asyncio
import logging
import time

from realtime.runs.job import Job
from realtime.runs.past import Past
from realtime.runs.run import Ready, Run
from realtime.runs.serving import Serving
from realtime.runs.usage import UNUSED
from realtime.settings.fields import ResponseSettings
from realtime.store.base import Stores
from realtime.store.event_log import EventLog
from realtime.wire.errors import draining
from realtime.wire.ids import new_id

from .delivery import Delivery
from .queue import Queue
from .registry import Registry
from .sweeper import Sweeper

logger = logging.getLogger("realtime.service")


class RunTasks:
    """The runs of this process and their tasks. `tasks`: each has the name of its response."""

    def __init__(
        self, settings: ResponseSettings, stores: Stores, registry: Registry, queue: Queue, delivery: Delivery,
        sweeper: Sweeper,
    ) -> None:  # fmt: skip
        self.tasks: set[asyncio.Task[None]] = set()
        self._settings = settings
        self._stores = stores
        self._registry = registry
        self._queue = queue
        self._delivery = delivery
        self._sweeper = sweeper
        self._draining = False

    def check_open(self) -> None:
        """Refuse new work once that has been decided. Raises WireError."""
        if self._draining:
            raise draining()

    def start(self, job: Job, serving: Serving) -> Run:
        """Start a response, now or when its turn comes. A failure leaves nothing behind. Raises WireError."""
        self.check_open()
        admitted = self._queue.take(job)
        try:
            log = self._new_log(job)
            run = Run(
                job, serving, log, self._stores.responses, self._run_over, committed=self._delivery.log(log),
                withholds_end=self._delivery.withholds_end(job),
            )  # fmt: skip
            self._registry.place(run, time.time_ns())
            place, rate_limits = self._queue.place(job.response_id), self._queue.rate_limits(job.tenant)
            task = run.start(admitted=admitted, place=place, rate_limits=rate_limits)
        except BaseException:
            self._queue.give_back(job.response_id, UNUSED)
            self._stores.responses.delete(job.response_id)
            raise
        self._enter(run, task)
        return run

    def go_on(self, job: Job, serving: Serving, past: Past, ready: Ready) -> Run:
        """Start a response that an earlier process accepted."""
        admitted = self._queue.take(job, accepted=True)
        try:
            run = Run(
                job, serving, past.log, self._stores.responses, self._run_over, past, ready,
                self._delivery.log(past.log), withholds_end=self._delivery.withholds_end(job),
            )  # fmt: skip
            self._registry.place_again(run, past.head.begun_at)
            self._enter(run, run.start(admitted=admitted))
        except BaseException:
            self._queue.give_back(job.response_id, UNUSED)
            raise
        return run

    def _new_log(self, job: Job) -> EventLog:
        return EventLog(
            job.response_id,
            new_id("epoch"),
            stream_id=job.stream_id,
            max_bytes=self._settings.max_log_bytes,
            max_entries=self._settings.max_log_events,
        )

    def _enter(self, run: Run, task: asyncio.Task[None]) -> None:
        """Enter a run wherever it is looked up. `task`: the run's task."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self._delivery.enter(run)
        job = run.job
        self._registry.enter(run)
        if job.conversation is not None:
            job.conversation.num_users += 1

    # -- a run that is over

    def _run_over(self, run: Run) -> None:
        """Move a run from the running ones to the stores, and give its place to the next."""
        del self._registry.running[run.response_id]
        if run.job.conversation is not None:
            run.job.conversation.num_users -= 1
        try:
            self._keep(run)
        except Exception:  # a store that can't write: it costs this response, and nobody else their turn
            logger.exception("response not kept response_id=%s", run.response_id)
        self._delivery.ended(run)
        self._queue.give_back(run.response_id, run.used)

    def _keep(self, run: Run) -> None:
        """Store a response that is over. One that is not stored has no claim either."""
        settings, conversation = self._settings, run.job.conversation
        keep_seconds = settings.retention_seconds if run.response.store else settings.linger_seconds
        kept, now = False, time.time()
        try:
            if conversation is not None and run.turn is not None:
                self._stores.conversations.respond(
                    conversation, run.turn, run.started_from, run.response.output, int(now)
                )
            kept = self._registry.keep(run, keep_seconds, now)
        finally:
            if kept:
                self._sweeper.expect(now + keep_seconds)
            else:
                self._stores.requests.forget(run.response_id)

    # -- the end of all

    def close(self) -> None:
        """Refuse new work from now on."""
        self._draining = True

    async def drain(self, *, to_others: bool) -> None:
        """Wait until all runs are over, or with `to_others` those that other nodes can't continue."""
        while tasks := self._to_finish(to_others=to_others):
            await asyncio.wait(tasks)

    def _to_finish(self, *, to_others: bool) -> list[asyncio.Task[None]]:
        running = self._registry.running
        by_name = {task: running.get(task.get_name()) for task in self.tasks}
        return [task for task, run in by_name.items() if not to_others or run is None or not run.can_be_left]

    async def lose(self) -> None:
        """Stop all runs without an end, and wait until the engine has aborted them: other nodes continue them."""
        runs = list(self._registry.running.values())
        ids = {run.response_id for run in runs}
        for run in runs:
            run.lose()
        await asyncio.sleep(0)  # a task that is cancelled before its first step never gets to its end
        stopping = [task for task in self.tasks if task.get_name() in ids]
        for task in stopping:
            task.cancel()
        if stopping:
            await asyncio.wait(stopping)
        for run in runs:
            if not run.over:
                self._forget(run)

    def _forget(self, run: Run) -> None:
        """Remove a run that continues elsewhere."""
        if self._registry.running.pop(run.response_id, None) is not None:
            if run.job.conversation is not None:
                run.job.conversation.num_users -= 1
            self._queue.give_back(run.response_id, run.used)

    def leave(self) -> None:
        """Have `end` leave the runs that the next process can continue to it, without a terminal event."""
        for run in self._registry.running.values():
            run.leave()

    async def end(self) -> None:
        """End all runs, each with its terminal event."""
        await asyncio.sleep(0)  # a task that is cancelled before its first step never gets to seal its log
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
