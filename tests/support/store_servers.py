"""Redis and PostgreSQL for tests: real servers, each on a socket in a folder of its own, ended with the tests.

Where one is not installed its tests are skipped, which TESTS_NEED_STORES=1 does not allow.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from realtime.store.cluster.backend import Away, Backend
from realtime.store.cluster.stores import make_backend

T = TypeVar("T")

_PATIENCE = 60.0  # seconds for a server to start
_POSTGRES_FOLDERS = "/usr/lib/postgresql"


class StoreServer:
    """A server that runs. `url`: of a part of it that nobody has used yet. `wait`: does work with it, to its end."""

    def __init__(self, kind: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.kind = kind
        self.folder = folder
        self.process = process
        self._numbers = count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def url(self) -> str:
        """Return the URL of a new part."""
        number = next(self._numbers)
        if self.kind == "redis":
            return f"unix://{self.folder}/redis.sock?namespace=t{number}"
        return f"postgresql://postgres@/postgres?host={self.folder}&namespace=t{number}"

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
        self.process.send_signal(signal.SIGQUIT if self.kind == "postgres" else signal.SIGTERM)
        self.process.wait()


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
    """Start one; skip the test if it is not installed."""
    with tempfile.TemporaryDirectory(prefix="realtime-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        process = _redis(folder) if kind == "redis" else _postgres(folder)
        server = StoreServer(kind, folder, process)
        try:
            server.wait(_ready(server.backend()))
            yield server
        finally:
            server.close()


async def _ready(backend: Backend) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                await backend.open()
            except Away:
                await asyncio.sleep(0.02)  # it listens before it answers
            else:
                return await backend.close()


def _redis(folder: Path) -> subprocess.Popen[bytes]:
    program = shutil.which("redis-server") or shutil.which("valkey-server") or _absent("redis-server")
    socket = folder / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(folder))
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    _wait_for(socket, process)
    return process


def _postgres(folder: Path) -> subprocess.Popen[bytes]:
    """Start PostgreSQL, which refuses to run as root."""
    found = sorted(Path(_POSTGRES_FOLDERS).glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb") or _absent("postgres")
    programs, data = Path(initdb).parent, folder / "data"
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres" if _is_user("postgres") else "nobody")
        as_user = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        os.chown(folder, user.pw_uid, user.pw_gid)
    init = [*as_user, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
    run = [*as_user, str(programs / "postgres"), "-D", str(data), *options]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _wait_for(folder / ".s.PGSQL.5432", process)
    return process


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args!r} does not start")
        time.sleep(0.02)  # it says nothing when it is ready


def _is_user(name: str) -> bool:
    return any(user.pw_name == name for user in pwd.getpwall())


def _absent(name: str) -> str:
    if os.environ.get("TESTS_NEED_STORES") == "1":
        raise RuntimeError(f"{name} is not installed, and TESTS_NEED_STORES=1 wants it")
    pytest.skip(f"{name} is not installed: the cluster's store on it was not tested")
