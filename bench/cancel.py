"""The time of a cancel on the real engine, by the phase of the response: from the send until the terminal event is
read.

The terminal event is sent when EngineCore has confirmed that it holds nothing of the request, so the engine's own part
(`abort_ms` in the receipt) includes a round trip that waits for the current step.
"""

from __future__ import annotations

from typing import Any

from . import plan, servers
from .cancels import PHASES
from .measure import median, progress, table
from .worker import Worker

OTHERS = (0, 32)
ALL_PLACES = max(OTHERS) + 1  # with that many others a response has to wait


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target. count: cancels of each kind in a run."""

    repeats: int
    count: int


SIZES: dict[plan.Name, Size] = {
    "long": Size(text="3 runs of 50 cancels of each kind", repeats=3, count=50, work=110, waits=60),
    "full": Size(text="3 runs of 6 cancels of each kind", repeats=3, count=6, work=35, waits=12),
    "short": Size(text="3 runs of 3 cancels of each kind", repeats=3, count=3, work=28, waits=9),
    "quick": Size(text="a run of 2 cancels of each kind", repeats=1, count=2, work=15, waits=3),
    "tiny": Size(text="one cancel of each kind", repeats=1, count=1),
}


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Measure by the number of other running streams, then by phase, and fill in the figures."""
    size = share.size
    runs: dict[str, list[dict[str, Any]]] = {str(others): [] for others in (*OTHERS, "all places")}
    figures |= {"config": {"repeats": size.repeats, "count": size.count}, "others": {}}
    with servers.ours("--max-running-responses", str(ALL_PLACES)) as server, Worker("bench.cancels") as client:
        job = {"port": server.port, "model": servers.MODEL_NAME}
        client.do("cancels", others=0, count=1, phases=list(PHASES), **job)  # to warm up
        for repeat in share.repeats(size.repeats, "cancels"):
            for others, done in runs.items():
                progress(f"beside {others}, {repeat + 1} of {size.repeats}")
                all_placed = others == "all places"
                asked = {"others": ALL_PLACES, "phases": ["waiting"]} if all_placed else {
                    "others": int(others), "phases": list(PHASES),
                }  # fmt: skip
                done.append(client.do("cancels", count=size.count, **asked, **job))
                figures["others"][others] = median(done)
    figures["without a receipt"] = sum(
        phase["without a receipt"] for done in runs.values() for run in done for phase in run.values()
    )
    _show(figures["others"], f"{size.repeats} x {size.count} cancels of each")


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
