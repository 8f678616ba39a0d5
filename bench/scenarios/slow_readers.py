"""Readers that do not read, next to ordinary ones: the cost for these, and the server's memory."""

from __future__ import annotations

from typing import Any

from ..measure import p50_p99, ratio, rss_bytes
from ..peer import all_ended, connect, disconnect
from ..servers import Server
from .client import Listener, ask
from .scenario import Scenario


async def measure(server: Server, slow: int, ordinary: int, tokens: int) -> dict[str, Any]:
    """Measure the delays of ordinary readers alone, then next to slow ones."""
    alone = await _delays(server, ordinary, tokens)
    before = rss_bytes(server.pid)
    stuck = await connect("websocket", server.port, slow, peer_class=Listener)
    for peer in stuck:
        peer.transport.pause_reading()
    ask(stuck, tokens * 4)
    beside = await _delays(server, ordinary, tokens)
    grown = rss_bytes(server.pid) - before
    await disconnect(stuck)
    return {
        "slow": slow,
        "ordinary": ordinary,
        "missing tokens of ordinary ones": 2 * ordinary * tokens - len(alone) - len(beside),
        "delay alone": p50_p99(alone),
        "delay beside slow readers": p50_p99(beside),
        "p99 of beside to alone": ratio(p50_p99(beside)["p99_ms"], p50_p99(alone)["p99_ms"]),
        "memory KiB per slow reader": round(grown / slow / 1024, 1),
    }


async def _delays(server: Server, count: int, tokens: int) -> list[float]:
    peers = await connect("websocket", server.port, count, peer_class=Listener)
    ask(peers, tokens)
    await all_ended(peers, ends=1)
    await disconnect(peers)
    return [delay for peer in peers for delay in peer.delays]


SCENARIO = Scenario(
    "Slow readers beside ordinary ones",
    measure,
    {
        "full": {"slow": 100, "ordinary": 100, "tokens": 150},
        "quick": {"slow": 20, "ordinary": 20, "tokens": 60},
        "tiny": {"slow": 2, "ordinary": 2, "tokens": 10},
    },
    zero=("missing tokens of ordinary ones",),
    counted="ordinary",
    weighs=True,
)
