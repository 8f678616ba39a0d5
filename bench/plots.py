"""The plots of the documentation, from the figures of a run. A target that did not run is not drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import plot
from .scenarios.sessions_per_core import MAX_DELAY_MS


def write(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots that these figures allow. Return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in drawn(figures):
        written.append(folder / f"{name}.svg")
        written[-1].write_text(text)
    return written


def drawn(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and SVG of each plot."""
    if "engine" in figures:
        yield "front-end", _front_end(figures["engine"]["streams"])
    if "stack" in figures:
        yield "stack", _stack(figures["stack"])
    if "scenarios" in figures:
        yield "sessions", _sessions(figures["scenarios"]["sessions_per_core"]["curve"])
        yield "cancels", _cancels(figures["scenarios"]["cancel_storm"]["cancel to terminal"])
    if "fairness" in figures:
        yield "floods", _floods(figures["fairness"]["floods"])
        yield "day", _day(figures["fairness"]["day"]["queues"])
    if "scale" in figures:
        yield "return", _return(figures["scale"]["storms"])


def _floods(floods: Mapping[str, Any]) -> str:
    alone = floods["alone"]
    series = {
        queue: [(0.0, alone), *((float(number), seconds) for number, seconds in floods[queue].items())]
        for queue in ("fair shares", "first come")
    }
    limit = alone + 2 * floods["full_step"]
    return plot.lines("First token of short requests, p99", "long requests of another tenant", "s", series, limit)


def _day(queues: Mapping[str, Any]) -> str:
    kinds = next(iter(queues.values()))["first_token_p99"]
    groups = {kind: {queue: found["first_token_p99"][kind] for queue, found in queues.items()} for kind in kinds}
    return plot.bars("A simulated day: first token, p99", "s", groups)


def _return(storms: Mapping[str, Any]) -> str:
    name = list(storms)[-1]
    series = {label: found["curve"] for label, found in storms[name].items()}
    return plot.lines(f"A third of the nodes is lost: {name}", "s", "share of clients that are back", series, None)


def _front_end(streams: Mapping[str, Any]) -> str:
    groups = {
        f"{level} streams": {name: found["front_end_to_vllm"] for name, found in by_target.items()}
        for level, by_target in streams.items()
    }
    return plot.bars("CPU of the front end per token", "times that of vLLM's Responses server", groups)


def _stack(stack: Mapping[str, Any]) -> str:
    groups = {
        level: {
            "a write for every step": found["front_end_to_floor"],
            "under pressure": stack["pressure"][level]["front_end_to_floor"],
        }
        for level, found in stack["sockets"].items()
    }
    return plot.bars("The session stack, connections x responses", "CPU per event, times the raw writer's", groups)


def _sessions(curve: Mapping[str, Any]) -> str:
    series = {
        f"delay {percentile}": [(float(level), found["delay"][f"{percentile}_ms"]) for level, found in curve.items()]
        for percentile in ("p50", "p99")
    }
    return plot.lines("Added delay on one core", "sessions at 50 tokens/s", "ms", series, MAX_DELAY_MS)


def _cancels(by_phase: Mapping[str, Any]) -> str:
    groups = {phase: {"p50": found["p50_ms"], "p99": found["p99_ms"]} for phase, found in by_phase.items()}
    return plot.bars("From a cancel to its receipt, in a storm", "ms", groups)
