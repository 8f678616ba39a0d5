"""The lock of a store's file: one server at a time.

A POSIX record lock on a file next to it. Unlike other locks it belongs to the process alone: a fork does not share it,
so an engine that outlives its server for a moment does not keep the next server out, and it ends with the process
however that ends. Closing any other descriptor of the same file would release it, so nobody else opens that file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from .schema import CannotOpen

_held: set[Path] = set()  # by this process, which the kernel would let in again


class FileLock:
    """The lock of one store, from its making to `release`."""

    def __init__(self, store: Path) -> None:
        """Raises CannotOpen when another server has it."""
        self._path = store.with_name(store.name + "-lock").resolve()
        if self._path in _held:
            raise CannotOpen(_in_use(store, os.getpid()))
        try:
            store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotOpen(f"the store {store} can't be locked: {error.strerror}") from None
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise CannotOpen(_in_use(store, int(holder) if holder.isdigit() else None)) from None
        _held.add(self._path)
        with contextlib.suppress(OSError):  # it is for the message only, and the disk may be full
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Release the lock. Does nothing the second time."""
        if self._path in _held:
            _held.discard(self._path)
            os.close(self._descriptor)


def _in_use(store: Path, holder: int | None) -> str:
    by = f" by process {holder}" if holder is not None else ""
    return (
        f"the store {store} is in use{by}: stop that server, or name another file with --store sqlite:PATH "
        "(--store memory keeps nothing)"
    )
