"""The file: how it is opened, its tables, and how an older file becomes a current one.

`MIGRATIONS[n]` brings a file of version n to version n + 1; a new file goes through all of them. A file of a version
that this program does not know is refused, as is one that is not a store: nothing is ever guessed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Literal

APPLICATION_ID = 0x72_74_73_74  # "rtst", in the header of the file
Synchronous = Literal["normal", "full"]

MIGRATIONS = (
    """
    CREATE TABLE journal (id INTEGER PRIMARY KEY AUTOINCREMENT, chunks BLOB NOT NULL);
    CREATE TABLE turn (
        no INTEGER PRIMARY KEY AUTOINCREMENT,
        parent INTEGER,             -- the turn that it continues
        num_refs INTEGER NOT NULL,  -- who points to it: turns, responses, conversations
        body BLOB NOT NULL
    );
    CREATE TABLE total (turn_bytes INTEGER NOT NULL);
    INSERT INTO total VALUES (0);
    CREATE TABLE response (
        no INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        begun_at INTEGER NOT NULL,
        sealed INTEGER,             -- its place among those that are over, oldest first; NULL: it runs
        expires_at REAL,
        num_bytes INTEGER NOT NULL DEFAULT 0,
        conversation TEXT,
        status TEXT,
        turn INTEGER,
        body BLOB NOT NULL          -- of one that runs its head, else its record
    );
    CREATE INDEX response_running ON response (no) WHERE sealed IS NULL;
    CREATE INDEX response_by_age ON response (sealed, num_bytes) WHERE sealed IS NOT NULL;
    CREATE INDEX response_by_expiry ON response (expires_at) WHERE sealed IS NOT NULL;
    CREATE INDEX response_by_owner ON response (owner, begun_at, id) WHERE sealed IS NOT NULL;
    CREATE INDEX response_by_conversation ON response (owner, conversation, begun_at, id)
        WHERE sealed IS NOT NULL AND conversation IS NOT NULL;
    CREATE TABLE log (response INTEGER PRIMARY KEY, entries BLOB NOT NULL);
    CREATE TABLE label (
        owner TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, begun_at INTEGER NOT NULL, id TEXT NOT NULL,
        response INTEGER NOT NULL, PRIMARY KEY (owner, name, value, begun_at, id)
    ) WITHOUT ROWID;
    CREATE INDEX label_by_response ON label (response);
    CREATE TABLE item (
        owner TEXT NOT NULL, id TEXT NOT NULL, response INTEGER NOT NULL, place INTEGER NOT NULL,
        PRIMARY KEY (owner, id, response)
    ) WITHOUT ROWID;
    CREATE INDEX item_by_response ON item (response);
    CREATE TABLE claim (
        tenant TEXT NOT NULL, request_id TEXT NOT NULL, response_id TEXT NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (tenant, request_id)
    ) WITHOUT ROWID;
    CREATE INDEX claim_by_response ON claim (response_id);
    CREATE TABLE conversation (
        no INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        begun_at INTEGER NOT NULL,
        used_at REAL NOT NULL,
        num_bytes INTEGER NOT NULL,
        metadata TEXT NOT NULL,     -- JSON
        turn INTEGER,               -- the newest response in it, if its tokens still hold
        num_before INTEGER NOT NULL -- items before that one's
    );
    CREATE INDEX conversation_by_owner ON conversation (owner, begun_at, id);
    CREATE INDEX conversation_by_use ON conversation (owner, used_at, num_bytes);
    CREATE TABLE conversation_item (
        no INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL, id TEXT NOT NULL,
        created_at INTEGER NOT NULL, response_id TEXT, num_bytes INTEGER NOT NULL, body BLOB NOT NULL
    );
    CREATE UNIQUE INDEX conversation_item_by_id ON conversation_item (conversation, id);
    CREATE INDEX conversation_item_in_order ON conversation_item (conversation, no);
    """,
)
VERSION = len(MIGRATIONS)


class CannotOpen(Exception):
    """An error: the file can't be used as a store. The text names it, and is for the person at the terminal."""


def create_file(path: Path) -> None:
    """Create the file and its folder if they are missing; only this user can read the file. Raises CannotOpen."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise CannotOpen(f"the store {path} can't be written: {error.strerror}") from None


def connect(path: Path, *, synchronous: Synchronous = "normal", writes: bool = False) -> sqlite3.Connection:
    """Open a connection to an existing file. One that is not for writing can't write. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        if writes:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
            connection.execute("PRAGMA journal_size_limit = 67108864")
        else:
            connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_writing(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """Open the file as a store of the current version. Raises CannotOpen."""
    create_file(path)
    try:
        with contextlib.closing(connect(path)) as looking:  # before anything is written to it
            check_version(looking, path)
        connection = connect(path, synchronous=synchronous, writes=True)
        try:
            _check_whole(connection, path)
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise CannotOpen(trouble_with(path, error)) from None
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file's schema; 0: there is none yet. Raises CannotOpen for a file that is not ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise CannotOpen(f"{path} is not a store of this server: name another file with --store sqlite:PATH")
    if version > VERSION:
        raise CannotOpen(
            f"the store {path} was written by a newer version of this server (schema {version}; this one knows up to "
            f"{VERSION}): start that version, or name another file with --store sqlite:PATH"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file's schema to the current version. Raises CannotOpen, sqlite3.Error."""
    version = check_version(connection, path)
    for number in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in filter(str.strip, MIGRATIONS[number].split(";\n")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def trouble_with(path: Path, error: sqlite3.Error | ValueError) -> str:
    """Return what is wrong with a file, or with something in it, for the person at the terminal."""
    if isinstance(error, ValueError) or is_damage(error):
        return f"the store {path} is damaged ({error}): `realtime store check` saves what can be read of it"
    return f"the store {path} can't be used: {error}"


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that the file is not what SQLite wrote."""
    return _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_the_disks(error: sqlite3.Error) -> bool:
    """Return whether an error comes from the file or the disk, so that a retry may succeed later."""
    return _primary(error) in _THE_DISKS


_THE_DISKS = frozenset({
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_TOOBIG,
})  # fmt: skip


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that has lost its end, which SQLite would notice only at the first missing page."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (num_pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    if (size := path.stat().st_size) < num_pages * page_size:
        text = f"it has {size} bytes and should have {num_pages * page_size}"
        raise CannotOpen(f"the store {path} is cut short ({text}): `realtime store check` saves what can be read of it")
