"""Phases of EngineCore's start, reported to our process: loading weights, compiling, warming up.

vLLM reports them in messages of its log, which are not shown (see `launch`). A handler in that process knows some of
the messages and sends the name of the phase that they begin.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe

from realtime.observability.progress import Progress

# internal: messages of vLLM's log, and the phase that begins with each
PHASES = (
    (re.compile(r"Starting to load model"), "loading the weights"),
    (re.compile(r"Model loading took|Loading weights took"), "preparing the KV cache"),
    (re.compile(r"Compile and warming|Warming up|torch\.compile|Dynamo|Profiling CUDA graph|Captur"), "compiling"),
)
_LOGGERS = ("vllm.v1", "vllm.model_executor", "vllm.compilation")  # not vLLM's root, which it configures anew
_POLL_SECONDS = 0.2


def phase_of(message: str) -> str | None:
    """Return the phase that begins with this message."""
    return next((phase for pattern, phase in PHASES if pattern.match(message)), None)


class _Sender(logging.Handler):
    """A log handler that sends the phases that messages begin. When nobody listens any more, it removes itself."""

    def __init__(self, sender: Connection) -> None:
        super().__init__(logging.INFO)
        self._sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        phase = phase_of(str(record.msg))
        if phase is not None:
            try:
                self._sender.send(phase)
            except OSError:
                for name in _LOGGERS:
                    logging.getLogger(name).removeHandler(self)


def tell_phases(sender: Connection) -> None:
    """Send the phases of this process's start. Called in EngineCore's process."""
    handler = _Sender(sender)
    for name in _LOGGERS:
        log = logging.getLogger(name)
        log.addHandler(handler)
        log.setLevel(logging.INFO)  # vLLM's own handler, above them, keeps the level that was asked for


@contextlib.contextmanager
def hear_phases(progress: Progress) -> Iterator[Connection]:
    """Yield a connection, and report the phases that are sent into it, until the block is left."""
    receiver, sender = Pipe(duplex=False)
    over = threading.Event()

    def listen() -> None:
        with contextlib.suppress(EOFError, OSError):
            while receiver.poll(_POLL_SECONDS) or not over.is_set():
                if receiver.poll():
                    progress.begin(receiver.recv())

    thread = threading.Thread(target=listen, name="vllm-phases", daemon=True)
    thread.start()
    try:
        yield sender
    finally:
        over.set()
        thread.join()
        sender.close()
        receiver.close()
