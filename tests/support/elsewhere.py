"""Engines elsewhere, for real: one `vllm serve` with the starter model, and what a node has of it.

It takes half a minute to start, so there is one for all tests of a session.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from realtime.engine.base import Loaded
from realtime.engine.options import STARTER_MODEL, RemoteOptions, VllmOptions
from realtime.engine.remote.engine import RemoteEngine
from realtime.engine.vllm.launch import SMALL_MODEL_BLOCK_SIZE, variables
from realtime.observability.fleet_metrics import FleetMetrics
from realtime.observability.progress import Progress
from tests.support.engines import NUM_SEQS
from tests.support.real import ROOT, START_SECONDS

# `TESTS_ENGINE=elsewhere pytest tests/acceptance`: the server of these tests has its engine elsewhere.
ELSEWHERE = os.environ.get("TESTS_ENGINE") == "elsewhere"
KEY = "sesame"
RUNNING_AT = os.environ.get(
    "TESTS_VLLM_SERVE"
)  # the port of one that runs already, for who tries things again and again
FLAGS = (
    "--enable-scale-out", "--enable-prompt-tokens-details", "--scheduling-policy", "priority",
    "--structured-outputs-config.backend", "xgrammar",
)  # fmt: skip
OPTIONS = VllmOptions(max_num_seqs=NUM_SEQS, served_name="starter", reasoning_parser="qwen3")


class VllmServe(msgspec.Struct, frozen=True):
    """A `vllm serve` that answers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def vllm_serving() -> Iterator[VllmServe]:
    """Start one and wait until it is well; stop it with SIGTERM."""
    if RUNNING_AT is not None:
        yield VllmServe(int(RUNNING_AT), 0)
        return
    pytest.importorskip("vllm", reason="vLLM is not installed: `make install`")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", STARTER_MODEL,
        "--served-model-name", "starter", "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY,
        "--enforce-eager", "--kv-cache-memory-bytes", str(256 << 20), "--block-size", str(SMALL_MODEL_BLOCK_SIZE),
        "--max-num-seqs", str(NUM_SEQS), "--disable-uvicorn-access-log", *FLAGS,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        log = Path(folder) / "log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables(OPTIONS, small=True, folder=folder)}
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            server = VllmServe(port, process.pid)
            _wait_well(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_well(server: VllmServe, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{server.url}/health", timeout=5).status_code == 200:
                return
        assert process.poll() is None, f"vLLM ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"not well after {START_SECONDS} s:\n{log.read_text()}"
        time.sleep(0.2)  # between two looks at another process


@contextlib.contextmanager
def engine_flags() -> Iterator[list[str]]:
    """What tells the server of the acceptance tests where its engine is."""
    if not ELSEWHERE:
        yield []
        return
    with vllm_serving() as server, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        key = Path(folder) / "key"
        key.write_text(KEY)
        yield ["--engine", "remote", "--engine-url", server.url, "--engine-key-file", str(key)]


class Elsewhere(msgspec.Struct, frozen=True):
    """A node's engine on one, as `Engines` has it for the local one."""

    newest: RemoteEngine
    loaded: Loaded
    metrics: FleetMetrics


@contextlib.asynccontextmanager
async def connected(*urls: str) -> AsyncIterator[Elsewhere]:
    """Start a node's engine on these."""
    from realtime.engine.vllm.front import load_front

    front = await asyncio.to_thread(load_front, OPTIONS, Progress())

    async def loaded_already() -> object:
        return front

    metrics = FleetMetrics()
    engine = RemoteEngine(OPTIONS, RemoteOptions(engine_url=urls), KEY, loaded_already, metrics)  # type: ignore[arg-type]
    try:
        yield Elsewhere(engine, await engine.start(), metrics)
    finally:
        await engine.shutdown()
