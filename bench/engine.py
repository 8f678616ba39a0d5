"""The service compared with the bare engine, vLLM's own server and a raw writer, in one run, on the starter model.

All run at the same time and take turns, so that other work on the machine disturbs each alike; all but one sleep while
that one works. Each renders its prompts inside the measured time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

from . import scenarios, servers
from .measure import median, progress, ratio, table
from .worker import Worker

BARE, FLOOR = "bare AsyncLLM", "raw uvloop writer"
OURS, OURS_SSE, OURS_CHAT = "realtime, WebSocket", "realtime, SSE", "realtime, chat"
VLLM, VLLM_CHAT, VLLM_RUST = "vLLM server, SSE", "vLLM server, chat", "vLLM Rust front end, chat"
LEVELS = (1, 32, 128)
TOKENS = {1: 256, 32: 256, 128: 256}  # of an answer, by level
QUICK_TOKENS = {1: 64, 32: 64, 128: 32}
Target = Callable[..., dict[str, Any]]


def run(quick: bool, figures: dict[str, Any]) -> None:
    """Measure by level, then by target; a run in which the model thinks, by level; scenarios on our server. Fill in the
    figures.
    """
    repeats, tokens = (1, QUICK_TOKENS) if quick else (3, TOKENS)
    rounds = {1: 1 if quick else 4, 32: 1 if quick else 2, 128: 1}
    figures["config"] = {"tokens": tokens, "repeats": repeats, "rounds": rounds, **_engine()}
    figures["streams"] = {}
    with contextlib.ExitStack() as stack:
        targets, thinking, ours = _start(stack)
        for target in (*targets.values(), thinking):
            target(num_streams=4, rounds=1, tokens=16)  # the first requests pay for what is made once
        for level in LEVELS:
            figures["streams"][str(level)] = by_target = _level(targets, level, rounds[level], repeats, tokens[level])
            _show(str(level), by_target)
        progress("the model thinks")
        thought = median([thinking(num_streams=32, rounds=1, tokens=tokens[32]) for _ in range(repeats)])
        figures["reasoning"] = {"32": thought}
        _show_reasoning(thought, figures["streams"]["32"][OURS])
        figures["scenarios"] = {}
        scenarios.run_real(ours, figures["scenarios"])


def _start(stack: contextlib.ExitStack) -> tuple[dict[str, Target], Target, servers.Server]:
    """Return each target as a function that runs streams, one for streams of reasoning, and our server."""
    progress("starting the bare engine, our server and vLLM's")
    client = Worker("bench.load")
    bare = Worker("bench.bare", json.dumps(servers.ENGINE_ARGS), env=servers.engine_environment())
    rust = [servers.vllms(rust=True)] if servers.has_rust_front_end() else []
    if not rust:
        progress("vLLM's Rust front end: not in this build")
    _, _, ours, vllm, *rusts = servers.enter_all(stack, client, bare, servers.ours(), servers.vllms(), *rust)
    floor = stack.enter_context(servers.floor(ours, max(TOKENS.values())))

    def over(protocol: str, server: servers.Server) -> Target:
        arguments = {"protocol": protocol, "port": server.port, "pid": server.pid, "model": servers.MODEL_NAME}
        return lambda **level: client.do("streams", **arguments, **level)

    paced = _Paced(over("websocket", ours), over("websocket", floor), floor)
    targets: dict[str, Target] = {
        BARE: lambda **level: bare.do("streams", pid=bare.pid, **level),
        OURS: paced.ours,
        OURS_SSE: over("sse", ours),
        OURS_CHAT: over("our chat", ours),
        VLLM: over("vllm sse", vllm),
        VLLM_CHAT: over("chat", vllm),
        FLOOR: paced.floor,
    }
    if rusts:
        targets[VLLM_RUST] = over("chat", rusts[0])
    return targets, over("thinking", ours), ours


class _Paced:
    """Our server, and the raw writer at the pace of our last run."""

    def __init__(self, ours: Target, floor: Target, writer: servers.Server) -> None:
        self._ours, self._floor, self._writer = ours, floor, writer

    def ours(self, **level: int) -> dict[str, Any]:
        found = self._ours(**level)
        servers.set_pace(self._writer, level["num_streams"] / found["tokens_per_second"])
        return found

    def floor(self, **level: int) -> dict[str, Any]:
        return self._floor(**level)


def _level(targets: dict[str, Target], level: int, rounds: int, repeats: int, tokens: int) -> dict[str, Any]:
    """Return medians of the repeats, and the cost of each server's front end above the bare one's."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in targets}
    for repeat in range(repeats):
        for name, target in targets.items():
            progress(f"{level} streams, {repeat + 1} of {repeats}: {name}")
            runs[name].append(target(num_streams=level, rounds=rounds, tokens=tokens))
    medians = {name: median(results) for name, results in runs.items()}
    base = medians[BARE]
    for name, results in runs.items():
        above = [_front_end(result) - _front_end(bare) for result, bare in zip(results, runs[BARE], strict=True)]
        found = medians[name]
        found["front_end_us_above_bare"] = median(above)
        found["front_end_us_above_bare_runs"] = [round(value, 1) for value in above]
        found["throughput_to_bare"] = round(found["tokens_per_second"] / base["tokens_per_second"], 3)
        found["front_end_to_vllm"] = ratio(_front_end(found), _front_end(medians[VLLM]))
        found["front_end_to_floor"] = ratio(_front_end(found), _front_end(medians[FLOOR]))
        found["ttft_to_bare"] = ratio(found["ttft"]["p50_ms"], base["ttft"]["p50_ms"])
        found["itl_to_bare"] = ratio(found["itl"]["p50_ms"], base["itl"]["p50_ms"])
    for found in medians.values():
        added = found["front_end_us_above_bare"]
        found["above_bare_to_vllm"] = ratio(added, medians[VLLM]["front_end_us_above_bare"])
    return medians


