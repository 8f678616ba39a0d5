"""Delivery to the readers of running responses: all events at once, or only those that are committed. An end is shown
once it is committed, in both cases: what a reader has had of it must hold whatever becomes of this process.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from realtime.runs.job import Job
from realtime.runs.run import Run
from realtime.store.base import Stores, store_unavailable
from realtime.store.committed_log import CommittedLog
from realtime.store.event_log import EventLog
from realtime.store.records import Record
from realtime.wire.errors import WireError
from realtime.wire.response import Response

from .commits import committed

_LAST_SECONDS = 1.0  # for the last commit, when the service ends


class _End(msgspec.Struct, frozen=True):
    """The end of a run: the batch that it is committed with, and when that is given up, on the loop's clock."""

    run: Run
    number: int
    until: float


class Delivery:
    """Delivery to readers. `after_commit`: readers wait for the commit of each event. `patience_seconds`: how long they
    wait for that of an end, before they are told that the store can't be used.
    """

    def __init__(self, stores: Stores, *, after_commit: bool, patience_seconds: float) -> None:
        self._responses = stores.responses
        self._batches = batches = stores.batches
        self._after_commit = after_commit
        self._patience_seconds = patience_seconds
        self._runs: dict[str, Run] = {}  # of which not all is committed, with `after_commit`
        self._ends: dict[str, _End] = {}  # that are not committed, by response, in the order of their batches
        self._timer: asyncio.TimerHandle | None = None  # for the first of them
        self._waiting: list[tuple[CommittedLog, int, asyncio.Future[None]]] = []  # until so much of it is committed
        if batches is not None:
            batches.on_commit.append(self._committed)

    def log(self, log: EventLog) -> CommittedLog | None:
        """Return the log as readers see it. `None`: they see all of it, but for an end that is withheld."""
        batches = self._batches
        return CommittedLog(log, lambda: batches.collecting) if batches is not None and self._after_commit else None

    def withholds_end(self, job: Job) -> bool:
        """Return whether readers wait for the end of a response alone. Nothing is kept of the end of one that is not
        stored, but in its conversation.
        """
        if self._batches is None or self._after_commit:
            return False
        return job.response.store or job.conversation is not None

    def enter(self, run: Run) -> None:
        """Give a run's readers committed events only, from now on."""
        if run.committed is not None:
            self._runs[run.response_id] = run

    def ended(self, run: Run) -> None:
        """Show the end of a run, which was just written, when it is committed."""
        batches = self._batches
        if batches is None or not (run.withholds_end or run.committed is not None):
            return
        if batches.settled:  # nothing could be written of it
            self._runs.pop(run.response_id, None)
            run.commit(batches.collecting)
            run.show_end()
            return
        until = asyncio.get_running_loop().time() + self._patience_seconds
        self._ends[run.response_id] = _End(run, batches.collecting, until)
        batches.hurry()
        if self._timer is None:
            self._expect(until)

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
        """Return when a response that is over may be shown: when its end is committed, and its record as it is. Raises
        WireError when that is given up.
        """
        if response_id in self._runs or response_id in self._ends or self._responses.is_pending(response_id):
            await committed(self._batches)

    def lose(self) -> None:
        """Give up what is not committed: it never will be, whatever is committed next. Who waits for it is told."""
        runs = {**self._runs, **{response_id: end.run for response_id, end in self._ends.items()}}
        self._runs.clear()
        self._ends.clear()
        for run in runs.values():
            run.whole_log.left = True
            run.audience.notify()
        waiting, self._waiting = self._waiting, []
        for _, _, reached in waiting:
            if not reached.done():
                reached.set_exception(store_unavailable())

    async def finish(self) -> None:
        """Show the last ends, as far as the store commits them: the service has ended."""
        if self._ends:
            with contextlib.suppress(WireError, TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await committed(self._batches)
        self.lose()
        if self._timer is not None:
            self._timer.cancel()

    def _committed(self) -> None:
        assert self._batches is not None
        number = self._batches.committed
        for response_id in [one for one, run in self._runs.items() if run.commit(number)]:
            del self._runs[response_id]
        for response_id in [one for one, end in self._ends.items() if end.number <= number]:
            self._ends.pop(response_id).run.show_end()
        waiting, self._waiting = self._waiting, []
        for log, tip, reached in waiting:
            if reached.done():  # cancelled
                continue
            if log.tip >= tip:
                reached.set_result(None)
            else:
                self._waiting.append((log, tip, reached))

    # -- when the store can't be written

    def _expect(self, until: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(until, self._look)

    def _look(self) -> None:
        """Let nobody wait longer for ends that the store does not commit. They are read from it when it has them."""
        now = asyncio.get_running_loop().time()
        for response_id in [one for one, end in self._ends.items() if end.until <= now]:
            self._runs.pop(response_id, None)
            self._ends.pop(response_id).run.fail_readers(store_unavailable())
        self._timer = None
        if self._ends:
            self._expect(next(iter(self._ends.values())).until)
