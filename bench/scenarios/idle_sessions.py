"""Silent sockets: the server's memory for each."""

from __future__ import annotations

import asyncio
from typing import Any

from ..measure import rss_bytes
from ..peer import connect, disconnect
from ..servers import Server
from .scenario import Scenario


async def measure(server: Server, count: int, seconds: float) -> dict[str, Any]:
    """Measure KiB for each, plain and native. All stay open to the end; otherwise one kind would reuse the memory of
    the other.
    """
    opened = await connect("websocket", server.port, min(count, 50))  # they pay for what is made once
    figures: dict[str, Any] = {"sessions": count}
    for name, native in (("plain", False), ("native", True)):
        before = rss_bytes(server.pid)
        opened += await connect("websocket", server.port, count, native=native)
        await asyncio.sleep(seconds)  # for what the server still does after the handshakes
        figures[f"KiB per {name} session"] = round((rss_bytes(server.pid) - before) / count / 1024, 1)
    figures["closed by the server"] = sum(peer.is_lost for peer in opened)
    await disconnect(opened)
    return figures


SCENARIO = Scenario(
    "Idle sessions",
    measure,
    {
        "full": {"count": 2000, "seconds": 1.0},
        "quick": {"count": 300, "seconds": 0.5},
        "tiny": {"count": 10, "seconds": 0.05},
    },
    zero=("closed by the server",),
    counted="sessions",
    weighs=True,
)
