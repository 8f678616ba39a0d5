"""The plots of the documentation, from the figures of a run. A target that did not run is not drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import engine, plot
from .fairness import QUEUES
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
        yield "cancels", _cancels(figures["scenarios"]["cancel_storm"])
    if "fairness" in figures:
        yield "floods", _floods(figures["fairness"]["floods"])
        yield "day", _day(figures["fairness"]["day"])
    if "scale" in figures:
        yield "return", _return(figures["scale"]["storms"])


def _floods(floods: Mapping[str, Any]) -> str:
    alone = floods["alone"]
    series = {
        queue: [(0.0, alone), *((float(number), seconds) for number, seconds in floods[queue].items())]
        for queue in QUEUES
    }
    (number, fair), (_, first) = (series[queue][-1] for queue in QUEUES)
    title = f"Beside {number:,.0f} long requests short ones wait {fair:.2f} s, first come, first served {first:,.0f} s"
    limit = "alone, and two full steps of the engine", alone + 2 * floods["full_step"]
    x_label = "long requests of another tenant, all at once"
    return plot.lines(title, x_label, "first token of short requests, p99, seconds", series, limit=limit, log=True)


def _day(day: Mapping[str, Any]) -> str:
    queues = day["queues"]
    kinds = next(iter(queues.values()))["first_token_p99"]
    groups = {kind: {queue: found["first_token_p99"][kind] for queue, found in queues.items()} for kind in kinds}
    fair, first = (groups["chat"][queue] for queue in QUEUES)
    longer = [kind for kind, group in groups.items() if group[QUEUES[0]] > 1.1 * group[QUEUES[1]]]
    title = f"In a simulated day chats wait {fair:.2f} s, not {first:.0f} s; wait longer: {', '.join(longer) or 'none'}"
    return plot.bars(title, f"kind of traffic ({day['hours']:g} hours)", "first token, p99, seconds", groups)


def _return(storms: Mapping[str, Any]) -> str:
    name = list(storms)[-1]
    series = {_with_losses(label, found["gave_up"]): found["curve"] for label, found in storms[name].items()}
    after = storms[name]["noticed within 25 s"]["seconds"]["100%"]
    title = "A third of the nodes is lost: " + (
        f"who notices within 25 s is back after {after:.0f} s" if after else "not all clients come back"
    )
    x_label = f"seconds since the loss ({name})"
    return plot.lines(title, x_label, "share of the lost clients that are back", series)


def _with_losses(label: str, gave_up: float) -> str:
    return f"{label}: {gave_up:.0%} give up" if gave_up else label


def _front_end(streams: Mapping[str, Any]) -> str:
    groups = {
        f"{level} streams" if level != "1" else "1 stream": {
            name: found["front_end_to_vllm"] for name, found in by_target.items()
        }
        for level, by_target in streams.items()
    }
    many = list(streams)[-2:]
    shares = _range([streams[level][engine.OURS]["front_end_to_vllm"] for level in many], ".2f")
    title = f"At {' and '.join(many)} streams a token costs {shares} of what it costs vLLM's server"
    return plot.bars(title, "at once", "CPU of the front end per token, times that of vLLM's Responses server", groups)


def _stack(stack: Mapping[str, Any]) -> str:
    groups = {
        level: {
            "a write for every step": found["front_end_to_floor"],
            "under pressure": stack["pressure"][level]["front_end_to_floor"],
        }
        for level, found in stack["sockets"].items()
    }
    title = f"An event costs {_range([*_values(groups)], '.1f')} times a raw write, its share of an answer in it"
    return plot.bars(
        title, "connections x responses on each", "CPU per event, times that of a raw uvloop writer", groups
    )


def _sessions(curve: Mapping[str, Any]) -> str:
    series = {
        f"added delay, {percentile}": [
            (float(level), found["delay"][f"{percentile}_ms"]) for level, found in curve.items()
        ]
        for percentile in ("p50", "p99")
    }
    met = [int(level) for level, p99 in series["added delay, p99"] if p99 < MAX_DELAY_MS]
    title = f"One core serves {max(met, default=0):,} sessions of 50 tokens/s with p99 below {MAX_DELAY_MS:g} ms"
    limit = f"{MAX_DELAY_MS:g} ms", MAX_DELAY_MS
    return plot.lines(title, "sessions at 50 tokens/s", "added delay of a token, ms", series, limit=limit)


def _cancels(storm: Mapping[str, Any]) -> str:
    by_phase = storm["cancel to terminal"]
    groups = {phase: {"p50": found["p50_ms"], "p99": found["p99_ms"]} for phase, found in by_phase.items()}
    cancels = storm["cancels"]
    title = f"{cancels - storm['without a receipt']:,} of {cancels:,} cancels of a storm have their receipt"
    return plot.bars(title, "the moment of the cancel", "from a cancel to its receipt, ms", groups)


def _values(groups: Mapping[str, Mapping[str, float]]) -> Iterator[float]:
    for group in groups.values():
        yield from group.values()


def _range(values: Sequence[float], form: str) -> str:
    least, most = format(min(values), form), format(max(values), form)
    return least if least == most else f"{least} to {most}"
