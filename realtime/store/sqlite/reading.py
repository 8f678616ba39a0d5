"""Look-ups in the file. Each is one consistent view. A reader's thread calls them, with its own connection."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from realtime.context.turns import Turn
from realtime.store.base import Claim
from realtime.store.conversations import Conversation
from realtime.store.event_log import StoredLog
from realtime.store.packed.entries import decode_entry, load
from realtime.store.packed.journal import decode_chunks
from realtime.store.packed.logs import decode_log
from realtime.store.packed.past import PastJournal, ReadHead
from realtime.store.packed.reader import ReadRecord
from realtime.store.packed.records import decode_head, decode_record
from realtime.store.packed.turns import Row, decode_own_items, decode_turns
from realtime.store.records import Filter, Record
from realtime.store.shelves import MAX_LOOKED_AT, Place, Span
from realtime.wire.items import InputItem

logger = logging.getLogger("realtime.store")

T = TypeVar("T")

_CHAIN = """
WITH RECURSIVE chain(no, parent, depth) AS (
    SELECT no, parent, 0 FROM turn WHERE no = ?
    UNION ALL SELECT turn.no, turn.parent, depth + 1 FROM turn JOIN chain ON turn.no = chain.parent
)
SELECT turn.no, turn.body FROM chain JOIN turn USING (no) ORDER BY depth DESC
"""


class Reading:
    """Look-ups in the file. `file`: marks the turns that are read. `vocabulary`: of the tokens that are of use now."""

    def __init__(self, file: object, vocabulary: str = "") -> None:
        self._file = file
        self._vocabulary = vocabulary

    def record(self, db: sqlite3.Connection, response_id: str) -> ReadRecord | None:
        """Return a record with its turn."""

        def read() -> ReadRecord | None:
            query = "SELECT turn, body FROM response WHERE id = ? AND sealed IS NOT NULL"
            found = db.execute(query, (response_id,)).fetchone()
            if found is None:
                return None
            turn, num_bytes = self.turn(db, found[0])
            record = decode_record(found[1], turn)
            return ReadRecord(record, num_bytes + record.num_bytes)

        return _view(db, read)

    def log(self, db: sqlite3.Connection, response_id: str) -> StoredLog | None:
        """Return the log of a record."""
        query = "SELECT entries FROM response JOIN log ON response = no WHERE id = ? AND sealed IS NOT NULL"
        found = db.execute(query, (response_id,)).fetchone()
        return decode_log(found[0]) if found is not None else None

    def item(
        self, db: sqlite3.Connection, owner: str, item_id: str, now: float, hidden: frozenset[str]
    ) -> InputItem | None:
        """Return the item with this id from the newest of the owner's records that has it, apart from hidden
        records.
        """
        query = """
            SELECT response.id, item.place, turn.body FROM item JOIN response ON response.no = item.response
            JOIN turn ON turn.no = response.turn
            WHERE item.owner = ? AND item.id = ? AND response.expires_at > ? ORDER BY response.sealed DESC
        """
        place: int
        for response_id, place, body in db.execute(query, (owner, item_id, now)):
            if response_id not in hidden:
                items = decode_own_items(body)
                return items[place]
        return None

    def page(
        self, db: sqlite3.Connection, filter: Filter, span: Span, now: float, hidden: frozenset[str]
    ) -> tuple[list[Record], Place | None]:
        """Return a page of records, without their turns. See ResponseStore."""

        def read() -> tuple[list[Record], Place | None]:
            rows = _candidates(db, filter, span)
            found: list[Record] = []
            for place, wanted, expires_at in rows:
                if not wanted or expires_at <= now or place.id in hidden:
                    continue
                (body,) = db.execute("SELECT body FROM response WHERE id = ?", (place.id,)).fetchone()
                found.append(decode_record(body, None))
                if len(found) == span.limit:
                    return found, None if len(rows) < MAX_LOOKED_AT and place == rows[-1][0] else place
            return found, None if len(rows) < MAX_LOOKED_AT else rows[-1][0]

        return _view(db, read)

    def claim(self, db: sqlite3.Connection, tenant: str, request_id: str) -> Claim | None:
        """Return the claim of the newest attempt."""
        query = "SELECT response_id, digest FROM claim WHERE tenant = ? AND request_id = ?"
        found = db.execute(query, (tenant, request_id)).fetchone()
        return Claim(*found) if found is not None else None

    def conversation(self, db: sqlite3.Connection, conversation_id: str) -> Conversation | None:
        """Return a conversation with all its items."""

        def read() -> Conversation | None:
            query = "SELECT no, owner, created_at, begun_at, metadata, turn, num_before FROM conversation WHERE id = ?"
            found = db.execute(query, (conversation_id,)).fetchone()
            if found is None:
                return None
            number, owner, created_at, begun_at, metadata, turn_row, num_before = found
            query = (
                "SELECT id, body, num_bytes, created_at, response_id FROM conversation_item "
                "WHERE conversation = ? ORDER BY no"
            )
            entries = [(item_id, decode_entry(*rest)) for item_id, *rest in db.execute(query, (number,))]
            turn, _ = self.turn(db, turn_row)
            row = (conversation_id, owner, created_at, begun_at, metadata)
            return load(row, entries, turn, num_before)

        return _view(db, read)

    def conversation_page(
        self, db: sqlite3.Connection, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[list[Conversation], Place | None]:
        """Return a page of conversations without their items. See ConversationStore."""
        query = "SELECT id, created_at, begun_at, metadata FROM conversation WHERE owner = ?"
        after, values = _after(span, "begun_at", "id")
        rows = db.execute(query + after, (owner, *values)).fetchall()
        found: list[Conversation] = []
        for conversation_id, created_at, begun_at, text in rows:
            has = msgspec.json.decode(text)
            if all(has.get(name) == value for name, value in metadata):
                found.append(Conversation(conversation_id, owner, created_at, has, begun_at))
                if len(found) == span.limit:
                    break
        else:
            return found, None if len(rows) < MAX_LOOKED_AT else Place(rows[-1][2], rows[-1][0])
        last = found[-1].place
        return found, None if len(rows) < MAX_LOOKED_AT and last.id == rows[-1][0] else last

    def num_conversation_bytes(self, db: sqlite3.Connection) -> int:
        """Return the size of all conversations."""
        num_bytes: int = db.execute("SELECT coalesce(sum(num_bytes), 0) FROM conversation").fetchone()[0]
        return num_bytes

    def newest_number(self, db: sqlite3.Connection) -> int:
        """Return the greatest number that a response has."""
        query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'response'"
        number: int = db.execute(query).fetchone()[0]
        return number

    def unfinished(self, db: sqlite3.Connection) -> list[ReadHead]:
        """Return the responses that ran when the last process ended, oldest first."""

        def read() -> list[ReadHead]:
            journals = {
                number: PastJournal(number, decode_head(body), self._parent(db, turn))
                for number, body, turn in db.execute(
                    "SELECT no, body, turn FROM response WHERE sealed IS NULL ORDER BY no"
                ).fetchall()
            }
            for (blob,) in db.execute("SELECT chunks FROM journal ORDER BY id") if journals else ():
                for chunk in decode_chunks(blob):
                    if chunk.number in journals:
                        journals[chunk.number].take(chunk)
            return [journal.read() for journal in journals.values()]

        return _view(db, read)

    def _parent(self, db: sqlite3.Connection, number: int | None) -> Turn | None:
        try:
            return self.turn(db, number)[0]
        except (ValueError, IndexError):  # a file that was damaged
            return None

    def turn(self, db: sqlite3.Connection, number: int | None) -> tuple[Turn | None, int]:
        """Return a turn with all that it continues, and about how much memory that takes."""
        if number is None:
            return None, 0
        rows = [Row(*row) for row in db.execute(_CHAIN, (number,))]
        return decode_turns(rows, self._file, self._vocabulary), 4 * sum(len(row.body) for row in rows)


def _view(db: sqlite3.Connection, read: Callable[[], T]) -> T:
    """Read in one transaction, so that nothing changes between two queries."""
    db.execute("BEGIN")
    try:
        return read()
    finally:
        db.execute("COMMIT")


def _candidates(db: sqlite3.Connection, filter: Filter, span: Span) -> list[tuple[Place, bool, float]]:
    """Return the next places to examine, whether each is wanted, and when it expires."""
    labels = list(filter.metadata)
    wanted = "(? IS NULL OR r.status = ?) AND (? IS NULL OR r.conversation = ?)"
    values: list[Any] = [filter.status, filter.status, filter.conversation, filter.conversation]
    for name, value in labels[1:]:
        wanted += (
            " AND EXISTS (SELECT 1 FROM label AS other WHERE other.owner = r.owner AND other.name = ? AND "
            "other.value = ? AND other.begun_at = r.begun_at AND other.id = r.id)"
        )
        values += [name, value]
    if labels:
        source = "label AS l JOIN response AS r ON r.no = l.response WHERE l.owner = ? AND l.name = ? AND l.value = ?"
        values += [filter.owner, *labels[0]]
        after, more = _after(span, "l.begun_at", "l.id")
    elif filter.conversation is not None:
        source = "response AS r WHERE r.sealed IS NOT NULL AND r.owner = ? AND r.conversation = ?"
        values += [filter.owner, filter.conversation]
        after, more = _after(span, "r.begun_at", "r.id")
    else:
        source = "response AS r WHERE r.sealed IS NOT NULL AND r.owner = ?"
        values.append(filter.owner)
        after, more = _after(span, "r.begun_at", "r.id")
    query = f"SELECT r.begun_at, r.id, {wanted}, r.expires_at FROM {source}{after}"
    return [
        (Place(begun_at, id_), bool(is_wanted), expires_at)
        for begun_at, id_, is_wanted, expires_at in db.execute(query, (*values, *more))
    ]


def _after(span: Span, begun_at: str, id_: str) -> tuple[str, list[Any]]:
    """Return the end of a query that continues after a place."""
    order, sign = ("DESC", "<") if span.newest_first else ("ASC", ">")
    condition, values = "", []
    if span.after is not None:
        condition = f" AND ({begun_at}, {id_}) {sign} (?, ?)"
        values = [span.after.begun_at, span.after.id]
    return f"{condition} ORDER BY {begun_at} {order}, {id_} {order} LIMIT {MAX_LOOKED_AT}", values
