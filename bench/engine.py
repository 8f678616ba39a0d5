"""The service compared with the bare engine, vLLM's own server and a raw writer, in one run, on the starter model.

All run at the same time and take turns, so that other work on the machine disturbs each alike; all but one sleep while
that one works. Each renders its prompts inside the measured time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from . import plan, scenarios, servers
from .measure import median, progress, ratio, table
from .worker import Worker

BARE, FLOOR = "bare AsyncLLM", "raw uvloop writer"
OURS, OURS_SSE, OURS_CHAT = "realtime, WebSocket", "realtime, SSE", "realtime, chat"
VLLM, VLLM_CHAT, VLLM_RUST = "vLLM server, SSE", "vLLM server, chat", "vLLM Rust front end, chat"
BASES = {"bare": BARE, "vllm": VLLM, "floor": FLOOR}  # with which the others are compared
REASONING_LEVEL = 32
Target = Callable[..., dict[str, Any]]


class Level(msgspec.Struct, frozen=True):
    """So many streams at once, each of which has `rounds` answers of `tokens` tokens, one after the other."""

    streams: int
    tokens: int
    rounds: int = 1


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target."""

    repeats: int
    levels: tuple[Level, ...]
    scenarios: bool = True


SIZES: dict[plan.Name, Size] = {
    "long": Size(
        text="3 runs of answers of 256 tokens at 1, 32 and 128 streams; scenarios", work=210, waits=15,
        repeats=3, levels=(Level(1, 256, 4), Level(32, 256, 2), Level(128, 256)),
    ),
    "full": Size(
        text="3 runs of answers of 128, 128 and 64 tokens at 1, 32 and 128 streams; scenarios", work=95, waits=15,
        repeats=3, levels=(Level(1, 128, 2), Level(32, 128), Level(128, 64)),
    ),
    "short": Size(
        text="3 runs of answers of 64, 64 and 32 tokens at 1, 32 and 128 streams; scenarios", work=65, waits=13,
        repeats=3, levels=(Level(1, 64), Level(32, 64), Level(128, 32)),
    ),
    "quick": Size(
        text="a run of answers of 64, 64 and 32 tokens at 1, 32 and 128 streams", work=32, waits=5,
        repeats=1, levels=(Level(1, 64), Level(32, 64), Level(128, 32)), scenarios=False,
    ),
    "tiny": Size(
        text="a run of 8 tokens at 1 and 32 streams", repeats=1, levels=(Level(1, 8), Level(32, 8)), scenarios=False,
    ),
}  # fmt: skip
Runs = dict[Level, dict[str, list[dict[str, Any]]]]  # by level and target


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Measure by level, then by target; a run in which the model thinks; scenarios on our server. Fill in the
    figures.
    """
    size = share.size
    figures["config"] = {"repeats": size.repeats, "levels": msgspec.to_builtins(size.levels), **_engine()}
    figures["streams"] = {}
    with contextlib.ExitStack() as stack:
        targets, thinking, ours = _start(stack, max(level.tokens for level in size.levels))
        for target in (*targets.values(), thinking):
            target(num_streams=4, rounds=1, tokens=16)  # the first requests pay for what is made once
        with contextlib.ExitStack() as at_last:
            at_last.callback(_show_all, figures)  # also when it is interrupted
            _measure(share, targets, thinking, figures)
        if size.scenarios:
            figures["scenarios"] = {}
            scenarios.run_real(ours, figures["scenarios"])


def _measure(share: plan.Share[Size], targets: dict[str, Target], thinking: Target, figures: dict[str, Any]) -> None:
    """Run all levels of all targets in turns, and keep the medians of what has run."""
    size = share.size
    runs: Runs = {level: {name: [] for name in targets} for level in size.levels}
    thoughts = []
    for repeat in share.repeats(size.repeats, "streams"):
        for level, by_target in runs.items():
            for name, target in targets.items():
                progress(f"{level.streams} streams, {repeat + 1} of {size.repeats}: {name}")
                by_target[name].append(_run(target, level))
            figures["streams"][str(level.streams)] = compared(by_target)
            figures["missing tokens"] = sum(
                found["missing tokens"] for each in figures["streams"].values() for found in each.values()
            )
            if level.streams == REASONING_LEVEL:
                progress(f"{level.streams} streams, {repeat + 1} of {size.repeats}: the model thinks")
                thoughts.append(_run(thinking, level))
                figures["reasoning"] = {str(level.streams): median(thoughts)}


def _run(target: Target, level: Level) -> dict[str, Any]:
    """Run a target once, and count the tokens that it owes."""
    found = target(num_streams=level.streams, rounds=level.rounds, tokens=level.tokens)
    return found | {"missing tokens": level.streams * level.rounds * level.tokens - found["tokens"]}


def _start(stack: contextlib.ExitStack, most_tokens: int) -> tuple[dict[str, Target], Target, servers.Server]:
    """Return each target as a function that runs streams, one for streams of reasoning, and our server."""
    progress("starting the bare engine, our server and vLLM's")
    client = Worker("bench.load")
    bare = Worker("bench.bare", json.dumps(servers.ENGINE_ARGS), env=servers.engine_environment())
    rust = [servers.vllms(rust=True)] if servers.has_rust_front_end() else []
    if not rust:
        progress("vLLM's Rust front end: not in this build")
    _, _, ours, vllm, *rusts = servers.enter_all(stack, client, bare, servers.ours(), servers.vllms(), *rust)
    floor = stack.enter_context(servers.floor(ours, most_tokens))

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


def compared(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return medians of the repeats, and each as a ratio to the bare engine, vLLM's server and the raw writer."""
    medians = {name: median(results) for name, results in runs.items()}
    for name, results in runs.items():
        above = [_front_end(result) - _front_end(bare) for result, bare in zip(results, runs[BARE], strict=True)]
        found = medians[name]
        found["front_end_us_above_bare"] = median(above)
        found["front_end_us_above_bare_runs"] = [round(value, 1) for value in above]
        found["missing tokens"] = sum(abs(result["missing tokens"]) for result in results)
    for base, name in BASES.items():
        beside = _compared_figures(medians[name])
        for found in medians.values():
            found |= {f"{what}_to_{base}": ratio(one, beside[what]) for what, one in _compared_figures(found).items()}
    for found in medians.values():
        added = found["front_end_us_above_bare"]
        found["above_bare_to_vllm"] = ratio(added, medians[VLLM]["front_end_us_above_bare"])
    return medians


def _front_end(result: dict[str, Any]) -> float:
    return float(result["cpu_us_per_token"]["front_end"])


def _compared_figures(result: dict[str, Any]) -> dict[str, float]:
    return {
        "throughput": result["tokens_per_second"],
        "ttft": result["ttft"]["p50_ms"],
        "itl": result["itl"]["p50_ms"],
        "front_end": _front_end(result),
    }


def _show_all(figures: dict[str, Any]) -> None:
    for level, by_target in figures["streams"].items():
        _show(level, by_target)
    for level, thought in figures.get("reasoning", {}).items():
        _show_reasoning(thought, figures["streams"][level][OURS])


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
