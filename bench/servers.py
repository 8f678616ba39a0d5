"""Servers under test: ours, vLLM's own and ours on the scripted engine, each as a process on a free port."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import IO, Any

import msgspec

from realtime.engine.options import STARTER_MODEL

from .worker import ROOT

MODEL_NAME = "starter"
START_SECONDS = 300
# The same engine for everything that is compared. As plain arguments, so that one sees that it is the same.
ENGINE_ARGS: dict[str, Any] = {
    "model": STARTER_MODEL,
    "max_num_seqs": 128,
    "max_model_len": 4096,
    "kv_cache_memory_bytes": 512 << 20,
    "enforce_eager": True,
}
_NO_PINGS = ("--ping-interval-seconds", "3600")  # our client does not answer them


class Server(msgspec.Struct, frozen=True):
    """One that serves."""

    port: int
    pid: int


def engine_environment() -> dict[str, str]:
    """What our server sets by itself for a small model on CPU; given to all, so that no engine has an advantage."""
    common = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    if not is_cpu_build():
        return common
    return common | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TORCHDYNAMO_DISABLE": "1",
    }


def is_cpu_build() -> bool:
    """Whether the installed vLLM is the one for CPUs."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version("vllm-cpu"))
    return False


def ours() -> contextlib.AbstractContextManager[Server]:
    """`python -m realtime serve`."""
    return _serving(["realtime", "serve", "--log-level", "warning", *_NO_PINGS, *_flags(ENGINE_ARGS)], "/ready")


def vllms() -> contextlib.AbstractContextManager[Server]:
    """vLLM's own HTTP server, with what costs time and is not about tokens switched off."""
    quiet = ["--disable-log-stats", "--disable-uvicorn-access-log", "--served-model-name", MODEL_NAME]
    template = ["--default-chat-template-kwargs", '{"enable_thinking": false}']
    return _serving(["vllm.entrypoints.openai.api_server", *quiet, *template, *_flags(ENGINE_ARGS)], "/health")


def scripted(*, hold: bool = False) -> contextlib.AbstractContextManager[Server]:
    """Ours, on an engine that costs next to nothing, with a write for every step. hold: as it is under pressure."""
    return _serving(["bench.scripted", *(["--hold"] if hold else [])], "/ready")


def _flags(arguments: Mapping[str, Any]) -> list[str]:
    flags = []
    for name, value in arguments.items():
        flags += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return flags


@contextlib.contextmanager
def _serving(module: list[str], ready_path: str) -> Iterator[Server]:
    """Start `python -m module`, wait until it serves, end it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **engine_environment()},
            stdout=log,
            stderr=log,
        )
        try:
            _wait_ready(process, port, ready_path, log)
            yield Server(port, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int, path: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(f"{process.args!r} does not serve: {log.read()[-3000:].decode(errors='replace')}")
