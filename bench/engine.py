"""The service beside the bare engine and beside vLLM's own server, in one run, on the starter model.

All three run at the same time and take turns, so that a neighbour on the machine disturbs each alike; two of them
are asleep while the third works.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

from . import servers
from .measure import median, table
from .worker import Worker

BARE, OURS, VLLM = "bare AsyncLLM", "realtime, WebSocket", "vLLM server, SSE"
LEVELS = (1, 32, 128)
TOKENS = 256


def run(quick: bool) -> dict[str, Any]:
    """Figures by level, then by target."""
    repeats = 1 if quick else 3
    rounds = {1: 2 if quick else 8, 32: 1 if quick else 3, 128: 1 if quick else 2}
    with contextlib.ExitStack() as stack:
        targets = _start(stack)
        for target in targets.values():
            target(num_streams=4, rounds=1, tokens=16)  # the first requests pay for what is made once
        figures = {str(level): _level(targets, level, rounds[level], repeats) for level in LEVELS}
    for level, by_target in figures.items():
        _show(level, by_target)
    return {"config": {"tokens": TOKENS, "repeats": repeats, "rounds": rounds, **_engine()}, "streams": figures}


def _start(stack: contextlib.ExitStack) -> dict[str, Callable[..., dict[str, Any]]]:
    """Each target as a function that runs streams."""
    bare = stack.enter_context(Worker("bench.bare", json.dumps(servers.ENGINE_ARGS), env=servers.engine_environment()))
    client = stack.enter_context(Worker("bench.load"))
    ours = stack.enter_context(servers.ours())
    vllms = stack.enter_context(servers.vllms())

    def over(protocol: str, server: servers.Server) -> Callable[..., dict[str, Any]]:
        arguments = {"protocol": protocol, "port": server.port, "pid": server.pid, "model": servers.MODEL_NAME}
        return lambda **level: client.do("streams", **arguments, **level)

    return {
        BARE: lambda **level: bare.do("streams", pid=bare.pid, **level),
        OURS: over("websocket", ours),
        VLLM: over("sse", vllms),
    }


def _level(targets: dict[str, Callable[..., dict[str, Any]]], level: int, rounds: int, repeats: int) -> dict[str, Any]:
    """Medians of the repeats, and what each server's front end costs above the bare one's."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in targets}
    for _ in range(repeats):
        for name, target in targets.items():
            result = target(num_streams=level, rounds=rounds, tokens=TOKENS)
            runs[name].append(result)
    medians = {name: median(results) for name, results in runs.items()}
    base = medians[BARE]
    for name, results in runs.items():
        above = [
            result["cpu_us_per_token"]["front_end"] - bare["cpu_us_per_token"]["front_end"]
            for result, bare in zip(results, runs[BARE], strict=True)
        ]
        medians[name]["front_end_us_above_bare"] = median(above)
        medians[name]["front_end_us_above_bare_runs"] = [round(value, 1) for value in above]
        medians[name]["throughput_to_bare"] = round(medians[name]["tokens_per_second"] / base["tokens_per_second"], 3)
    return medians


def _show(level: str, by_target: dict[str, Any]) -> None:
    header = (
        f"{level} streams", "tokens/s", "of bare", "TTFT p50", "p99 ms", "ITL p50", "p99 ms",
        "front end us/token", "above bare", "engine", "client", "bytes/token",
    )  # fmt: skip
    rows = []
    for name, figures in by_target.items():
        cpu = figures["cpu_us_per_token"]
        rows.append((
            name, figures["tokens_per_second"], figures["throughput_to_bare"],
            figures["ttft"]["p50_ms"], figures["ttft"]["p99_ms"], figures["itl"]["p50_ms"], figures["itl"]["p99_ms"],
            cpu["front_end"], figures["front_end_us_above_bare"], cpu["engine"], cpu.get("client", "-"),
            figures.get("bytes_per_token", "-"),
        ))  # fmt: skip
    table(f"{level} streams of {TOKENS} tokens: CPU in microseconds per token and process", header, rows)


def _engine() -> dict[str, Any]:
    arguments = {**servers.ENGINE_ARGS, "model": os.path.basename(servers.ENGINE_ARGS["model"])}
    return {"engine_args": arguments, "engine_environment": servers.engine_environment()}
