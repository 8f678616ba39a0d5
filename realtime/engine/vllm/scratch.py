"""Scratch: folders with sockets, and semaphores, that the engines of one process have outside it. None of it stays
behind.

All of it bears the name of one folder, which the process keeps locked for as long as it lives. A killed process leaves
a folder that nobody has locked, and the next one to start removes that, with the semaphores that are named after it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from itertools import count
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

PREFIX = "realtime-"
_LOCK = "lock"
_MAX_PARENT = 45  # bytes: a socket's path is 107 at most, of which vLLM's own names take 37 and ours 22
_SHARED_MEMORY = Path("/dev/shm")  # where Linux has named semaphores, as `sem.NAME`

_guard = threading.Lock()  # engines may be started by several threads
_folder: Path | None = None  # this process's
_owner = 0  # process that has made it: what is forked from that must not remove it
_locks: list[int] = []  # open file descriptors
_numbers = count(1)


class Scratch:
    """One engine's scratch. folder: for its sockets. semaphores: the prefix of its semaphores' names."""

    def __init__(self) -> None:
        self.folder = process_folder() / str(next(_numbers))  # short: see `_parent`
        self.semaphores = f"/{self.folder.parent.name}-{self.folder.name}"
        self.folder.mkdir()

    def remove(self) -> None:
        """Remove all of it. Its processes have ended."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _remove_semaphores(self.semaphores, ours=True)

    @property
    def exists(self) -> bool:
        """Return whether any of it exists."""
        return self.folder.exists() or any(_semaphores(self.semaphores))


def process_folder() -> Path:
    """Return this process's folder, made and locked at the first call, which also removes those of dead processes.

    Python's own sockets between processes go there too: they would stay behind like ours.
    """
    global _folder, _owner
    with _guard:
        if _folder is None or not _folder.is_dir():
            for parent in {_parent(), Path(tempfile.gettempdir()), Path("/tmp")}:
                remove_dead(parent)
            _folder, _owner = _make(_parent()), os.getpid()
            _configuration(multiprocessing.current_process()).setdefault("tempdir", str(_folder))
            atexit.register(remove_all)
        return _folder


def remove_all() -> None:
    """Remove everything of this process. Its engines have ended."""
    if _folder is not None and _owner == os.getpid():
        _remove_semaphores(f"/{_folder.name}", ours=True)
        shutil.rmtree(_folder, ignore_errors=True)


def remove_dead(parent: Path) -> None:
    """Remove what killed processes of this user have left in a folder for temporary files."""
    for folder in parent.glob(f"{PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # another user's, or gone in this moment
            if folder.parent.is_symlink() or folder.parent.stat().st_uid != os.geteuid():
                continue
            lock = _lock(folder)
            _remove_semaphores(f"/{folder.parent.name}", ours=False)
            shutil.rmtree(folder.parent, ignore_errors=True)
            os.close(lock)


def name_semaphores(beginning: str) -> None:
    """Make this process, and those that it starts, use this prefix for the names of semaphores."""
    _configuration(multiprocessing.current_process())["semprefix"] = beginning


def _configuration(process: Any) -> dict[str, Any]:
    """Return the configuration that Python's multiprocessing hands down to child processes; see the test
    that pins it.
    """
    configuration: dict[str, Any] = process._config
    return configuration


def _parent() -> Path:
    """Return the folder for temporary folders: the user's own folder of a running session, if there is one.

    Not a folder with a long name: paths below it would be too long for a socket.
    """
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        if len(place) <= _MAX_PARENT and os.path.isdir(place) and os.access(place, os.W_OK):
            return Path(place)
    return Path("/tmp")


def _make(parent: Path) -> Path:
    """Make a folder. It is locked before it gets the name by which others look for it."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    unnamed = folder / "unnamed"
    unnamed.touch()
    _locks.append(_lock(unnamed))
    unnamed.rename(folder / _LOCK)
    return folder


def _lock(path: Path) -> int:
    """Return the descriptor that holds the lock. Raises OSError if another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _semaphores(beginning: str) -> Iterator[Path]:
    return _SHARED_MEMORY.glob(f"sem.{beginning.removeprefix('/')}-*")


def _remove_semaphores(beginning: str, *, ours: bool) -> None:
    """Remove semaphores. ours: of this process, which Python has in a list and would complain about at its end."""
    for path in _semaphores(beginning):
        with contextlib.suppress(OSError):
            path.unlink()
            if ours:
                resource_tracker.unregister("/" + path.name.removeprefix("sem."), "semaphore")
