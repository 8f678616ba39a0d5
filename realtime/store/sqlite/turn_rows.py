"""The table of turns, as the writer changes it: each row counts the references to it, and goes with the last one."""

from __future__ import annotations

import sqlite3

from realtime.context.turns import Turn
from realtime.store.packed.marks import likeness, mark, marked
from realtime.store.packed.turns import encode_turn


class TurnRows:
    """The table of turns. `file`: marks the turns in memory. Numbers are never used twice in one process, so a mark
    from a transaction that was rolled back means no other row.
    """

    def __init__(self, connection: sqlite3.Connection, file: object, vocabulary: str) -> None:
        """vocabulary: see `encode_turn`."""
        self._db = connection
        self._vocabulary = vocabulary
        self._file = file
        (newest,) = connection.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'turn'"
        ).fetchone()
        self._newest: int = newest
        self.num_bytes = self._written = 0  # that all turns hold
        self.count()

    def count(self) -> None:
        """Read the counter: at the beginning, and after a transaction that was rolled back."""
        self.num_bytes = self._written = self._db.execute("SELECT turn_bytes FROM total").fetchone()[0]

    def write_count(self) -> None:
        """Write the counter, at the end of a transaction."""
        if self.num_bytes != self._written:
            self._db.execute("UPDATE total SET turn_bytes = ?", (self.num_bytes,))
            self._written = self.num_bytes

    def keep(self, turn: Turn | None) -> int | None:
        """Refer to a turn, and store it with all of its history that is not stored yet. Return its number."""
        new: list[Turn] = []
        parent: int | None = None
        at = turn
        while at is not None:
            parent = self._point_to(at)
            if parent is not None:
                break
            new.append(at)
            at = likeness(at).parent
        for one in reversed(new):
            parent = self._insert(one, parent)
        return parent

    def release(self, number: int | None) -> None:
        """Drop a reference to a turn. With the last one the turn goes, and so does its reference to the turn
        before it.
        """
        while number is not None:
            row = self._db.execute("SELECT parent, num_refs, length(body) FROM turn WHERE no = ?", (number,)).fetchone()
            if row is None:
                return
            parent, num_refs, num_bytes = row
            if num_refs > 1:
                self._db.execute("UPDATE turn SET num_refs = num_refs - 1 WHERE no = ?", (number,))
                return
            self._db.execute("DELETE FROM turn WHERE no = ?", (number,))
            self.num_bytes -= num_bytes
            number = parent

    def _point_to(self, turn: Turn) -> int | None:
        """Refer to the row of a turn; None: it has none."""
        number = marked(turn, self._file)
        if number is None and (other := likeness(turn)) is not turn:
            number = marked(other, self._file)
        if not isinstance(number, int):
            return None
        if not self._db.execute("UPDATE turn SET num_refs = num_refs + 1 WHERE no = ?", (number,)).rowcount:
            return None
        mark(turn, self._file, number)
        return number

    def _insert(self, turn: Turn, parent: int | None) -> int:
        self._newest += 1
        number, other = self._newest, likeness(turn)
        body = encode_turn(other, self._vocabulary)
        self._db.execute("INSERT INTO turn VALUES (?, ?, 1, ?)", (number, parent, body))
        self.num_bytes += len(body)
        mark(other, self._file, number)
        mark(turn, self._file, number)
        return number
