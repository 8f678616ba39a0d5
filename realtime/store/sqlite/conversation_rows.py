"""The tables of conversations, as the writer changes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from realtime.store.packed.entries import Saved, encode_entry

from .turn_rows import TurnRows


class ConversationRows:
    """The tables of conversations. `gone` collects those that were dropped to make room, each with its bytes."""

    def __init__(self, connection: sqlite3.Connection, turns: TurnRows) -> None:
        self._db = connection
        self._turns = turns
        self.gone: list[tuple[str, int]] = []

    def save(self, saved: Saved) -> None:
        """Write a changed or new conversation. Writes nothing for one that was dropped meanwhile."""
        found = self._db.execute("SELECT no, turn FROM conversation WHERE id = ?", (saved.conversation_id,)).fetchone()
        if found is None and not saved.is_new:
            return
        turn = self._turns.keep(saved.turn)
        number = found[0] if found is not None else None
        row = self._db.execute(
            "INSERT OR REPLACE INTO conversation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, saved.conversation_id, saved.owner, saved.created_at, saved.begun_at, saved.used_at,
                saved.num_bytes, msgspec.json.encode(saved.metadata).decode(), turn, saved.num_before,
            ),
        ).lastrowid  # fmt: skip
        if found is not None:
            self._turns.release(found[1])
        number = number if number is not None else row
        self._db.executemany(
            "DELETE FROM conversation_item WHERE conversation = ? AND id = ?", [(number, one) for one in saved.removed]
        )
        self._db.executemany(
            "UPDATE conversation_item SET num_bytes = ?, body = ? WHERE conversation = ? AND id = ?",
            [(one.num_bytes, encode_entry(one), number, item_id) for item_id, one in saved.replaced],
        )
        self._db.executemany(
            "INSERT INTO conversation_item (conversation, id, created_at, response_id, num_bytes, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [
                (number, item_id, one.created_at, one.response_id, one.num_bytes, encode_entry(one))
                for item_id, one in saved.added
            ],
        )

    def use(self, conversation_id: str, used_at: float) -> None:
        """Note when a conversation was used."""
        self._db.execute("UPDATE conversation SET used_at = ? WHERE id = ?", (used_at, conversation_id))

    def delete(self, conversation_id: str) -> None:
        """Forget a conversation."""
        found = self._db.execute("SELECT no, turn FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        if found is None:
            return
        number, turn = found
        self._db.execute("DELETE FROM conversation WHERE no = ?", (number,))
        self._db.execute("DELETE FROM conversation_item WHERE conversation = ?", (number,))
        self._turns.release(turn)

    def make_room(self, max_bytes: int, in_use: frozenset[str], newest: Sequence[str]) -> None:
        """While there is too much, drop the least recently used conversation of the owner that holds most. `newest`:
        the most recently used ones, in this order.
        """
        order = {conversation_id: place for place, conversation_id in enumerate(newest)}
        while True:
            sums = self._db.execute("SELECT owner, sum(num_bytes) FROM conversation GROUP BY owner ORDER BY 2 DESC")
            owners = sums.fetchall()
            if sum(num_bytes for _, num_bytes in owners) <= max_bytes:
                return
            oldest = next(filter(None, (self._oldest(owner, in_use, order) for owner, _ in owners)), None)
            if oldest is None:
                return
            self.delete(oldest[0])
            self.gone.append(oldest)

    def _oldest(self, owner: str, in_use: frozenset[str], order: Mapping[str, int]) -> tuple[str, int] | None:
        query = "SELECT id, num_bytes FROM conversation WHERE owner = ? ORDER BY used_at, begun_at"
        newer: list[tuple[str, int]] = []
        for found in self._db.execute(query, (owner,)):
            if found[0] not in in_use:
                if found[0] not in order:
                    return found[0], found[1]
                newer.append(found)
        return min(newer, key=lambda found: order[found[0]], default=None)
