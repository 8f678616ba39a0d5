"""How long a cancel takes on the real engine: from the client's send until it has the terminal event.

The terminal event is sent when EngineCore has confirmed that it holds nothing of the request, so the engine's own part
(`abort_ms` in the receipt) includes a round trip that waits for the step that is under way.
"""

from __future__ import annotations

from typing import Any

from . import servers
from .measure import median, table
from .worker import Worker

OTHERS = (0, 32)
AFTER = 10  # deltas


def run(quick: bool) -> dict[str, Any]:
    """Figures by the number of other streams that run."""
    repeats, count = (1, 20) if quick else (3, 100)
    with servers.ours() as server, Worker("bench.load") as client:
        job = {"port": server.port, "model": servers.MODEL_NAME, "after": AFTER}
        client.do("cancels", others=0, count=3, **job)  # to warm up
        figures = {
            str(others): median([client.do("cancels", others=others, count=count, **job) for _ in range(repeats)])
            for others in OTHERS
        }
    header = ("other streams", "cancel to terminal p50", "p99", "max", "of it the engine's p50", "p99")
    rows = [
        (
            others, found["cancel_to_terminal"]["p50_ms"], found["cancel_to_terminal"]["p99_ms"], found["max_ms"],
            found["abort"]["p50_ms"], found["abort"]["p99_ms"],
        )
        for others, found in figures.items()
    ]  # fmt: skip
    table(f"Cancel after {AFTER} deltas, milliseconds, {repeats} x {count} cancels", header, rows)
    return {"config": {"repeats": repeats, "count": count, "after": AFTER}, "others": figures}
