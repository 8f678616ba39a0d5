"""The event loop's side of the writer: collect changes, hand them over once per flush, and take the results. Nothing
here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from realtime.engine.base import TokenChunk
from realtime.store.records import Note

from .batches import Batch, Done
from .bounds import SOON_MS


class Executor(Protocol):
    """An executor of batches: commits them one at a time and in order, and reports on the loop."""

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        """Commit a batch however long that takes, then call `done` with the result."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call on the loop after so many seconds."""


class Commits:
    """The collected changes. `on_done` is called on the loop after each commit, before those that wait for it."""

    def __init__(self, executor: Executor, flush_seconds: float) -> None:
        self._executor = executor
        self._flush_seconds = flush_seconds
        self._soon_seconds = min(flush_seconds, SOON_MS / 1e3)
        self._hurries = False  # somebody waits for the batch
        self._batch = Batch()
        self._under_way: Batch | None = None
        self._due = False  # a flush is coming
        self.collecting = 1  # the number of the batch that is being collected
        self.committed = 0  # the number of the newest batch that is committed
        self.given_up = 0
        self.on_done: list[Callable[[Done], None]] = []
        self.on_commit: list[Callable[[], None]] = []

    @property
    def batch(self) -> Batch:
        """Return the current batch: everything put before the next flush commits together."""
        return self._batch

    @property
    def settled(self) -> bool:
        """Return whether everything is committed."""
        return not self._batch and self._under_way is None

    def put(self, call: Callable[..., Any], *arguments: Any, after: Callable[[], None] | None = None) -> None:
        """Add a step. `after`: called when it is committed."""
        self._batch.steps.append((call, arguments))
        if after is not None:
            self._batch.after.append(after)
        if not self._due:
            self._expect_flush()

    def put_delete(self, call: Callable[..., Any], *arguments: Any, after: Callable[[], None] | None = None) -> None:
        """Add a step that deletes, after which nothing of the deleted data may be left, not even next to the file."""
        self._batch.deletes = True
        self.put(call, *arguments, after=after)

    def append(
        self, number: int, first: int, events: Sequence[bytes], what: TokenChunk | Note | None, num_hidden: int = 0
    ) -> None:
        """Add events of a response to the journal."""
        self._batch.appended.append((number, first, events, what, num_hidden))
        if not self._due:
            self._expect_flush()

    def hurry(self) -> None:
        """Flush soon, because somebody waits for the batch."""
        if self._hurries or not self._due:
            return
        self._hurries = True
        if self._under_way is None and self._soon_seconds < self._flush_seconds:
            self._executor.later(self._soon_seconds, self.flush)

    def flush(self) -> None:
        """Hand over the batch. While the writer is at work, more is collected for one commit."""
        if self._under_way is not None:
            return
        self._due = self._hurries = False
        if not self._batch:
            return
        batch = self._under_way = self._batch
        self._batch = Batch()
        self.collecting += 1
        self._executor.submit(batch, lambda done: self._done(batch, done))

    def close(self) -> None:
        """Hand over what is left, after the commit under way. Nothing may be put after this."""
        self._due = False
        batch, self._batch = self._batch, Batch()
        if batch:
            self._executor.submit(batch, lambda done: None)

    def abandon(self) -> None:
        """Drop what is not committed: it never will be. Who waits for it learns that."""
        self._batch, self._under_way, self._due, self._hurries = Batch(), None, False, False
        self.given_up += 1
        for call in list(self.on_commit):
            call()

    def _expect_flush(self) -> None:
        self._due = True
        if self._under_way is None:  # else `_done` sees to it
            self._executor.later(self._flush_seconds, self.flush)

    def _done(self, batch: Batch, done: Done) -> None:
        if self._under_way is not batch:  # it was abandoned
            return
        self._under_way = None
        self.committed = self.collecting - 1
        for told in self.on_done:
            told(done)
        for call in batch.after:
            call()
        for call in self.on_commit:
            call()
        if self._due:
            self._executor.later(self._soon_seconds if self._hurries else self._flush_seconds, self.flush)
