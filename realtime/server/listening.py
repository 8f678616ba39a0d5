"""The listening socket, and messages about it: why there is none, and where the server can be reached."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]  # if it is one, there is a Makefile in it
_DEFAULT_PORT = 8000
_LISTENS = "0A"  # a state in /proc/net/tcp


class CannotListen(Exception):
    """An error: the server can't listen on this address. The text is for the person at the terminal."""


def program() -> str:
    """Return the command by which this program was called."""
    return "realtime" if Path(sys.argv[0]).name == "realtime" else "python -m realtime"


def listen(host: str, port: int, flags: tuple[str, str] = ("--host", "--port")) -> socket.socket:
    """Bind a socket; 0 takes a free port. `flags`: the settings that say where. Raises CannotListen."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen()  # at once: two of us could bind to the same port
    except OSError as error:
        sock.close()
        raise CannotListen(_reason(error, host, port, *flags)) from None
    return sock


def _reason(error: OSError, host: str, port: int, host_flag: str, port_flag: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"there is no host {host!r} ({error.strerror}): {host_flag} is an address of this machine, as 127.0.0.1"
    if error.errno == errno.EADDRINUSE:
        by = f" by {holder}" if (holder := _holder(port)) else ""
        other = port + 1 if port < 65535 else _DEFAULT_PORT
        by_make = _in_checkout() and port_flag == "--port"
        flag = f"make serve PORT={other}" if by_make else f"{port_flag} {other}"
        return f"port {port} of {host} is in use{by}: stop that, or take another one ({flag}; 0 is any free one)"
    if error.errno in (errno.EACCES, errno.EPERM):
        advice = f"{port_flag} {_DEFAULT_PORT}"
        return f"port {port} of {host} is not allowed: below 1024 it takes a right that this user has not; {advice}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: {host_flag} is one of its own, or 0.0.0.0 for all of them"
    return f"can't listen on port {port} of {host}: {error.strerror}"


def _holder(port: int) -> str | None:
    """Return the process that listens on a TCP port, as far as this user may know."""
    with contextlib.suppress(OSError):
        wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
        for process in filter(str.isdigit, os.listdir("/proc")):
            if process != str(os.getpid()) and wanted.intersection(_open_files(Path("/proc", process, "fd"))):
                return f"{Path('/proc', process, 'comm').read_text().strip()} (process {process})"
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    """See proc_net_tcp in the kernel's documentation: sl, local address, remote address, state, ..., inode."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _open_files(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):  # another user's, or a process that has ended
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                yield os.readlink(folder / name)


def announcement(model: str, host: str, port: int, seconds: float, *, asks_for_keys: bool) -> str:
    """Return the message for the person at the terminal when the server is ready. host: the address on which it
    listens.
    """
    address = f"{reachable(host)}:{port}"
    return (
        f"\nrealtime is ready: model {model}, loaded in {seconds:.1f} s\n"
        f"  WebSocket  ws://{address}/v1/responses\n"
        f"  HTTP       http://{address}/v1/responses   (described by /openapi.json)\n"
        f"  base URL   http://{address}/v1   (for OpenAI's SDKs)\n"
        f"  health     http://{address}/health  http://{address}/ready\n"
        + ("  A key is needed: clients of ours take it from the variable REALTIME_API_KEY\n" if asks_for_keys else "")
        + f"Talk to it:  {_chat(address)}    Stop it: Ctrl-C\n"
    )


def reachable(host: str) -> str:
    """The host by which a client on this machine finds it."""
    with contextlib.suppress(ValueError):
        address = ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"
        if address.version == 6:
            return f"[{host}]"
    return host


def _in_checkout() -> bool:
    """Return whether `make` would find our Makefile here."""
    return Path.cwd() == _CHECKOUT and (_CHECKOUT / "Makefile").is_file()


def _chat(address: str) -> str:
    """The command that talks to this server, from where it was started."""
    if _in_checkout():
        host, _, port = address.rpartition(":")
        if host != "127.0.0.1":
            return f"make chat URL=ws://{address}/v1/responses"
        return "make chat" if port == str(_DEFAULT_PORT) else f"make chat PORT={port}"
    return f"{program()} chat" + (
        "" if address == f"127.0.0.1:{_DEFAULT_PORT}" else f" --url ws://{address}/v1/responses"
    )
