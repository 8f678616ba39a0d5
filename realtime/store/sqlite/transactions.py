"""Transactions: each writes one flush to the file, all of it or nothing.

The writer's thread calls `run`; nobody else uses this connection.
"""

from __future__ import annotations

import logging
import sqlite3

from realtime.store.packed.batches import Batch, Done, Step

from .conversation_rows import ConversationRows
from .journal_rows import JournalRows
from .response_rows import ResponseRows
from .schema import is_the_disks
from .turn_rows import TurnRows

logger = logging.getLogger("realtime.store")


class Transactions:
    """The writer's transactions. `connection`: for writing, in autocommit mode."""

    def __init__(self, connection: sqlite3.Connection, file: object, *, max_bytes: int, vocabulary: str = "") -> None:
        self.connection = connection
        self.file = file
        self.turns = TurnRows(connection, file, vocabulary)
        self._journal = JournalRows(connection)
        self.responses = ResponseRows(connection, self.turns, self._journal, max_bytes)
        self.conversations = ConversationRows(connection, self.turns)

    def run(self, batch: Batch) -> Done:
        """Commit a batch. Raises sqlite3.Error, and then nothing has changed."""
        if not batch.steps:  # most have none: one statement is a transaction by itself
            return self._append(batch)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            for step in batch.steps:
                self._take(step)
            tips = self._journal.append(batch.appended)
            self._journal.clean()
            self.turns.write_count()
            done = Done(tips, self.responses.gone, self.conversations.gone, self.responses.next_expiry, True)
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.responses.gone, self.conversations.gone = [], []
        return done

    def _append(self, batch: Batch) -> Done:
        try:
            return Done(self._journal.append(batch.appended))
        except BaseException:
            self._journal.reload()
            raise

    def checkpoint(self) -> bool:
        """Move everything into the file itself and empty the log next to it. Return False if somebody still reads from
        that.
        """
        busy, _, _ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _take(self, step: Step) -> None:
        """Take a step. One that fails by itself is a bug of ours, and must not hold up all others for ever."""
        call, arguments = step
        self.connection.execute("SAVEPOINT step")
        try:
            call(*arguments)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and is_the_disks(error):
                raise
            self.connection.execute("ROLLBACK TO step")
            logger.exception("step not stored step=%s", call.__name__)
        self.connection.execute("RELEASE step")

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.turns.count()
        self._journal.reload()
        self.responses.count()
        self.responses.gone, self.conversations.gone = [], []