def _front_end(result: dict[str, Any]) -> float:
    return float(result["cpu_us_per_token"]["front_end"])


def _show(level: str, by_target: dict[str, Any]) -> None:
    header = (
        f"{level} streams", "tokens/s", "of bare", "TTFT p50", "p99 ms", "ITL p50", "p99 ms",
        "front end us/token", "of vLLM's", "of the floor", "above bare", "of vLLM's", "engine", "client", "bytes/token",
    )  # fmt: skip
    rows = []
    for name, figures in by_target.items():
        cpu = figures["cpu_us_per_token"]
        rows.append((
            name, figures["tokens_per_second"], figures["throughput_to_bare"],
            figures["ttft"]["p50_ms"], figures["ttft"]["p99_ms"], figures["itl"]["p50_ms"], figures["itl"]["p99_ms"],
            cpu["front_end"], figures["front_end_to_vllm"], figures["front_end_to_floor"],
            figures["front_end_us_above_bare"], figures["above_bare_to_vllm"],
            cpu["engine"], cpu.get("client", "-"), figures.get("bytes_per_token", "-"),
        ))  # fmt: skip
    table(f"{level} streams: CPU in microseconds per token and process", header, rows)


def _show_reasoning(reasoning: dict[str, Any], text: dict[str, Any]) -> None:
    rows = [
        (name, found["tokens_per_second"], found["ttft"]["p50_ms"], found["itl"]["p50_ms"], _front_end(found))
        for name, found in (("text", text), ("reasoning, shown", reasoning))
    ]
    header = ("32 streams", "tokens/s", "TTFT p50 ms", "ITL p50 ms", "front end us/token")
    table("The model thinks, over WebSocket", header, rows)


def _engine() -> dict[str, Any]:
    arguments = {**servers.ENGINE_ARGS, "model": os.path.basename(servers.ENGINE_ARGS["model"])}
    return {"engine_args": arguments, "engine_environment": servers.engine_environment()}
