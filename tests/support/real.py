"""Servers with real vLLM: as a user starts it, in a process of its own, or in a thread of this one.

A start is mostly the import of vLLM. The process takes 9 s for it, and as much of two cores; the thread finds it done
where a test has needed vLLM before. So one server shows what a user gets, and other models are served from threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import uvloop

from realtime.engine.options import VllmOptions
from realtime.server.process import make_gateway
from realtime.settings.fields import Settings, StoreSettings
from tests.support.elsewhere import placed
from tests.support.patience import SECONDS
from tests.support.process import ROOT
from tests.support.server import listening


class RealServer(msgspec.Struct, frozen=True):
    """A running server."""

    port: int

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
        state: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{self.port}/ready", timeout=SECONDS).json()
        return state

    def wait_until(self, **wanted: Any) -> dict[str, Any]:
        """Poll `/ready` until these members have these values. The only clock is the deadline against hanging."""
        deadline = time.monotonic() + SECONDS
        while any((state := self.ready())[name] != value for name, value in wanted.items()):
            assert time.monotonic() < deadline, f"wanted {wanted}, the server says {state}"
            time.sleep(0.02)  # between two polls of another process
        return state


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[RealServer]:
    """Start `realtime serve` on a free port, wait until its engine serves, stop it with SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        command = [sys.executable, "-m", "realtime", "serve", "--port", "0", *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REALTIME_")}
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield RealServer(_port(process, log))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def hosting(options: VllmOptions, settings: Settings | None = None) -> Iterator[RealServer]:
    """Start a server on a free port in a thread of this process, and stop it; one that does not start is cancelled."""
    with placed(msgspec.structs.replace(settings or Settings(), vllm=options)) as here, _hosting(here) as server:
        yield server


@contextlib.contextmanager
def _hosting(settings: Settings) -> Iterator[RealServer]:
    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def host() -> None:
        hosted = msgspec.structs.replace(settings, store=StoreSettings(store="memory"))
        async with asyncio.timeout(SECONDS) as starting, listening(hosted, make_gateway(hosted)) as (_, port):
            starting.reschedule(None)
            stop = asyncio.Event()
            started.set_result((port, asyncio.get_running_loop(), stop))
            await stop.wait()

    with ThreadPoolExecutor(1, "host") as pool:
        over = pool.submit(uvloop.run, host())
        either: list[Future[Any]] = [started, over]
        if started not in wait(either, return_when=FIRST_COMPLETED).done:
            over.result(0)  # raises why it did not start
        port, loop, stop = started.result(0)
        try:
            yield RealServer(port)
        finally:
            loop.call_soon_threadsafe(stop.set)
            over.result(SECONDS)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port, from the announcement that the engine serves."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        text = log.read_text()
        if found := re.search(r"ws://[^:\s]+:(\d+)/v1/responses", text):
            return int(found.group(1))
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{text}"
        time.sleep(0.1)  # between two looks at another process's output
    raise AssertionError(f"not ready after {SECONDS} s:\n{log.read_text()}")
