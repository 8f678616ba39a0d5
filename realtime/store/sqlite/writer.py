"""The writer's thread: commits batches, retries while the disk refuses, and empties the log of the file.

Batches wait in memory while the disk is full or can't be written, and nothing is given up: `trouble` says why, for as
long as that lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from realtime.store.packed.batches import Batch, Done

from .schema import is_the_disks, trouble_with
from .transactions import Transactions

logger = logging.getLogger("realtime.store")

FIRST_RETRY_SECONDS = 0.1
MAX_RETRY_SECONDS = 2.0
CHECKPOINT_SECONDS = 30.0  # after what was deleted, until nothing of it is left beside the file either
_Work = tuple[Batch, Callable[[Done], None]]


class Writer:
    """The writer's thread, an `Executor`. It starts with the first batch, and reports on that batch's loop."""

    def __init__(
        self, transactions: Transactions, path: Path, *, checkpoint_seconds: float = CHECKPOINT_SECONDS
    ) -> None:
        self.trouble: str | None = None
        self.cpu_seconds = 0.0  # that the thread has taken
        self._transactions = transactions
        self._path = path
        self._checkpoint_seconds = checkpoint_seconds
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._checkpoint_at: float | None = None  # on the monotonic clock

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        """See Executor."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._live, name="store-writer", daemon=True)
            self._thread.start()
        self._work.put((batch, done))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See Executor."""
        asyncio.get_running_loop().call_later(seconds, call)

    def close(self) -> None:
        """End the thread when everything submitted is committed, or has failed once more. Blocks."""
        self._closing.set()
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
        with contextlib.suppress(sqlite3.Error):
            self._transactions.checkpoint()

    # -- the thread

    def _live(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=self._patience())
            except queue.Empty:
                self._checkpoint()
                continue
            if work is None:
                return
            batch, done = work
            found = self._commit(batch)
            self.cpu_seconds = time.thread_time()
            if found is None:
                return
            self._report(done, found)
            if self._checkpoint_at is None and (batch.deletes or found.gone or found.given_up):
                self._checkpoint_at = time.monotonic() + self._checkpoint_seconds
            if self._patience() == 0.0:
                self._checkpoint()

    def _patience(self) -> float | None:
        """Return how long to wait for work, until something else is due."""
        return None if self._checkpoint_at is None else max(self._checkpoint_at - time.monotonic(), 0.0)

    def _checkpoint(self) -> None:
        self._checkpoint_at = None
        try:
            whole = self._transactions.checkpoint()
        except sqlite3.Error as error:
            logger.warning("store not checkpointed: %s", error)
            whole = False
        if not whole:
            self._checkpoint_at = time.monotonic() + min(1.0, self._checkpoint_seconds)

    def _commit(self, batch: Batch) -> Done | None:
        """Commit a batch, however often that has to be tried. Return None if the end came first, and the
        batch is lost.
        """
        seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                found = self._transactions.run(batch)
            except sqlite3.Error as error:
                if not is_the_disks(error):
                    logger.exception("batch not stored")  # a bug of ours; the next ones may do
                    return Done({}, has_steps=bool(batch.steps))
                self._note(trouble_with(self._path, error))
                if self._closing.wait(seconds):
                    logger.error("the last changes were not stored: %s", self.trouble)
                    return None
                seconds = min(2 * seconds, MAX_RETRY_SECONDS)
            else:
                self._note(None)
                return found

    def _note(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            log = logger.warning if trouble else logger.info
            log("%s", trouble or f"the store {self._path} can be written again")
            self.trouble = trouble

    def _report(self, done: Callable[[Done], None], found: Done) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it
            self._loop.call_soon_threadsafe(done, found)


class AtOnce:
    """An `Executor` without a thread, for tests and for the command line: a submitted batch is committed at once.
    `waits`: nothing is committed before `Commits.flush` is called.
    """

    trouble: str | None = None

    def __init__(self, transactions: Transactions, *, waits: bool = False) -> None:
        self._transactions = transactions
        self._waits = waits

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        """See Executor."""
        done(self._transactions.run(batch))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See Executor."""
        if not self._waits:
            call()

    def close(self) -> None:
        """End; nothing is under way."""
