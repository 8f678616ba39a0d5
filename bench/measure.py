"""Figures: percentiles, medians of runs, CPU time and memory of processes, and the table for people."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

RUST_FRONT_END = "vllm-rs"  # vLLM's own, where the build has it: a child of the process that was started


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that `share` (0..1) of `values` do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def p50_p99(seconds: Sequence[float]) -> dict[str, float]:
    """Return the two reported percentiles of a latency, in milliseconds."""
    return {"p50_ms": percentile(seconds, 0.5) * 1e3, "p99_ms": percentile(seconds, 0.99) * 1e3}


def apart(cost: float, few_cost: float, number: int, few: int) -> tuple[float, float]:
    """Tell apart what each of many costs and what they cost once in all. cost, few_cost: of each, in a run of so many
    and in a run of few.
    """
    each = (cost * number - few_cost * few) / (number - few)
    return each, (cost - each) * number


def ratio(one: float, other: float) -> float:
    """Return a ratio with three digits; 0 where there is nothing to compare with."""
    return float(f"{one / other:.3g}") if other else 0.0


def median(runs: Sequence[Any]) -> Any:
    """Merge several runs into one: the median of each number, however deep in mappings it lies, with four digits."""
    if isinstance(runs[0], Mapping):
        return {name: median([run[name] for run in runs]) for name in runs[0]}
    return float(f"{statistics.median(runs):.4g}")


class CpuMeter:
    """A meter of a server's CPU time: of its own process, the front end, and of all processes that it has started, the
    engine.
    """

    def __init__(self, pid: int) -> None:
        children = psutil.Process(pid).children(recursive=True)
        rust = [child.pid for child in children if child.name() == RUST_FRONT_END]
        self._front_end = [pid, *rust]
        self._engine = [child.pid for child in children if child.pid not in rust]
        self._before = self._now()

    def spent(self) -> dict[str, float]:
        """Return the seconds since the meter was made."""
        return {name: seconds - self._before[name] for name, seconds in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {"front_end": sum(map(cpu_seconds, self._front_end)), "engine": sum(map(cpu_seconds, self._engine))}


def cpu_seconds(pid: int) -> float:
    """Return the scheduler's own count, in nanoseconds, where Linux has it: the usual one is in steps of 10 ms."""
    try:
        threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        if threads:
            return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        pass  # not built into this kernel, or a thread has just ended
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss_bytes(pid: int) -> int:
    """Return the memory that the process holds."""
    return int(psutil.Process(pid).memory_info().rss)


def progress(text: str) -> None:
    """Print what is being measured, apart from the tables."""
    print(f"   {text}", file=sys.stderr, flush=True)


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], left: Sequence[int] = (0,)) -> None:
    """Print rows under a header, columns as wide as needed. left: the columns of words, which begin at the left."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}\n")
    for row in cells:
        padded = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )  # fmt: skip
        print("  " + "  ".join(padded).rstrip())
    print(flush=True)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
