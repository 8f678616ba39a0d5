"""Servers under test, each as a process on a free port: ours, vLLM's own, ours on the scripted engine, the floor."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import msgspec

from realtime.engine.options import STARTER_MODEL

from .measure import RUST_FRONT_END
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
# Our client does not answer pings, and what is measured leaves nothing in anybody's folder: `store` measures that.
_ALONE = ("--ping-interval-seconds", "3600", "--store", "memory")

_given_up = threading.Event()  # nobody waits for servers to start any more


class Server(msgspec.Struct, frozen=True):
    """A server that serves."""

    port: int
    pid: int


def engine_environment() -> dict[str, str]:
    """Return what our server sets by itself for a small model on CPU. It is given to all, so that no engine has an
    advantage.
    """
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
    """Return whether the installed vLLM is a CPU build."""
    for name in ("vllm-cpu", "vllm"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return "cpu" in name + metadata.version(name)
    return False


def ours(*flags: str) -> contextlib.AbstractContextManager[Server]:
    """Start `python -m realtime serve`."""
    return _serving(["realtime", "serve", "--log-level", "warning", *_ALONE, *_flags(ENGINE_ARGS), *flags], "/ready")


def vllms(*, rust: bool = False) -> contextlib.AbstractContextManager[Server]:
    """Start vLLM's own HTTP server, with everything switched off that costs time and is not about tokens. rust: its
    Rust front end.
    """
    quiet = ["--disable-log-stats", "--disable-uvicorn-access-log", "--served-model-name", MODEL_NAME]
    template = ["--default-chat-template-kwargs", '{"enable_thinking": false}']
    flags = [*quiet, *template, *_flags(ENGINE_ARGS)]
    if rust:
        return _serving(["vllm.entrypoints.cli.main", "serve", *flags], "/health", {"VLLM_USE_RUST_FRONTEND": "1"})
    return _serving(["vllm.entrypoints.openai.api_server", *flags], "/health")


def has_rust_front_end() -> bool:
    """Return whether the installed vLLM was built with the front end in Rust."""
    found = importlib.util.find_spec("vllm")
    return found is not None and any(
        Path(at, RUST_FRONT_END).is_file() for at in found.submodule_search_locations or ()
    )


def scripted(
    *, hold: bool = False, tick: float = 0.0, script: str = "story"
) -> contextlib.AbstractContextManager[Server]:
    """Start our server on an engine that costs next to nothing, with a write for every step. hold: less often under
    pressure.

    tick: seconds between two steps of the engine, 0 for one in each turn of the event loop.
    """
    how = ["--tick", str(tick), "--script", script, *(["--hold"] if hold else [])]
    return _serving(["bench.scripted", *how], "/ready")


def node(name: str, store: str, *flags: str) -> contextlib.AbstractContextManager[Server]:
    """Ours on the scripted engine, as a node of the cluster on this store."""
    flags = ("--engine", "scripted", "--cluster", store, "--node", name, "--ping-interval-seconds", "3600", *flags)
    return _serving(["realtime", "serve", "--log-level", "warning", *flags], "/ready")


def floor(source: Server, tokens: int) -> contextlib.AbstractContextManager[Server]:
    """Start a raw writer of the frames that `source` sends."""
    return _serving(["bench.floor", "--source", str(source.port), "--tokens", str(tokens)], "/ready")


def set_pace(floor: Server, seconds: float) -> None:
    """Set the pace of the raw writer's steps; 0: as fast as it can."""
    if _status(floor.port, f"/pace?seconds={seconds:.9f}") != 200:
        raise RuntimeError("the raw writer does not know its pace")


def enter_all(stack: contextlib.ExitStack, *starting: contextlib.AbstractContextManager[Any]) -> list[Any]:
    """Start several at once: most of a start is waiting for imports and for other processes."""
    _given_up.clear()
    with ThreadPoolExecutor(len(starting)) as pool:
        try:
            return list(pool.map(stack.enter_context, starting))
        except BaseException:
            _given_up.set()
            raise


def _flags(arguments: Mapping[str, Any]) -> list[str]:
    flags = []
    for name, value in arguments.items():
        flags += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return flags


@contextlib.contextmanager
def _serving(module: list[str], ready_path: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start `python -m module`, wait until it serves, end it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **engine_environment(), **(env or {})},
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
    while process.poll() is None and time.monotonic() < deadline and not _given_up.is_set():
        with contextlib.suppress(OSError):
            if _status(port, path) == 200:
                return
        time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(f"{process.args!r} does not serve: {log.read()[-3000:].decode(errors='replace')}")


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        with connection.getresponse() as response:
            return response.status
