"""Redis and PostgreSQL as they are installed here, each started on a socket in a folder, for measurements and tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from realtime.store.cluster.backend import Away, Backend

_PATIENCE = 60.0  # seconds for a server to start
_POSTGRES_FOLDERS = "/usr/lib/postgresql"


class NotInstalled(Exception):
    """An error: this server is not installed here. The text names it."""


def start(
    kind: str, folder: Path, *, durable: bool = False, port: int = 0, flags: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a `redis` or a `postgres`; return it and its URL. durable: commits are written to the disk. port: listen
    there on 127.0.0.1 too; 0: on the socket only. flags: further ones. Raises NotInstalled.
    """
    if kind == "redis":
        return _redis(folder, port, flags), f"unix://{folder}/redis.sock"
    return _postgres(folder, durable, port, flags), f"postgresql://postgres@/postgres?host={folder}"


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server at once."""
    while process.poll() is None:
        process.send_signal(signal.SIGQUIT if "postgres" in str(process.args) else signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):  # Redis refuses while it writes its first append-only file
            process.wait(1)


async def ready(backend: Backend) -> None:
    """Wait until a server that was started answers."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                await backend.open()
            except Away:
                await asyncio.sleep(0.02)  # it listens before it answers
            else:
                return await backend.close()


def _redis(folder: Path, port: int, flags: Sequence[str]) -> subprocess.Popen[bytes]:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise NotInstalled("redis-server is not installed")
    socket = folder / "redis.sock"
    options = (
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--appendonly",
        "yes",
    )
    process = subprocess.Popen([program, *options, "--dir", str(folder), *flags], stdout=subprocess.DEVNULL)
    _wait_for(socket, process)
    return process


def _postgres(folder: Path, durable: bool, port: int, flags: Sequence[str]) -> subprocess.Popen[bytes]:
    data = folder / "data"
    if not data.exists():
        init = ("-D", str(data), "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
        subprocess.run(postgres_command("initdb", folder, *init), check=True, stdout=subprocess.DEVNULL, cwd=folder)
    settings = {
        "listen_addresses": "127.0.0.1" if port else "",
        "port": port or 5432,
        "unix_socket_directories": folder,
        "fsync": "on" if durable else "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    run = postgres_command("postgres", folder, "-D", str(data), *options, *flags)
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _wait_for(folder / f".s.PGSQL.{port or 5432}", process)
    return process


def postgres_command(program: str, folder: Path, *arguments: str) -> list[str]:
    """Return the command that runs one of PostgreSQL's programs, which refuse to run as root, as who owns the folder.
    Raises NotInstalled.
    """
    found = sorted(Path(_POSTGRES_FOLDERS).glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        raise NotInstalled("PostgreSQL is not installed")
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres" if _is_user("postgres") else "nobody")
        as_user = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        for one in (folder, *folder.glob("*.pem")):
            os.chown(one, user.pw_uid, user.pw_gid)
    return [*as_user, str(Path(initdb).parent / program), *arguments]


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args!r} does not start")
        time.sleep(0.02)  # it says nothing when it is ready


def _is_user(name: str) -> bool:
    return any(user.pw_name == name for user in pwd.getpwall())
