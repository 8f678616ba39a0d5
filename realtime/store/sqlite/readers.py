"""The readers' threads: each has a connection of its own, so look-ups don't wait for the writer."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from realtime.wire.errors import store_unavailable

from .schema import connect

logger = logging.getLogger("realtime.store")

T = TypeVar("T")

NUM_THREADS = 2


class Look(Protocol):
    """A function that calls a look-up with a connection and these arguments. Raises WireError when the file can't be
    read.
    """

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]: ...


class Readers:
    """The readers' threads, as a `Look`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="store-reader")

    async def __call__(self, call: Callable[..., T], *arguments: Any) -> T:
        """See Look."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, call, arguments)

    def close(self) -> None:
        """End the threads when their look-ups are done. Blocks."""
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()

    def _read(self, call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        return checked(call, self._connection(), *arguments)

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = connect(self._path)
            self._connections.append(found)
        return found


class ReadAtOnce:
    """A `Look` for tests and for the command line: on the caller's own thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def __call__(self, call: Callable[..., T], *arguments: Any) -> T:
        """See Look."""
        return checked(call, self._connection, *arguments)

    def close(self) -> None:
        """End."""


def checked(call: Callable[..., T], connection: sqlite3.Connection, *arguments: Any) -> T:
    """Do a look-up. Raises WireError when the file, or something in it, can't be read."""
    try:
        return call(connection, *arguments)
    except (sqlite3.Error, ValueError) as error:
        logger.error("the store can't be read: %s", error)
        raise store_unavailable() from None
