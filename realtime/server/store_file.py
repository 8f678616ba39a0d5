"""The file of the store: where it is, how it is opened, and the key that is kept next to it.

The key encrypts contents that clients keep for this server, and signs tickets. Without a configured one it is made
once, so that both survive a restart as the answers do.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from pathlib import Path
from secrets import token_bytes, token_hex

import msgspec

from realtime.context.encrypted import KEY_BYTES
from realtime.settings.fields import ServerSettings, Settings
from realtime.store.base import Stores
from realtime.store.cluster.stores import open_cluster_stores
from realtime.store.cluster.timed_backend import Told
from realtime.store.memory.stores import memory_stores
from realtime.store.sqlite.lock import FileLock
from realtime.store.sqlite.schema import CannotOpen, open_for_writing
from realtime.store.sqlite.stores import bounds_of, open_stores

from .cluster_settings import Node
from .encryption_keys import read_encryption_keys
from .keys import KeysError

_PREFIX = "sqlite:"
_UNUSUAL = re.compile(r"[^A-Za-z0-9.-]+")


def store_path(settings: Settings) -> Path | None:
    """Return the file that the settings ask for; None: everything is kept in memory, or in a cluster's store."""
    given = settings.store.store
    if settings.cluster.cluster is not None:
        return None
    if given == "memory" or (given is None and settings.server.port == 0):
        return None
    if given is not None and given.startswith(_PREFIX):
        return Path(given.removeprefix(_PREFIX)).expanduser().absolute()
    host = _UNUSUAL.sub("_", settings.server.host)
    return _state_folder() / "realtime" / f"{host}-{settings.server.port}.db"


def hold_store(settings: Settings) -> FileLock | None:
    """Take the lock of the file that the settings ask for, and check that it can be opened; None: there is no file.
    Raises CannotOpen.
    """
    path = store_path(settings)
    if path is None:
        return None
    lock = FileLock(path)
    try:
        open_for_writing(path, settings.store.store_synchronous).close()
    except BaseException:
        lock.release()
        raise
    return lock


def open_configured(
    settings: Settings, lock: FileLock | None = None, node: Node | None = None, told: Told | None = None
) -> Stores:
    """Open the stores that the settings ask for; in a cluster those of this node. `lock`: the file's, if it is held
    already. `told`: of each round trip to a store that nodes share. Raises CannotOpen, and CannotJoin.
    """
    if settings.cluster.cluster is not None and node is not None:
        bounds = bounds_of(settings.responses, _vocabulary(settings))
        return open_cluster_stores(settings.cluster.cluster, node.name, node.url, bounds, settings.store, told)
    path = store_path(settings)
    if path is None:
        return memory_stores(settings.responses)
    return open_stores(path, bounds_of(settings.responses, _vocabulary(settings)), settings.store, lock).stores


def with_key(settings: ServerSettings, path: Path | None) -> ServerSettings:
    """Return the settings with the key next to the file, if they name none; it is made if it is missing. The lock of
    the file must be held. Raises CannotOpen.
    """
    if path is None or settings.sealing_keys or settings.sealing_keys_file is not None:
        return settings
    key_path = path.with_name(path.name + "-key")
    try:
        _make_key(key_path)
    except OSError as error:
        raise CannotOpen(f"the key {key_path} can't be written: {error.strerror}") from None
    try:
        keys = read_encryption_keys(key_path)
    except KeysError as error:
        raise CannotOpen(str(error)) from None
    return msgspec.structs.replace(settings, sealing_keys=tuple(base64.b64encode(key).decode() for key in keys))


def _make_key(path: Path) -> None:
    """Write a new key if there is none: complete, or not at all."""
    if path.exists():
        return
    new = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, base64.b64encode(token_bytes(KEY_BYTES)) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)


def _vocabulary(settings: Settings) -> str:
    """Return the name of the tokenizer. The scripted engine makes up its tokens as they come, different ones in each
    process.
    """
    options = settings.vllm
    return repr((options.model, options.revision, options.tokenizer)) if settings.engine != "scripted" else token_hex(8)


def _state_folder() -> Path:
    """See the XDG Base Directory Specification."""
    given = os.environ.get("XDG_STATE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
