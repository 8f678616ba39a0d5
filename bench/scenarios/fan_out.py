"""One response that many sockets follow."""

from __future__ import annotations

from typing import Any

from ..measure import CpuMeter, p50_p99
from ..peer import all_ended, connect, disconnect, frame
from ..servers import Server
from .client import Listener, Reader, body
from .scenario import Scenario


async def measure(server: Server, followers: int, tokens: int) -> dict[str, Any]:
    """Measure how late each follower has each token, and the server's cost for one."""
    author = Reader(server.port)
    await author.open()
    peers = await connect("websocket", server.port, followers, native=True, peer_class=Listener)
    await author.begin(**body("a story", tokens))
    resume = frame({"type": "response.resume", "response_id": author.response_id, "starting_after": -1})
    for peer in peers:
        peer.transport.write(resume)
    meter = CpuMeter(server.pid)
    await author.read()
    await all_ended(peers, ends=1)
    cpu = meter.spent()["front_end"]
    delays = [delay for peer in peers for delay in peer.delays]
    await disconnect(peers)
    await author.close()
    return {
        "followers": followers,
        "events": len(delays),
        "missing tokens": followers * tokens - len(delays),
        "delay": p50_p99(delays),
        "server CPU us per event": round(cpu / len(delays) * 1e6, 1),
    }


SCENARIO = Scenario(
    "Fan-out: one response, many followers",
    measure,
    {
        "full": {"followers": 500, "tokens": 150},
        "quick": {"followers": 100, "tokens": 60},
        "tiny": {"followers": 3, "tokens": 8},
    },
    zero=("missing tokens",),
    counted="followers",
)
