"""The server as a user starts it: `python -m realtime serve` with real vLLM and the starter model, in a subprocess."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

ROOT = Path(__file__).parents[2]
START_SECONDS = 240


class RealServer(msgspec.Struct, frozen=True):
    """A running server."""

    port: int
    process: Any
    log: Path

    @property
    def url(self) -> str:
        """Where the socket is."""
        return f"ws://127.0.0.1:{self.port}/v1/responses"

    @property
    def base_url(self) -> str:
        """What OpenAI's SDKs want to know."""
        return f"http://127.0.0.1:{self.port}/v1"

    def ready(self) -> dict[str, Any]:
        """What `/ready` says."""
        state: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/ready", timeout=10).json()
        return state

    def wait_until(self, **wanted: Any) -> dict[str, Any]:
        """Poll `/ready` until these members have these values. The only clock is the deadline against hanging."""
        deadline = time.monotonic() + 20
        while any((state := self.ready())[name] != value for name, value in wanted.items()):
            assert time.monotonic() < deadline, f"wanted {wanted}, the server says {state}"
            time.sleep(0.02)  # between two polls of another process
        return state


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[RealServer]:
    """Start a server on a free port, wait until its engine serves, stop it with SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        command = [sys.executable, "-m", "realtime", "serve", "--port", "0", *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REALTIME_")}
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield RealServer(_port(process, log), process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port, from the announcement that the engine serves."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text()
        if found := re.search(r"ws://[^:\s]+:(\d+)/v1/responses", text):
            return int(found.group(1))
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{text}"
        time.sleep(0.1)  # between two looks at another process's output
    raise AssertionError(f"not ready after {START_SECONDS} s:\n{log.read_text()}")
