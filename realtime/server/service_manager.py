"""Messages to systemd, or to another service manager with its protocol: `sd_notify(3)`, `Type=notify`.

With `WatchdogSec=` in the unit, a message is sent at half that time to show that the event loop still runs; a server
that hangs is ended and started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import MutableMapping

logger = logging.getLogger("realtime.server")

_ADDRESS, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class ServiceManager:
    """The service manager. If there is none, all calls do nothing."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """environ: the process's. Variables meant for this process alone are removed, so that no child speaks
        for it.
        """
        address = environ.pop(_ADDRESS, "")
        self._address = "\0" + address[1:] if address.startswith("@") else address  # @: in the abstract namespace
        pid, microseconds = environ.pop(_WATCHDOG_PID, ""), environ.pop(_WATCHDOG, "")
        meant = pid in ("", str(os.getpid())) and microseconds.isdecimal()
        self._watchdog_seconds = int(microseconds) / 1e6 if meant else 0.0
        self._timer: asyncio.TimerHandle | None = None

    def loading(self, model_name: str) -> None:
        """Report what the start waits for, and begin to report that the loop runs."""
        self._tell(f"STATUS=Loading {_line(model_name)}")
        if self._watchdog_seconds and self._address:
            self._feed()

    def ready(self, model_name: str, url: str) -> None:
        """Report that the server serves."""
        self._tell(f"READY=1\nSTATUS=Serving {_line(model_name)} at {url}")

    def stopping(self) -> None:
        """Report that the end has begun: running answers may finish."""
        self._tell("STOPPING=1\nSTATUS=Draining: running answers may finish")

    def gone(self) -> None:
        """Stop reporting that the loop runs."""
        if self._timer is not None:
            self._timer.cancel()

    def _feed(self) -> None:
        self._tell("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(self._watchdog_seconds / 2, self._feed)

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)  # a manager that does not read must not stop the server
            to.sendto(state.encode(), self._address)


def _line(text: str) -> str:
    """Return a text as one line: a line end would begin another message."""
    return " ".join(text.split())
