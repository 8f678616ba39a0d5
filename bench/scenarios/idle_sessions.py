"""Sockets that say nothing: how much memory of the server each takes."""

from __future__ import annotations

from typing import Any

from .. import load
from ..servers import Server
from .scenario import Scenario


async def measure(server: Server, count: int, seconds: float) -> dict[str, Any]:
    """KiB for each, plain and native. The first few pay for what is made once."""
    job = {"port": server.port, "pid": server.pid}
    await load.idle(count=min(count, 50), seconds=seconds / 5, native=True, **job)
    figures: dict[str, Any] = {"sessions": count}
    for name, native in (("plain", False), ("native", True)):
        found = await load.idle(count=count, seconds=seconds, native=native, **job)
        figures[f"KiB per {name} session"] = round(found["kib_per_session"], 1)
    return figures


SCENARIO = Scenario(
    "Idle sessions",
    measure,
    {
        "full": {"count": 2000, "seconds": 1.0},
        "quick": {"count": 300, "seconds": 1.0},
        "tiny": {"count": 10, "seconds": 0.05},
    },
)
