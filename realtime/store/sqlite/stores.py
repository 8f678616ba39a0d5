"""The three stores of one file, assembled, and their end.

stores = open_stores(path, settings)      # locked, checked, migrated
...
stores.close()                            # committed; the file alone holds everything
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from realtime.settings.fields import GIB, StoreSettings
from realtime.store.base import Stores
from realtime.store.packed.bounds import Bounds, bounds_of, flush_ms
from realtime.store.packed.commits import Commits
from realtime.store.packed.conversations import PackedConversations
from realtime.store.packed.responses import PackedResponses
from realtime.wire.ids import new_id

from .lock import FileLock
from .reader import FileReader
from .readers import ReadAtOnce, Readers
from .reading import Reading
from .requests import SqliteRequests
from .schema import CannotOpen, connect, open_for_writing, trouble_with
from .transactions import Transactions
from .writer import AtOnce, Writer

__all__ = ["Bounds", "Opened", "bounds_of", "flush_ms", "open_at_once", "open_stores"]

_CACHE_BYTES = 64 << 20  # of records, and as much again of conversations
_MAX_UNSTORED_BYTES = GIB


class Opened(msgspec.Struct, frozen=True):
    """An open file. `stores`: those that the service uses. `commits` and `writer`: for tests and measurements."""

    stores: Stores
    commits: Commits
    writer: Writer | AtOnce
    transactions: Transactions


def open_stores(path: Path, bounds: Bounds, store: StoreSettings, lock: FileLock | None = None) -> Opened:
    """Open a file, for this process alone. `lock`: the file's, if it is held already. Raises CannotOpen."""
    lock = lock or FileLock(path)
    try:
        connection = open_for_writing(path, store.store_synchronous)
        transactions = _transactions(connection, path, bounds)
        writer, readers = Writer(transactions, path), Readers(path)
    except BaseException:
        lock.release()
        raise

    def close() -> None:
        opened.commits.close()
        writer.close()
        readers.close()
        connection.close()
        lock.release()

    flush_seconds = flush_ms(store) / 1e3
    opened = _put_together(transactions, writer, readers, bounds, close, flush_seconds=flush_seconds)
    return opened


def open_at_once(path: Path, bounds: Bounds, *, waits: bool = False, new_id: Callable[[str], str] = new_id) -> Opened:
    """Open a file for tests: without threads and without a lock. `waits`: see AtOnce."""
    connection = open_for_writing(path, "normal")
    connection.execute("PRAGMA synchronous = OFF")
    looking = connect(path)
    transactions = _transactions(connection, path, bounds)

    def close() -> None:
        looking.close()
        connection.close()

    executor = AtOnce(transactions, waits=waits)
    return _put_together(transactions, executor, ReadAtOnce(looking), bounds, close, new_id=new_id)


def _transactions(connection: sqlite3.Connection, path: Path, bounds: Bounds) -> Transactions:
    try:
        return Transactions(connection, path, max_bytes=bounds.max_bytes, vocabulary=bounds.vocabulary)
    except (sqlite3.Error, ValueError) as error:
        connection.close()
        raise CannotOpen(trouble_with(path, error)) from None


def _put_together(
    transactions: Transactions, executor: Writer | AtOnce, look: Readers | ReadAtOnce, bounds: Bounds,
    close: Callable[[], None], *, flush_seconds: float = 0.0, new_id: Callable[[str], str] = new_id,
) -> Opened:  # fmt: skip
    commits, reading = Commits(executor, flush_seconds), Reading(transactions.file, bounds.vocabulary)
    reader, connection = FileReader(look, reading), transactions.connection
    requests = SqliteRequests(transactions.responses, commits, reader)
    responses = PackedResponses(
        transactions.responses, commits, reader,
        cache_bytes=_CACHE_BYTES, max_unstored_bytes=_MAX_UNSTORED_BYTES, on_gone=requests.forget,
        newest=reading.newest_number(connection), next_expiry=transactions.responses.next_expiry,
    )  # fmt: skip
    conversations = PackedConversations(
        transactions.conversations, commits, reader,
        max_bytes=bounds.max_conversations_bytes,
        max_conversation_bytes=bounds.max_conversation_bytes,
        max_items=bounds.max_items,
        cache_bytes=_CACHE_BYTES,
        new_id=new_id,
        clock=time.time,
        num_bytes=reading.num_conversation_bytes(connection),
    )  # fmt: skip
    stores = Stores(
        responses, conversations, requests, trouble=lambda: executor.trouble, close=close, outlive=True, batches=commits
    )
    return Opened(stores, commits, executor, transactions)
