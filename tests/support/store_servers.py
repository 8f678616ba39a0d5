"""Redis and PostgreSQL for tests: real servers, each on a socket in a folder of its own, ended with the tests.

Where one is not installed its tests are skipped, which TESTS_NEED_STORES=1 does not allow.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bench.databases import NotInstalled, ready, start, stop
from realtime.store.cluster.backend import Backend
from realtime.store.cluster.stores import make_backend

T = TypeVar("T")


class StoreServer:
    """A server that runs. `url`: of a part of it that nobody has used yet. `wait`: does work with it, to its end."""

    def __init__(self, kind: str, url: str, process: subprocess.Popen[bytes]) -> None:
        self.kind = kind
        self.process = process
        self._url = url
        self._numbers = count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def url(self) -> str:
        """Return the URL of a part of it that nobody has used since it was started."""
        return f"{self._url}{'&' if '?' in self._url else '?'}namespace=t{next(self._numbers)}"

    def backend(self) -> Backend:
        """Return a backend with a part of its own."""
        return make_backend(self.url())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work with a backend. Blocks."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the server and what worked with it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        stop(self.process)


class StoreServers:
    """The servers of a run of tests, each started when the first test asks for it."""

    def __init__(self, leaving: ExitStack) -> None:
        self._leaving = leaving
        self._running: dict[str, StoreServer] = {}

    def __getitem__(self, kind: str) -> StoreServer:
        """Return the server of a kind; skip the test if it is not installed."""
        if kind not in self._running:
            self._running[kind] = self._leaving.enter_context(store_server(kind))
        return self._running[kind]


@contextmanager
def store_server(kind: str) -> Iterator[StoreServer]:
    """Start one in a folder of its own; skip the test if it is not installed."""
    with tempfile.TemporaryDirectory(prefix="realtime-", ignore_cleanup_errors=True) as name:
        server = started(kind, Path(name))
        try:
            yield server
        finally:
            server.close()


def started(kind: str, folder: Path) -> StoreServer:
    """Start one, maybe again, in a folder, and wait until it answers; skip the test if it is not installed."""
    try:
        process, url = start(kind, folder)
    except NotInstalled as error:
        if os.environ.get("TESTS_NEED_STORES") == "1":
            raise
        pytest.skip(f"{error}: the cluster's store on it was not tested")
    server = StoreServer(kind, url, process)
    server.wait(ready(server.backend()))
    return server
