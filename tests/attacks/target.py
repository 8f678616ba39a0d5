"""The server that is attacked by hand: a process as its operator starts it, with keys for three tenants.

`python -m tests.attacks.target ...` is `python -m realtime ...` whose scripted engine tells long stories at an even
pace, so that an attack has something to interrupt; with real vLLM it changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from realtime.__main__ import main
from realtime.engine.scripted import RandomScript, ScriptedEngine
from realtime.server import process
from tests.support.patience import SECONDS
from tests.support.steps import make_keys

ROOT = Path(__file__).parents[2]
TENANTS = ("ada", "eve", "bob")
TICK_SECONDS = 0.004

# What vLLM says of a request whose `stop_token_ids` take away every token that its grammar allows. It fails alone.
_OF_ONE_REQUEST = ("Failed to advance FSM for request", "grammar rejected tokens")


class Target:
    """A server that listens."""

    def __init__(self, server: asyncio.subprocess.Process, folder: Path, keys: dict[str, str]) -> None:
        self.server, self.folder, self.keys = server, folder, keys
        self.port = 0

    @property
    def log(self) -> str:
        """All that it has said."""
        return (self.folder / "server.log").read_text(errors="replace")

    @property
    def core_pids(self) -> set[int]:
        """The processes that it has started: EngineCore and its helpers."""
        try:
            return {child.pid for child in psutil.Process(self.server.pid).children(recursive=True)}
        except psutil.NoSuchProcess:
            return set()

    async def ready(self) -> None:
        """Wait until it has announced that its engine serves. Raises RuntimeError with its log if it ends instead."""
        deadline = asyncio.get_running_loop().time() + SECONDS
        while not (found := re.search(r"ws://[^:\s]+:(\d+)/v1/responses", self.log)):
            if self.server.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"the server does not serve: {self.log[-3000:]}")
            await asyncio.sleep(0.1)  # between two looks at another process's output
        self.port = int(found.group(1))

    def complaints(self) -> list[str]:
        """What its log has that no client should be able to cause: errors, and tracebacks."""
        errors = (line for line in self.log.splitlines() if " ERROR " in line or line.startswith("Traceback"))
        return [line[:300] for line in errors if not any(words in line for words in _OF_ONE_REQUEST)]


@contextlib.asynccontextmanager
async def started(engine: str, *flags: str, temporary: Path | None = None) -> AsyncIterator[Target]:
    """Start one on a free port; end it, however it is. `temporary`: its folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        folder = Path(name)
        keys = make_keys(folder / "keys.json", *TENANTS)
        command = ["serve", "--engine", engine, "--port", "0", "--api-keys-file", str(folder / "keys.json"), *flags]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("REALTIME_")}
        clean["TMPDIR"] = str(temporary or folder)
        with (folder / "server.log").open("wb") as log:
            server = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __spec__.name, *command, cwd=ROOT, env=clean, stdout=log, stderr=log
            )
        try:
            yield Target(server, folder, keys)
        finally:
            await stop(server)


async def stop(server: asyncio.subprocess.Process) -> None:
    """End it: twice politely, then not."""
    for sent in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if server.returncode is not None:
            return
        server.send_signal(sent)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait(), 15)  # then less politely


def _stories() -> ScriptedEngine:
    script = RandomScript(seed=1, min_tokens=4000, max_tokens=4000)
    return ScriptedEngine(script, tick_seconds=TICK_SECONDS, max_num_seqs=256, max_model_len=1 << 16, name="starter")


if __name__ == "__main__":
    if "scripted" in sys.argv:
        process._engine_factory = lambda settings, observer, script: _stories
    sys.exit(main(sys.argv[1:]))
