"""The tables of responses, as the writer changes them: heads, records, logs, indexes, and their removal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from realtime.context.turns import Turn
from realtime.store.base import Claim
from realtime.store.event_log import StoredLog
from realtime.store.packed.logs import encode_log
from realtime.store.packed.records import encode_head, encode_record
from realtime.store.records import Head, Record, conversation_of, item_ids

from .journal_rows import JournalRows
from .turn_rows import TurnRows

_MAX_EXPIRED = 200  # that go in one transaction


class ResponseRows:
    """The tables of responses. `gone` collects the ids of records that were dropped to make room or because they had
    expired.

    The bytes of the blobs in the file are counted.
    """

    def __init__(self, connection: sqlite3.Connection, turns: TurnRows, journal: JournalRows, max_bytes: int) -> None:
        self._db = connection
        self._turns = turns
        self._journal = journal
        self._max_bytes = max_bytes
        self.gone: list[str] = []
        self.num_bytes = 0
        self._sealed = 0  # the newest
        self.count()

    def count(self) -> None:
        """Count what is in the file: at the beginning, and after a transaction that was rolled back."""
        query = "SELECT coalesce(sum(num_bytes), 0), coalesce(max(sealed), 0) FROM response WHERE sealed IS NOT NULL"
        self.num_bytes, self._sealed = self._db.execute(query).fetchone()

    @property
    def next_expiry(self) -> float | None:
        """Return when the next record expires."""
        query = "SELECT min(expires_at) FROM response WHERE sealed IS NOT NULL"
        found: float | None = self._db.execute(query).fetchone()[0]
        return found

    # -- what one step does

    def open(self, number: int, head: Head) -> None:
        """Begin a response."""
        self._remove(head.response_id)
        self._db.execute(
            "INSERT INTO response (no, id, owner, begun_at, body) VALUES (?, ?, ?, ?, ?)",
            (number, head.response_id, head.owner, head.begun_at, encode_head(head)),
        )
        self._journal.begin(number)

    def continues(self, response_id: str, parent: Turn) -> None:
        """Keep the turn that a response continues for as long as it runs."""
        query = "SELECT no, turn FROM response WHERE id = ? AND sealed IS NULL"
        found = self._db.execute(query, (response_id,)).fetchone()
        if found is not None:
            turn = self._turns.keep(parent)
            self._turns.release(found[1])
            self._db.execute("UPDATE response SET turn = ? WHERE no = ?", (turn, found[0]))

    def seal(self, number: int, record: Record, log: StoredLog, now: float) -> None:
        """Store a finished response, and drop others if there is no room."""
        turn = self._turns.keep(record.turn)  # before what it continues may go
        self._remove(record.response_id)
        body, entries = encode_record(record), encode_log(log)
        num_bytes = len(body) + len(entries)
        self._sealed += 1
        self._insert(number, record, self._sealed, num_bytes, turn, body)
        self._db.execute("INSERT OR REPLACE INTO log VALUES (?, ?)", (number, entries))
        self.num_bytes += num_bytes
        self._make_room(now)

    def replace(self, record: Record, now: float) -> None:
        """Replace the record with the same id, if there is one."""
        query = "SELECT no, turn, sealed, num_bytes, length(body) FROM response WHERE id = ? AND sealed IS NOT NULL"
        found = self._db.execute(query, (record.response_id,)).fetchone()
        if found is None:
            return
        number, old_turn, sealed, num_bytes, old_bytes = found
        turn = self._turns.keep(record.turn)
        self._turns.release(old_turn)
        body = encode_record(record)
        added = len(body) - old_bytes
        self._unlist(number)
        self._insert(number, record, sealed, num_bytes + added, turn, body)
        self.num_bytes += added
        self._make_room(now)

    def drop(self, response_id: str) -> None:
        """Forget a finished response that is not to be stored. Its claim stays for as long as claims are remembered."""
        self._remove(response_id)

    def delete(self, response_id: str) -> None:
        """Forget a response, in the journal too."""
        for (number,) in self._db.execute("SELECT no FROM response WHERE id = ?", (response_id,)).fetchall():
            self._journal.erase(number)
        self._remove(response_id)
        self.release_claim(response_id)

    def expire(self, now: float) -> None:
        """Drop the records that have expired, or a part of them if there are very many."""
        query = "SELECT id FROM response WHERE sealed IS NOT NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?"
        for (response_id,) in self._db.execute(query, (now, _MAX_EXPIRED)).fetchall():
            self._drop_old(response_id)

    # -- claims

    def claim(self, tenant: str, request_id: str, claim: Claim) -> None:
        """Write a claim, replacing any earlier one."""
        row = (tenant, request_id, claim.response_id, claim.digest)
        self._db.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?)", row)

    def release_claim(self, response_id: str) -> None:
        """Drop the claim of a response."""
        self._db.execute("DELETE FROM claim WHERE response_id = ?", (response_id,))

    def release_claim_of(self, tenant: str, request_id: str, response_id: str) -> None:
        """Drop this claim, if it belongs to this response."""
        row = (tenant, request_id, response_id)
        self._db.execute("DELETE FROM claim WHERE tenant = ? AND request_id = ? AND response_id = ?", row)

    def release_claims_of(self, tenant: str) -> None:
        """Drop all claims of a tenant."""
        self._db.execute("DELETE FROM claim WHERE tenant = ?", (tenant,))

    # -- parts

    def _insert(self, number: int, record: Record, sealed: int, num_bytes: int, turn: int | None, body: bytes) -> None:
        response = record.response
        conversation = conversation_of(response)
        self._db.execute(
            "INSERT OR REPLACE INTO response VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, record.response_id, record.owner, record.begun_at, sealed, record.expires_at, num_bytes,
                conversation, response.status, turn, body,
            ),
        )  # fmt: skip
        list_record(self._db, number, record)

    def _unlist(self, number: int) -> None:
        self._db.execute("DELETE FROM label WHERE response = ?", (number,))
        self._db.execute("DELETE FROM item WHERE response = ?", (number,))

    def _remove(self, response_id: str) -> None:
        """Remove every row of a response, if there is one."""
        query = "SELECT no, sealed, num_bytes, turn FROM response WHERE id = ?"
        found = self._db.execute(query, (response_id,)).fetchone()
        if found is None:
            return
        number, sealed, num_bytes, turn = found
        self._db.execute("DELETE FROM response WHERE no = ?", (number,))
        if sealed is not None:
            self._db.execute("DELETE FROM log WHERE response = ?", (number,))
            self._unlist(number)
            self.num_bytes -= num_bytes
        self._turns.release(turn)
        self._journal.end(number)

    def _drop_old(self, response_id: str) -> None:
        self.delete(response_id)
        self.gone.append(response_id)

    @property
    def _is_full(self) -> bool:
        return self.num_bytes + self._turns.num_bytes > self._max_bytes

    def _make_room(self, now: float) -> None:
        """Drop what has expired, then the oldest records while there is too much."""
        if not self._is_full:
            return
        self.expire(now)
        query = "SELECT id FROM response WHERE sealed IS NOT NULL ORDER BY sealed LIMIT 1"
        while self._is_full and (oldest := self._db.execute(query).fetchone()) is not None:
            self._drop_old(oldest[0])


def list_record(db: sqlite3.Connection, number: int, record: Record) -> None:
    """Write the rows by which a record is found besides its id."""
    db.executemany("INSERT OR REPLACE INTO label VALUES (?, ?, ?, ?, ?, ?)", _labels(number, record))
    items = [(record.owner, item_id, number, place) for place, item_id in item_ids(record)]
    db.executemany("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", items)


def _labels(number: int, record: Record) -> Iterator[tuple[str, str, str, int, str, int]]:
    for name, value in record.response.metadata.items():
        yield record.owner, name, value, record.begun_at, record.response_id, number
