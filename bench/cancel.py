"""The time of a cancel on the real engine, by the phase of the response: from the send until the terminal event is
read.

The terminal event is sent when EngineCore has confirmed that it holds nothing of the request, so the engine's own part
(`abort_ms` in the receipt) includes a round trip that waits for the current step.
"""

from __future__ import annotations

from typing import Any

from . import servers
from .cancels import PHASES
from .measure import median, progress, table
from .worker import Worker

OTHERS = (0, 32)
ALL_PLACES = max(OTHERS) + 1  # with that many others a response has to wait


def run(quick: bool, figures: dict[str, Any]) -> None:
    """Measure by the number of other running streams, then by phase, and fill in the figures."""
    repeats, count = (1, 2) if quick else (3, 50)
    figures |= {"config": {"repeats": repeats, "count": count}, "others": {}}
    by_others = figures["others"]
    with servers.ours("--max-running-responses", str(ALL_PLACES)) as server, Worker("bench.cancels") as client:
        job = {"port": server.port, "model": servers.MODEL_NAME}
        client.do("cancels", others=0, count=1, phases=list(PHASES), **job)  # to warm up
        for others in OTHERS:
            progress(f"beside {others} streams")
            asked = {"others": others, "count": count, "phases": list(PHASES)}
            by_others[str(others)] = median([client.do("cancels", **asked, **job) for _ in range(repeats)])
        asked = {"others": ALL_PLACES, "count": count, "phases": ["waiting"]}
        by_others["all places"] = median([client.do("cancels", **asked, **job) for _ in range(repeats)])
    _show(by_others, f"{repeats} x {count} cancels of each")


def _show(figures: dict[str, Any], how_many: str) -> None:
    header = ("other streams", "phase", "cancel to terminal p50", "p99", "of it the engine's p50", "p99", "in phase")
    rows = [
        (
            others, phase, found["cancel_to_terminal"]["p50_ms"], found["cancel_to_terminal"]["p99_ms"],
            found["abort"]["p50_ms"], found["abort"]["p99_ms"], found["in_phase"],
        )
        for others, by_phase in figures.items()
        for phase, found in by_phase.items()
    ]  # fmt: skip
    table(f"Cancel in every phase, milliseconds, {how_many}", header, rows)
