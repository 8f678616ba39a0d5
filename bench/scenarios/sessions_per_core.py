"""The number of sessions that one core serves within an objective: 50 tokens/s for each, added delay under 20 ms at
p99.

The engine makes a token for every session in the same moment, 50 times a second, as a batch does. The added delay of a
token goes from that moment until the client has it. The engine's part of the server's work is in its share of a core;
where the client's own share comes near to 1, the delay is the client's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from ..measure import CpuMeter, p50_p99
from ..peer import connect, disconnect
from ..servers import Server
from .client import PatientListener, ask
from .scenario import Scenario

RATE = 50  # tokens/s of a session
MAX_DELAY_MS = 20.0  # at p99
MIN_RATE = 0.98  # of RATE: less, and it does not keep up
MAX_MISSED = 2  # levels, before it is enough
ENDLESS = 1 << 19  # tokens
WARM_SECONDS = 0.5


async def measure(server: Server, levels: Sequence[int], seconds: float) -> dict[str, Any]:
    """Measure the curve, level by level, until two levels miss the objective, to show how it is missed. `sessions` is
    the last level before the first miss.
    """
    curve: dict[str, Any] = {}
    best, num_missed = 0, 0
    for level in levels:
        found = curve[str(level)] = await _level(server, level, seconds)
        num_missed += not found["met"]
        if num_missed == MAX_MISSED:
            break
        if not num_missed:
            best = level
    lost = sum(found.pop("closed by the server") for found in curve.values())
    return {"sessions": best, "most sessions": max(map(int, curve)), "closed by the server": lost, "curve": curve}


async def _level(server: Server, sessions: int, seconds: float) -> dict[str, Any]:
    peers = await connect("websocket", server.port, sessions, peer_class=PatientListener)
    ask(peers, ENDLESS)
    await asyncio.gather(*(peer.until(deltas=1) for peer in peers))
    await asyncio.sleep(WARM_SECONDS)
    for peer in peers:
        peer.delays.clear()
    loop = asyncio.get_running_loop()
    meter, client, began = CpuMeter(server.pid), time.process_time(), loop.time()
    await asyncio.sleep(seconds)
    await asyncio.gather(*(peer.until(deltas=len(peer.stamps) + 1) for peer in peers))  # however late
    wall, cpu = loop.time() - began, meter.spent()["front_end"]
    client = time.process_time() - client
    delays = [delay for peer in peers for delay in peer.delays]
    lost = sum(peer.is_lost for peer in peers)
    await disconnect(peers)
    rate = len(delays) / wall / sessions
    delay = p50_p99(delays)
    return {
        "met": delay["p99_ms"] < MAX_DELAY_MS and rate >= MIN_RATE * RATE,
        "closed by the server": lost,
        "tokens/s of each": round(rate, 1),
        "delay": delay,
        "share of a core": round(cpu / wall, 3),
        "share of the client's": round(client / wall, 3),
    }


SCENARIO = Scenario(
    "Sessions per core to the objective: 50 tokens/s each, added delay under 20 ms at p99",
    measure,
    {
        "full": {"levels": (100, 250, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000), "seconds": 2.0},
        "quick": {"levels": (100, 200, 400), "seconds": 0.6},
        "tiny": {"levels": (2,), "seconds": 0.2},
    },
    zero=("closed by the server",),
    counted="most sessions",
    tick=1 / RATE,
)
