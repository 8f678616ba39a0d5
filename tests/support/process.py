"""`realtime serve` as a process: what it says, the signals that it gets, and when all that it has started is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.support.patience import SECONDS

ROOT = Path(__file__).parents[2]


class ServerProcess:
    """A running one, in a session of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    @property
    def pid(self) -> int:
        """Of the server itself."""
        return self._process.pid

    async def says(self, pattern: str) -> re.Match[str]:
        """Read its log until this is in it."""
        assert self._process.stderr is not None
        async with asyncio.timeout(SECONDS):
            while not (found := re.search(pattern, self.said)):
                line = (await self._process.stderr.readline()).decode()
                assert line, f"it has ended and never said {pattern!r}:\n{self.said}"
                self.said += line
        return found

    async def ready(self) -> str:
        """Wait until it serves; returns its address, `127.0.0.1:PORT`."""
        return (await self.says(r"ws://(127\.0\.0\.1:\d+)/v1/responses"))[1]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server alone."""
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """What a terminal does at Ctrl-C: SIGINT for the whole group."""
        os.killpg(self.pid, signal.SIGINT)

    async def end(self) -> int:
        """Wait until nobody holds its log open any more, so that it and all its children have ended."""
        assert self._process.stderr is not None
        async with asyncio.timeout(SECONDS):
            self.said += (await self._process.stderr.read()).decode()
            return await self._process.wait()


@contextlib.asynccontextmanager
async def serve(
    *arguments: str, program: Sequence[str] = (sys.executable, "-m", "realtime"), **environ: str
) -> AsyncIterator[ServerProcess]:
    """Start `realtime serve` on a free port; killed at the end, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *program, "serve", "--port", "0", *arguments,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield ServerProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
