"""The log of the process, which a server that is started in it sets up anew."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

_NAMES = ("uvicorn.error", "uvicorn.asgi", "websockets", "httpcore")


@contextlib.contextmanager
def logging_restored() -> Iterator[list[logging.Handler]]:
    """Give the handlers that there are, and at the end set the log up as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in _NAMES}
    try:
        yield handlers
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
