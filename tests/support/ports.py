"""Ports for servers that are started later, or again: below those that the system gives to whoever wants any.

A port that was only just free may be the local end of anybody's next connection by the time the server listens.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OURS = range(10_000, 32_768)
_given: set[int] = set()


def free_port() -> int:
    """Return a port on which nobody listens, and which nobody gets by chance. Each call returns another one."""
    first, last = map(int, _RANGE.read_text().split())
    ports = [port for port in _OURS if not first <= port <= last and port not in _given] or list(_OURS)
    chance = random.SystemRandom()  # other workers look for ports too
    while True:
        port = chance.choice(ports)
        try:
            with socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port
        except OSError:
            continue
