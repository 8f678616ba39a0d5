"""What readers are given of what runs: all of it at once, or only what is committed."""

from __future__ import annotations

from realtime.runs.run import Run
from realtime.store.base import Batches
from realtime.store.committed_log import CommittedLog
from realtime.store.event_log import EventLog


class Delivery:
    """See the module. `batches`: of the store whose commits are waited for; None: nothing is waited for."""

    def __init__(self, batches: Batches | None) -> None:
        self._batches = batches
        self._runs: dict[str, Run] = {}  # of which not all is committed
        if batches is not None:
            batches.on_commit.append(self._committed)

    def log(self, log: EventLog) -> CommittedLog | None:
        """Return what readers see of a log; None: all of it."""
        batches = self._batches
        return CommittedLog(log, lambda: batches.collecting) if batches is not None else None

    def enter(self, run: Run) -> None:
        """Give a run's readers what is committed from now on."""
        if self._batches is not None:
            self._runs[run.response_id] = run

    def _committed(self) -> None:
        assert self._batches is not None
        number = self._batches.committed
        for response_id in [one for one, run in self._runs.items() if run.commit(number)]:
            del self._runs[response_id]
