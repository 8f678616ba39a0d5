"""The process that compiles grammars: `python -m realtime.engine.vllm.grammar_process`, with a socket as its stdin.

xgrammar recurses into a client's grammar, and nothing stops it once it has begun. So each constraint is compiled in a
process of its own, a fork of this one, which the kernel ends when its time or its memory is over. Whatever happens to
it affects nobody else, and no constraint finds anything that another has left behind.

This process itself reads nothing that clients wrote. It ends with the socket, so with the server, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
from collections.abc import Callable
from typing import Any

from . import grammar_messages as messages
from .grammar_messages import Cancel, Compile, Refused, Setup
from .grammar_work import TOO_LONG, TOO_MUCH, Place, library, limit, work
from .xgrammar_alone import load

_OUT_OF_TIME = (signal.SIGPROF, signal.SIGALRM)
_SET_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class _Worker:
    """A process that compiles one constraint."""

    def __init__(self, number: int, pid: int, pipe: int, place: Place) -> None:
        self.number = number
        self.pid = pid
        self.pipe = pipe
        self._place = place
        self._said = b""

    def read(self) -> bool:
        """Read its output. Return False when it has ended."""
        more = os.read(self.pipe, 1 << 20)
        self._said += more
        return bool(more)

    def answer(self) -> bytes:
        """Return the frame to send once it has ended."""
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        place = self._place.last()
        if status == 0:
            return self._said
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in _OUT_OF_TIME
        reason = TOO_LONG if late else TOO_MUCH
        return messages.frame(Refused(self.number, reason, place))

    def end(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)


class Process:
    """The process that compiles grammars. `connection`: to the server."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._libc = ctypes.CDLL(None)
        setup = self._receive()
        if not isinstance(setup, Setup):
            raise ConnectionError("the server has gone already")
        self._setup = setup
        self._xgrammar = library(load(), setup.tokenizer_info)

    def run(self) -> None:
        """Serve until the server is gone."""
        gc.freeze()
        self._selector.register(self._connection, selectors.EVENT_READ, self._obey)
        self._connection.sendall(messages.frame(messages.Serving()))
        while True:
            for key, _ in self._selector.select():
                act: Callable[[], bool] = key.data
                if not act():
                    return

    def _obey(self) -> bool:
        match self._receive():
            case Compile() as order:
                self._start(order)
            case Cancel(number):
                if worker := self._workers.get(number):
                    worker.end()
            case None:
                for worker in self._workers.values():
                    worker.end()
                return False
        return True

    def _receive(self) -> messages.Order | None:
        """Return the next message; None when the server is gone."""
        header = self._read(messages.HEADER)
        body = None if header is None else self._read(int.from_bytes(header, "big"))
        return None if body is None else messages.decode_order(body)

    def _read(self, size: int) -> bytes | None:
        parts = []
        while size:
            try:
                part = self._connection.recv(min(size, 1 << 20))
            except ConnectionError:
                return None
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _start(self, order: Compile) -> None:
        place = Place()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._be_worker(order, place, writing)
        os.close(writing)
        worker = _Worker(order.number, pid, reading, place)
        self._workers[order.number] = worker
        self._selector.register(reading, selectors.EVENT_READ, lambda: self._hear(worker))

    def _be_worker(self, order: Compile, place: Place, writing: int) -> Any:
        """Compile, answer and end, in the fork. Never returns."""
        status = 1
        try:
            self._libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
            self._connection.close()
            seconds = limit(order, self._setup.seconds, self._setup.memory_bytes)
            said = messages.frame(work(self._xgrammar, order, seconds, place))
            while said:
                said = said[os.write(writing, said) :]
            status = 0
        finally:
            os._exit(status)

    def _hear(self, worker: _Worker) -> bool:
        if not worker.read():
            self._selector.unregister(worker.pipe)
            del self._workers[worker.number]
            self._connection.sendall(worker.answer())
        return True


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, ConnectionError):
        Process(socket.socket(fileno=0)).run()
