"""Many creates in the same moment, each on a socket of its own."""

from __future__ import annotations

import time
from typing import Any

from ..measure import CpuMeter, p50_p99
from ..peer import all_ended, connect, disconnect
from ..servers import Server
from .client import Listener, ask
from .scenario import Scenario


async def measure(server: Server, count: int, tokens: int, per_token: bool = True) -> dict[str, Any]:
    """Measure from the first create to the first token of each, and to the end of all. per_token: the engine makes a
    delta of each token.
    """
    peers = await connect("websocket", server.port, count, peer_class=Listener)
    meter, began = CpuMeter(server.pid), time.perf_counter()
    ask(peers, tokens)
    await all_ended(peers, ends=1)
    wall = time.perf_counter() - began
    first = [peer.stamps[0] - began for peer in peers]
    come = sum(len(peer.stamps) if per_token else peer.num_tokens for peer in peers)
    await disconnect(peers)
    return {
        "creates": count,
        "missing tokens": count * tokens - come,
        "first token": p50_p99(first),
        "all over seconds": round(wall, 3),
        "server CPU us per create": round(meter.spent()["front_end"] / count * 1e6),
    }


SCENARIO = Scenario(
    "Burst: creates in the same moment",
    measure,
    {
        "full": {"count": 1000, "tokens": 32},
        "quick": {"count": 200, "tokens": 8},
        "tiny": {"count": 8, "tokens": 4},
        "real": {"count": 64, "tokens": 16, "per_token": False},
    },
    zero=("missing tokens",),
    counted="creates",
)
