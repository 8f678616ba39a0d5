"""Progress of the start: the current phase, and how long each phase took.

On a terminal the progress is a line that changes, drawn by rich, which vLLM brings. Elsewhere, and where rich is not
installed, each phase is a line of the log. Any thread may report a phase.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
from typing import Any

from . import lines

logger = logging.getLogger("realtime.start")


class Progress:
    """The progress of one start after another: the first, and those after an engine has died."""

    def __init__(self, *, shows: bool = False) -> None:
        """shows: whether there is a terminal to show it on."""
        self._lock = threading.Lock()
        self._phase: str | None = None
        self._began_at = 0.0
        self._shows = shows and importlib.util.find_spec("rich") is not None
        self._status: Any = None  # rich's

    def begin(self, phase: str) -> None:
        """Begin a phase, and end the one before. Does nothing if it has begun already."""
        with self._lock:
            if phase == self._phase:
                return
            self._finish()
            self._phase, self._began_at = phase, time.monotonic()
            if self._shows:
                self._show(phase)

    def end(self) -> None:
        """End the start, whether it succeeded or not."""
        with self._lock:
            self._finish()
            self._phase = None
            if self._status is not None:
                self._status.stop()
                self._status = None

    def _finish(self) -> None:
        if self._phase is not None:
            seconds = round(time.monotonic() - self._began_at, 1)
            lines.write(logger, self._phase, {"seconds": seconds})

    def _show(self, phase: str) -> None:
        if self._status is None:
            from rich.console import Console
            from rich.status import Status

            # What others write to stderr meanwhile goes above it: the log's handler looks for sys.stderr each time.
            self._status = Status(phase, console=Console(stderr=True, soft_wrap=True))
            self._status.start()
        self._status.update(f"{phase} ...")


class StderrHandler(logging.StreamHandler[Any]):
    """A handler that writes to the current `sys.stderr`, because a progress shown on a terminal replaces that for a
    while. A stream that was set stays.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._set: Any = None

    @property
    def stream(self) -> Any:
        """Return the stream that was set, else the current `sys.stderr`."""
        return sys.stderr if self._set is None else self._set

    @stream.setter
    def stream(self, stream: Any) -> None:
        self._set = stream


def on_terminal() -> bool:
    """Return whether stderr is a terminal that lines can change on."""
    return sys.stderr.isatty()
