"""Notices of this user's running servers on this machine: each leaves a note of its address, for `chat` to find it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MAX_BYTES = 4096


class Notice:
    """The note of one server. It holds the lock on its file as long as its process lives, however that ends."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._descriptor: int | None = None

    def post(self, url: str) -> None:
        """Write where the server is. If that fails, nobody finds it automatically, and that is all."""
        running_urls()  # takes down those of the dead
        with contextlib.suppress(OSError):
            path = _folder() / f"{os.getpid()}.json"
            begun = path.with_suffix(".new")  # nobody looks for it before it is locked and whole
            self._descriptor = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(self._descriptor, 0)
            os.write(self._descriptor, json.dumps({"url": url}).encode())
            begun.rename(path)
            self._file = path

    def remove(self) -> None:
        """Remove the note."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def running_urls() -> list[str]:
    """Return the URLs of this user's servers that are alive."""
    with contextlib.suppress(OSError):
        return sorted(url for path in _folder().glob("*.json") for url in _read(path))
    return []


def _read(path: Path) -> Iterator[str]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe has no end
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # its server has it
            yield str(json.loads(os.read(descriptor, _MAX_BYTES))["url"])
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _folder() -> Path:
    """Return the folder of the notes, which only this user can access. Raises OSError."""
    parent = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(parent) / f"realtime-servers-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder
