"""Salvage: save what can be read of a damaged file into a new one, row by row. A lost page takes some rows along.

What is saved is complete: a response without its log is left out, and one whose history is broken can't be continued.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from realtime.store.packed.entries import decode_entry
from realtime.store.packed.logs import decode_log
from realtime.store.packed.records import decode_record
from realtime.store.packed.turns import decode_own_items

from .reading import Reading
from .response_rows import list_record
from .schema import CannotOpen, open_for_writing

_FAR = 10_000  # numbers without a row, or with one that can't be read, after which there is nothing more
_COLUMNS = {
    "turn": "no, parent, num_refs, body",
    "response": "no, id, owner, begun_at, sealed, expires_at, num_bytes, conversation, status, turn, body",
    "log": "response, entries",
    "conversation": "no, id, owner, created_at, begun_at, used_at, num_bytes, metadata, turn, num_before",
    "conversation_item": "no, conversation, id, created_at, response_id, num_bytes, body",
}


class Saved(msgspec.Struct):
    """The numbers of saved entries, and of responses of which something was there."""

    num_responses: int = 0
    num_conversations: int = 0
    num_seen: int = 0


def salvage(path: Path, to: Path) -> Saved:
    """Save what can be read. Raises CannotOpen."""
    if to.exists():
        raise CannotOpen(f"{to} exists already: name a new file")
    with (
        tempfile.TemporaryDirectory(prefix=".salvage-", dir=to.parent) as folder,
        contextlib.closing(sqlite3.connect(_copied(path, Path(folder)), isolation_level=None)) as old,
        contextlib.closing(open_for_writing(to, "normal")) as new,
    ):
        old.execute("PRAGMA writable_schema = ON")  # else SQLite reads nothing at all of a file that is too short
        new.execute("BEGIN")
        saved = _copy(old, new)
        new.execute("COMMIT")
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return saved


def _copied(path: Path, folder: Path) -> Path:
    """Copy a file, and the log next to it, to which SQLite would write."""
    for ending in ("", "-wal"):
        one = path.with_name(path.name + ending)
        if one.exists():
            shutil.copyfile(one, folder / f"copy{ending}")
    return folder / "copy"


def _copy(old: sqlite3.Connection, new: sqlite3.Connection) -> Saved:
    saved = Saved()
    turns = dict(_rows(old, "turn", lambda row: decode_own_items(row[3])))
    logs = dict(_rows(old, "log", lambda row: decode_log(row[1])))
    for row in turns.values():
        new.execute("INSERT INTO turn VALUES (?, ?, 0, ?)", (row[0], row[1], row[3]))
    reading = Reading(object())
    for number, row in _rows(old, "response", lambda row: None):
        saved.num_seen += 1
        if row[4] is None or number not in logs:  # it ran: its client has been told of an end, or sends it again
            continue
        turn = row[9] if _is_whole(turns, row[9]) else None
        try:
            record = decode_record(row[10], reading.turn(new, turn)[0])
        except ValueError:
            continue
        new.execute(f"INSERT INTO response VALUES ({', '.join('?' * 11)})", (*row[:9], turn, row[10]))
        new.execute("INSERT INTO log VALUES (?, ?)", logs[number])
        list_record(new, number, record)
        saved.num_responses += 1
    saved.num_conversations = _copy_conversations(old, new, turns)
    _copy_claims(old, new)
    _count_references(new)
    return saved


def _copy_conversations(old: sqlite3.Connection, new: sqlite3.Connection, turns: dict[int, Any]) -> int:
    """Copy conversations with the items that are left. One that lacks some begins anew with those."""
    number = 0
    for _, row in _rows(old, "conversation", lambda row: msgspec.json.decode(row[7])):
        turn = row[8] if _is_whole(turns, row[8]) else None
        new.execute(f"INSERT INTO conversation VALUES ({', '.join('?' * 10)})", (*row[:8], turn, row[9]))
        number += 1
    for _, row in _rows(old, "conversation_item", lambda row: decode_entry(row[6], 0, 0, None)):
        new.execute(f"INSERT INTO conversation_item VALUES ({', '.join('?' * 7)})", row)
    new.execute("DELETE FROM conversation_item WHERE conversation NOT IN (SELECT no FROM conversation)")
    return number


def _copy_claims(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        for row in old.execute("SELECT tenant, request_id, response_id, digest FROM claim"):
            if new.execute("SELECT 1 FROM response WHERE id = ?", (row[2],)).fetchone() is not None:
                new.execute("INSERT OR IGNORE INTO claim VALUES (?, ?, ?, ?)", row)


def _count_references(new: sqlite3.Connection) -> None:
    """Drop turns without a reference, and count the references to the others."""
    pointing = "(SELECT count(*) FROM turn AS t WHERE t.parent = turn.no) + " + " + ".join(
        f"(SELECT count(*) FROM {table} AS t WHERE t.turn = turn.no)" for table in ("response", "conversation")
    )
    new.execute(
        "WITH RECURSIVE used(no) AS (SELECT turn FROM response UNION SELECT turn FROM conversation "
        "UNION SELECT parent FROM turn JOIN used USING (no)) "
        "DELETE FROM turn WHERE no NOT IN (SELECT no FROM used WHERE no IS NOT NULL)"
    )
    new.execute("CREATE INDEX turn_by_parent ON turn (parent)")
    new.execute("CREATE INDEX response_by_turn ON response (turn)")
    new.execute("CREATE INDEX conversation_by_turn ON conversation (turn)")
    new.execute(f"UPDATE turn SET num_refs = {pointing}")
    for name in ("turn_by_parent", "response_by_turn", "conversation_by_turn"):
        new.execute(f"DROP INDEX {name}")
    new.execute("UPDATE total SET turn_bytes = (SELECT coalesce(sum(length(body)), 0) FROM turn)")


def _is_whole(turns: dict[int, Any], number: int | None) -> bool:
    """Return whether a turn and all that it continues are there."""
    while number is not None:
        row = turns.get(number)
        if row is None:
            return False
        number = row[1]
    return True


def _rows(
    db: sqlite3.Connection, table: str, check: Callable[[tuple[Any, ...]], object]
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the rows of a table that can be read and pass a check, by their numbers."""
    name = _COLUMNS[table].partition(",")[0]
    query = f"SELECT {_COLUMNS[table]} FROM {table} WHERE {name} = ?"
    newest, number = _newest(db, table), 0
    last_found = 0
    while number - last_found < _FAR and (newest is None or number < newest):
        number += 1
        try:
            row = db.execute(query, (number,)).fetchone()
            if row is not None:
                check(row)
        except (sqlite3.Error, ValueError, TypeError):
            continue
        if row is not None:
            last_found = number
            yield number, row


def _newest(db: sqlite3.Connection, table: str) -> int | None:
    """Return the greatest number that a row of a table may have; None: it can't be read."""
    numbered = "response" if table == "log" else table
    with contextlib.suppress(sqlite3.Error):
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (numbered,)).fetchone()
        return found[0] if found is not None else 0
    return None
