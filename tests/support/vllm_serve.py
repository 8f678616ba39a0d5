"""`vllm serve`, as an operator starts it for engines elsewhere. It takes half a minute to start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import psutil
import pytest

from realtime.engine.options import STARTER_MODEL, VllmOptions
from realtime.engine.vllm.launch import SMALL_MODEL_BLOCK_SIZE, variables
from tests.support.engines import NUM_SEQS
from tests.support.patience import SECONDS
from tests.support.ports import free_port
from tests.support.process import ROOT

KEY = "sesame"
# The port of one with the starter model that runs already, for who tries things again and again.
RUNNING_AT = os.environ.get("TESTS_VLLM_SERVE")
FLAGS = (
    "--enable-scale-out", "--enable-prompt-tokens-details", "--scheduling-policy", "priority",
    "--structured-outputs-config.backend", "xgrammar",
)  # fmt: skip
STARTER = VllmOptions(max_num_seqs=NUM_SEQS, served_name="starter", reasoning_parser="qwen3")
_KV_BYTES = 256 << 20

_running: dict[str, VllmServe] = {}  # the first of each model


class VllmServe(msgspec.Struct, frozen=True):
    """A `vllm serve` that answers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill_core(self) -> None:
        """Kill its EngineCore, which is the largest of what it has started; the rest ends by itself."""
        started = psutil.Process(self.pid).children(recursive=True)
        os.kill(max(started, key=lambda one: one.memory_info().rss).pid, signal.SIGKILL)


@contextlib.contextmanager
def vllm_serving(options: VllmOptions = STARTER, port: int = 0) -> Iterator[VllmServe]:
    """Start one with this model and wait until it is well; stop it with SIGTERM. port: of one that was killed."""
    if RUNNING_AT is not None and options.model == STARTER_MODEL and not _running:
        yield _noted(options, VllmServe(int(RUNNING_AT), 0))
        return
    pytest.importorskip("vllm", reason="vLLM is not installed: `make install`")
    port = port or free_port()
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", options.model,
        "--served-model-name", options.name, "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY,
        "--enforce-eager", "--kv-cache-memory-bytes", str(options.kv_cache_memory_bytes or _KV_BYTES),
        "--block-size", str(SMALL_MODEL_BLOCK_SIZE), "--max-num-seqs", str(options.max_num_seqs or NUM_SEQS),
        "--disable-uvicorn-access-log", *FLAGS,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        log = Path(folder) / "log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables(options, small=True, folder=folder)}
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        server = VllmServe(port, process.pid)
        try:
            _wait_well(server, process, log)
            yield _noted(options, server)
        finally:
            if _running.get(options.model) == server:
                del _running[options.model]
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def shared(options: VllmOptions) -> Iterator[VllmServe]:
    """One with this model: the one that runs, else one for as long as it is needed here."""
    if (running := _running.get(options.model)) is not None:
        yield running
        return
    with vllm_serving(options) as server:
        yield server


def _noted(options: VllmOptions, server: VllmServe) -> VllmServe:
    return _running.setdefault(options.model, server) and server


def _wait_well(server: VllmServe, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{server.url}/health", timeout=5).status_code == 200:
                return
        assert process.poll() is None, f"vLLM ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"not well after {SECONDS} s:\n{log.read_text()}"
        time.sleep(0.2)  # between two looks at another process
