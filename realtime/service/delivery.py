"""Delivery to the readers of running responses: all events at once, or only those that are committed."""

from __future__ import annotations

import asyncio

from realtime.runs.run import Run
from realtime.store.base import Batches
from realtime.store.committed_log import CommittedLog
from realtime.store.event_log import EventLog
from realtime.store.records import Record
from realtime.wire.errors import store_unavailable
from realtime.wire.response import Response

from .commits import committed


class Delivery:
    """Delivery to readers. `batches`: of the store whose commits readers wait for; None: they wait for nothing."""

    def __init__(self, batches: Batches | None) -> None:
        self._batches = batches
        self._runs: dict[str, Run] = {}  # of which not all is committed
        self._waiting: list[tuple[CommittedLog, int, asyncio.Future[None]]] = []  # until so much of it is committed
        if batches is not None:
            batches.on_commit.append(self._committed)

    def log(self, log: EventLog) -> CommittedLog | None:
        """Return the log as readers see it. `None`: they see all of it."""
        batches = self._batches
        return CommittedLog(log, lambda: batches.collecting) if batches is not None else None

    def enter(self, run: Run) -> None:
        """Give a run's readers committed events only, from now on."""
        if self._batches is not None:
            self._runs[run.response_id] = run

    async def shown(self, found: Run | Record) -> Response:
        """Return a response as it stands. For a running one: its output so far, once that is committed."""
        if not isinstance(found, Run):
            await self.settled(found.response_id)
            return found.response
        snapshot, log, tip = found.snapshot, found.committed, found.whole_log.tip
        if log is not None and log.tip < tip:
            reached = asyncio.get_running_loop().create_future()
            self._waiting.append((log, tip, reached))
            await reached
        return snapshot

    async def settled(self, response_id: str) -> None:
        """Return when a response that is over may be shown: when its end is committed. Raises WireError when that is
        given up.
        """
        run = self._runs.get(response_id)
        if run is not None and run.over:
            await committed(self._batches)

    def lose(self) -> None:
        """Give up what is not committed: it never will be, whatever is committed next. Who waits for it is told."""
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.whole_log.left = True
            run.audience.notify()
        waiting, self._waiting = self._waiting, []
        for _, _, reached in waiting:
            if not reached.done():
                reached.set_exception(store_unavailable())

    def _committed(self) -> None:
        assert self._batches is not None
        number = self._batches.committed
        for response_id in [one for one, run in self._runs.items() if run.commit(number)]:
            del self._runs[response_id]
        waiting, self._waiting = self._waiting, []
        for log, tip, reached in waiting:
            if reached.done():  # cancelled
                continue
            if log.tip >= tip:
                reached.set_result(None)
            else:
                self._waiting.append((log, tip, reached))
