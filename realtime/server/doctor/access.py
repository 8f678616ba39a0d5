"""Checks of access: port, API keys, origins, encryption keys, and the store that the server writes to."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from realtime.server.auth import exposure_warning
from realtime.server.encryption_keys import read_encryption_keys
from realtime.server.keys import KeysError, read_keys
from realtime.server.listening import CannotListen, listen
from realtime.server.notice import running_urls
from realtime.server.store_file import store_path
from realtime.settings.fields import MIB, ServerSettings, Settings
from realtime.store.sqlite.lock import FileLock
from realtime.store.sqlite.schema import CannotOpen, connect, trouble_with

from .finding import Finding


def look_at_access(settings: Settings) -> Iterator[Finding]:
    """Check all of it. Leaves nothing changed."""
    yield _port(settings.server)
    yield _keys(settings)
    yield from _origins(settings.server)
    if settings.server.sealing_keys_file is not None:
        yield _sealing_keys(Path(settings.server.sealing_keys_file))
    if settings.cluster.cluster is None:
        yield _store(store_path(settings))


def _port(server: ServerSettings) -> Finding:
    place = f"{server.host}:{server.port}"
    try:
        listen(server.host, server.port).close()
    except CannotListen as error:
        ours = any(urlsplit(url).port == server.port for url in running_urls())
        if ours:
            return Finding("port", "note", f"{place} is held by a server of this user that runs")
        return Finding("port", "error", str(error))
    return Finding("port", "ok", f"{place} is free")


def _keys(settings: Settings) -> Finding:
    path = settings.server.api_keys_file
    if path is None:
        warning = exposure_warning(settings)
        if warning:
            advice = "`realtime keys add NAME`, then --api-keys-file keys.json"
            return Finding("keys", "warning", "everybody who can reach it may use this server, without a key", advice)
        return Finding("keys", "ok", "none is asked for; only this machine can connect")
    try:
        keys = read_keys(Path(path)).keys
    except KeysError as error:
        return Finding("keys", "error", str(error))
    if Path(path).stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"{path} can be written by others, who can let themselves in"
        return Finding("keys", "warning", text, f"chmod 600 {path}")
    if not keys:
        return Finding("keys", "error", f"{path} has none: nobody can come in", "`realtime keys add NAME`")
    return Finding("keys", "ok", f"{len(keys)} in {path}")


def _origins(server: ServerSettings) -> Iterator[Finding]:
    wrong = [origin for origin in server.allowed_origins if not _is_origin(origin)]
    for origin in wrong:
        advice = "an origin is a scheme and a name, and a port that is not the usual one: https://chat.example.com"
        yield Finding("origins", "error", f"no page has the origin {origin!r}", advice)
    if server.allowed_origins and not wrong:
        yield Finding("origins", "ok", ", ".join(server.allowed_origins))


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return text == "*" or (parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.path.strip("/"))


def _sealing_keys(path: Path) -> Finding:
    try:
        number = len(read_encryption_keys(path))
    except KeysError as error:
        return Finding("sealing keys", "error", str(error))
    return Finding("sealing keys", "ok", f"{number} in {path}")


def _store(path: Path | None) -> Finding:
    if path is None:
        return Finding("store", "note", "responses are kept in memory, and end with the process")
    if not path.exists():
        return _new_store(path)
    try:
        FileLock(path).release()
    except CannotOpen as error:
        return Finding("store", "note", str(error))
    try:
        with contextlib.closing(connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return Finding("store", "error", trouble_with(path, error))
    if not os.access(path, os.W_OK):
        return Finding("store", "error", f"{path} can't be written by this user", "--store sqlite:PATH names another")
    return Finding(
        "store", "ok", f"{path}, {path.stat().st_size / MIB:.1f} MiB; `realtime store check` reads all of it"
    )


def _new_store(path: Path) -> Finding:
    there = next(one for one in path.parents if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        text = f"{path} can't be made: {there} can't be written by this user"
        return Finding("store", "error", text, "--store sqlite:PATH names another")
    return Finding("store", "ok", f"{path} will be made")
