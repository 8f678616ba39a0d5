"""The driver as a child process: one JSON line to it, one back."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any

Answer = dict[str, Any]
_NUM_LINES = 20  # of the dialogue and of stderr that a report shows


class DriverError(Exception):
    """An error: the driver broke the protocol of the lines. It ended, was silent, or sent an invalid answer."""


class Driver:
    """The driver. The program is started when it is needed, also again after it broke. `ask` is the dialogue."""

    def __init__(self, command: Sequence[str], *, timeout_seconds: float = 20.0, echo: bool = False) -> None:
        self._command = list(command)
        self._timeout_seconds = timeout_seconds
        self._echo = echo
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.dialogue: deque[str] = deque(maxlen=_NUM_LINES)
        self.stderr: deque[str] = deque(maxlen=_NUM_LINES)

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, command: dict[str, Any]) -> Answer:
        """Send a command and return its answer. Raises DriverError, after which the program is started anew."""
        process = self._started()
        assert process.stdin is not None
        line = json.dumps(command, ensure_ascii=False, separators=(",", ":"))
        self._note(f"> {line}")
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        except OSError as error:
            raise self._failed("the driver ended") from error
        return self._answer()

    def stop(self) -> None:
        """End the program: by ending its input, or by force."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._lines = queue.Queue()
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError as error:
                raise DriverError(f"the driver does not start: {error}") from error
            assert self._process.stdout is not None
            assert self._process.stderr is not None
            _in_thread(self._process.stdout, self._lines.put, last=True)
            _in_thread(self._process.stderr, self.stderr.append)
        return self._process

    def _answer(self) -> Answer:
        try:
            line = self._lines.get(timeout=self._timeout_seconds)
        except queue.Empty:
            raise self._failed(f"no answer in {self._timeout_seconds:g} s") from None
        if line is None:
            raise self._failed("the driver ended")
        self._note(f"< {line.rstrip()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failed(f"not a JSON object: {line[:200]!r}")
        return answer

    def _failed(self, reason: str) -> DriverError:
        self.stop()
        return DriverError(reason)

    def _note(self, line: str) -> None:
        self.dialogue.append(line)
        if self._echo:
            print(f"    {line}", flush=True)


def _in_thread(stream: IO[str], put: Any, *, last: bool = False) -> None:
    """Pass on each line of a stream, and None at its end."""

    def read() -> None:
        with stream:
            for line in stream:
                put(line)
        if last:
            put(None)

    threading.Thread(target=read, daemon=True).start()
