"""The event loop's side of the writer: collect what is to be committed, hand it over once per flush, hear what came of
it. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from realtime.engine.base import TokenChunk
from realtime.store.records import Note

from .batches import Batch, Done


class Executor(Protocol):
    """Commits batches, one at a time and in order, and says so on the loop."""

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        """Commit a batch however long that takes, then call `done` with what has come of it."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call on the loop after so many seconds."""


class Commits:
    """See the module. `on_done` is called on the loop after each commit, before what waits for it."""

    def __init__(self, executor: Executor, flush_seconds: float) -> None:
        self._executor = executor
        self._flush_seconds = flush_seconds
        self._batch = Batch()
        self._under_way: Batch | None = None
        self._due = False  # a flush is coming
        self.collecting = 1  # the number of the batch that is being collected
        self.committed = 0  # the number of the newest batch that is committed
        self.on_done: list[Callable[[Done], None]] = []
        self.on_commit: list[Callable[[], None]] = []

    @property
    def batch(self) -> Batch:
        """Return what is collected now: whatever is put before the next flush commits together."""
        return self._batch

    @property
    def settled(self) -> bool:
        """Return whether everything is committed."""
        return not self._batch and self._under_way is None

    def put(self, call: Callable[..., Any], *arguments: Any, after: Callable[[], None] | None = None) -> None:
        """Have a step taken. `after`: to be called when it is committed."""
        self._batch.steps.append((call, arguments))
        if after is not None:
            self._batch.after.append(after)
        if not self._due:
            self._expect_flush()

    def put_delete(self, call: Callable[..., Any], *arguments: Any, after: Callable[[], None] | None = None) -> None:
        """Have a step taken after which nothing of something may be left, beside the file either."""
        self._batch.deletes = True
        self.put(call, *arguments, after=after)

    def append(
        self, number: int, first: int, events: Sequence[bytes], what: TokenChunk | Note | None, num_hidden: int = 0
    ) -> None:
        """Have the journal take what was appended to a response."""
        self._batch.appended.append((number, first, events, what, num_hidden))
        if not self._due:
            self._expect_flush()

    def flush(self) -> None:
        """Hand over what there is. While the writer is at work more is collected, for one commit."""
        if self._under_way is not None:
            return
        self._due = False
        if not self._batch:
            return
        batch = self._under_way = self._batch
        self._batch = Batch()
        self.collecting += 1
        self._executor.submit(batch, lambda done: self._done(batch, done))

    def close(self) -> None:
        """Hand over what is left, behind what is under way. Nothing may be put after it."""
        self._due = False
        batch, self._batch = self._batch, Batch()
        if batch:
            self._executor.submit(batch, lambda done: None)

    def abandon(self) -> None:
        """Give up what is not committed: it never will be."""
        self._batch, self._under_way, self._due = Batch(), None, False

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
            self._executor.later(self._flush_seconds, self.flush)
