"""Maintenance of the file by a person: inspect it, check it, copy it, shrink it, delete all of a tenant's data.

Inspecting, checking and copying work while a server uses the file; the rest needs its lock.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from realtime.context.turns import Turn
from realtime.store.packed.batches import Batch
from realtime.store.packed.entries import decode_entry
from realtime.store.packed.journal import decode_chunks
from realtime.store.packed.logs import decode_log
from realtime.store.packed.records import decode_head, decode_record

from .lock import FileLock
from .reading import Reading
from .schema import CannotOpen, check_version, connect, open_for_writing, trouble_with
from .transactions import Transactions

_UNBOUNDED = 1 << 62


class Info(msgspec.Struct, frozen=True):
    """Facts about a file. `num_bytes`: its size and that of the log next to it."""

    version: int
    num_bytes: int
    num_running: int
    num_finished: int
    num_conversations: int
    num_tenants: int
    content_bytes: int
    oldest_begun_at: int | None  # unix nanoseconds


def info(path: Path) -> Info:
    """Inspect a file. Raises CannotOpen."""
    with _looking(path) as db:
        version = check_version(db, path)
        responses = "SELECT count(*), count(sealed), coalesce(sum(num_bytes), 0), min(begun_at) FROM response"
        number, finished, content, oldest = db.execute(responses).fetchone()
        (turns,) = db.execute("SELECT turn_bytes FROM total").fetchone()
        (conversations,) = db.execute("SELECT count(*) FROM conversation").fetchone()
        tenants = "SELECT count(*) FROM (SELECT owner FROM response UNION SELECT owner FROM conversation)"
        (num_tenants,) = db.execute(tenants).fetchone()
        size = path.stat().st_size + sum(one.stat().st_size for one in _beside(path))
        return Info(
            version, size, number - finished, finished, conversations, num_tenants, content + turns, oldest,
        )  # fmt: skip


def problems(path: Path) -> list[str]:
    """Read everything in a file, and yield what can't be read. Raises CannotOpen."""
    found: list[str] = []
    with _looking(path) as db:
        check_version(db, path)
        found += [f"SQLite: {row[0]}" for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        if not found:
            found += _undecodable(db)
    return found


def backup(path: Path, to: Path) -> None:
    """Copy a file as of one moment; only this user can read the copy. Raises CannotOpen."""
    with _looking(path) as db:
        check_version(db, path)
        try:
            os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise CannotOpen(f"the copy {to} can't be written: {error.strerror}") from None
        with contextlib.closing(sqlite3.connect(to)) as copy:
            db.execute("PRAGMA query_only = OFF")
            db.backup(copy)


def vacuum(path: Path) -> None:
    """Give a file's free space back to the disk. Raises CannotOpen."""
    with _having(path) as db:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def delete_tenant(path: Path, tenant: str) -> tuple[int, int]:
    """Delete all of a tenant's data. Return how many responses and conversations that was. Raises CannotOpen."""
    with _having(path) as db:
        responses = [one for (one,) in db.execute("SELECT id FROM response WHERE owner = ?", (tenant,))]
        conversations = [one for (one,) in db.execute("SELECT id FROM conversation WHERE owner = ?", (tenant,))]
        transactions, batch = Transactions(db, path, max_bytes=_UNBOUNDED), Batch()
        batch.steps += [(transactions.responses.delete, (one,)) for one in responses]
        batch.steps += [(transactions.conversations.delete, (one,)) for one in conversations]
        batch.steps.append((transactions.responses.release_claims_of, (tenant,)))
        transactions.run(batch)
        transactions.checkpoint()
    return len(responses), len(conversations)


@contextlib.contextmanager
def _looking(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise CannotOpen(f"there is no store {path}")
    try:
        with contextlib.closing(connect(path)) as db:
            yield db
    except sqlite3.Error as error:
        raise CannotOpen(trouble_with(path, error)) from None


@contextlib.contextmanager
def _having(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise CannotOpen(f"there is no store {path}")
    lock = FileLock(path)
    try:
        with contextlib.closing(open_for_writing(path, "normal")) as db:
            yield db
    except sqlite3.Error as error:
        raise CannotOpen(trouble_with(path, error)) from None
    finally:
        lock.release()


def _beside(path: Path) -> Iterator[Path]:
    for ending in ("-wal", "-shm"):
        if (one := path.with_name(path.name + ending)).exists():
            yield one


def _undecodable(db: sqlite3.Connection) -> Iterator[str]:
    """Yield what SQLite can read and this server can't."""
    reading = Reading(object())
    for number, response_id, sealed, turn, body in db.execute("SELECT no, id, sealed, turn, body FROM response"):
        try:
            if sealed is None:
                decode_head(body)
                continue
            decode_record(body, _any_turn(reading, db, turn))
            (entries,) = db.execute("SELECT entries FROM log WHERE response = ?", (number,)).fetchone()
            decode_log(entries)
        except (ValueError, TypeError, IndexError) as error:
            yield f"response {response_id}: {error}"
    for row, chunks in db.execute("SELECT id, chunks FROM journal"):
        try:
            decode_chunks(chunks)
        except ValueError as error:
            yield f"journal {row}: {error}"
    for item_id, body in db.execute("SELECT id, body FROM conversation_item"):
        try:
            decode_entry(body, 0, 0, None)
        except ValueError as error:
            yield f"conversation item {item_id}: {error}"


def _any_turn(reading: Reading, db: sqlite3.Connection, number: int | None) -> Turn | None:
    return reading.turn(db, number)[0]
