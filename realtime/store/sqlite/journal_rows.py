"""The table of the journal, as the writer changes it: a row for each flush, kept while a response of it runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from realtime.store.packed.batches import Appended
from realtime.store.packed.journal import Shorthand, decode_chunks, encode_chunks, only, without
from realtime.store.packed.steps import chunk_of

_LONG = 20_000  # rows after which what is over is taken out from between what runs
_AT_ONCE = 500  # of them in one transaction: they have to be read


class JournalRows:
    """The table of the journal. It knows the rows of each response in the journal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._rows: dict[int, tuple[int, int]] = {}  # response -> the first and the last row that it may be in
        self._running: dict[int, Shorthand] = {}
        self._first = 0  # rows before it are gone
        self._newest = 0
        self._compacted = 0  # up to here there is nothing but what runs
        self.reload()

    def reload(self) -> None:
        """Read the table: at the beginning, and after a transaction that was rolled back."""
        running = self._db.execute("SELECT no FROM response WHERE sealed IS NULL")
        self._running = {number: Shorthand() for (number,) in running}
        self._rows, self._first, self._newest, self._compacted = {}, 0, 0, 0
        for row, blob in self._db.execute("SELECT id, chunks FROM journal ORDER BY id"):
            self._newest = row
            for chunk in decode_chunks(blob):
                self._rows[chunk.number] = (self._rows.get(chunk.number, (row, row))[0], row)

    def begin(self, number: int) -> None:
        """Begin to keep what is appended to a response."""
        self._running[number] = Shorthand()

    def end(self, number: int) -> None:
        """Note that a response is over: the journal need not keep it any longer."""
        self._running.pop(number, None)

    def append(self, appended: Sequence[Appended]) -> dict[int, int]:
        """Add a flush, as far as its responses run. Return the new tips. Raises sqlite3.Error; then `reload` is due."""
        running = self._running
        chunks = [
            chunk_of(number, first, shorthand.shorten(events), what, num_hidden)
            for number, first, events, what, num_hidden in appended
            if (shorthand := running.get(number)) is not None
        ]
        if not chunks:
            return {}
        row = self._db.execute("INSERT INTO journal (chunks) VALUES (?)", (encode_chunks(chunks),)).lastrowid
        assert row is not None
        self._newest = row
        tips = {chunk.number: chunk.tip for chunk in chunks}
        for number in tips:
            found = self._rows.get(number)
            self._rows[number] = (found[0] if found is not None else row, row)
        return tips

    def erase(self, number: int) -> None:
        """Remove all of a response, from every row."""
        self._running.pop(number, None)
        found = self._rows.pop(number, None)
        if found is None:
            return
        rows = self._db.execute("SELECT id, chunks FROM journal WHERE id BETWEEN ? AND ?", found).fetchall()
        for row, blob in rows:
            left = without(blob, number)
            if left is None:
                self._db.execute("DELETE FROM journal WHERE id = ?", (row,))
            elif left != blob:
                self._db.execute("UPDATE journal SET chunks = ? WHERE id = ?", (left, row))

    def clean(self) -> None:
        """Drop the rows before the first needed one."""
        needed = [self._rows[number][0] for number in self._running if number in self._rows]
        first = min(needed, default=self._newest + 1)
        if first > self._first:
            self._db.execute("DELETE FROM journal WHERE id < ?", (first,))
            self._first = first
            self._rows = {number: rows for number, rows in self._rows.items() if rows[1] >= first}
        if self._newest - max(first, self._compacted) > _LONG:
            self._compact(max(first, self._compacted))

    def _compact(self, first: int) -> None:
        """Merge many rows into one, without finished responses: one that runs for hours must not keep all the
        others.
        """
        rows = self._db.execute(
            "SELECT id, chunks FROM journal WHERE id >= ? ORDER BY id LIMIT ?", (first, _AT_ONCE)
        ).fetchall()
        left = only((blob for _, blob in rows), self._running)
        last = rows[-1][0]
        self._db.execute("DELETE FROM journal WHERE id BETWEEN ? AND ?", (first, last))
        if left:
            self._db.execute("INSERT INTO journal (id, chunks) VALUES (?, ?)", (last, encode_chunks(left)))
            for number in {chunk.number for chunk in left}:
                begins, ends = self._rows[number]
                self._rows[number] = (begins, max(ends, last))
        self._compacted = last + 1
