"""An event that is read on node B while node A makes it, beside one that is read at A: CPU of each for one event.

The answers run at A and nobody has asked for them any more; then their readers come, to A or to B, in turns. All
answers make a token in the same step of the engine, as on a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import uvloop

from .measure import CpuMeter, median, progress, ratio, table
from .nodes import cancel, nodes
from .peer import Peer, connect, disconnect, frame
from .scenarios.client import body, readers
from .servers import Server

LEVELS = (1, 32, 128)
TICK = 0.05
TOKENS = 3000  # the window of the scripted engine is little longer
WARM_SECONDS = 0.5
How = Literal["unread", "local", "proxied"]
HOWS: tuple[How, ...] = ("unread", "local", "proxied")


def run(repeats: Iterable[int], seconds: float, levels: Sequence[int], figures: dict[str, Any]) -> None:
    """Measure by the number of streams, each answer with one reader: each way to read so long, in each repeat."""
    figures["config"] = {"seconds": seconds, "tick": TICK}
    runs: dict[int, dict[str, list[dict[str, float]]]] = {level: {how: [] for how in HOWS} for level in levels}
    with nodes(("a", "b"), TICK, TOKENS) as found:
        a, b = found["a"], found["b"]
        uvloop.run(_measure(a, b, 1, "proxied", 0.5))  # to warm up
        for repeat in repeats:
            for level, by_how in runs.items():
                progress(f"{level} streams, run {repeat + 1}")
                for how in HOWS:
                    by_how[how].append(uvloop.run(_measure(a, b, level, how, seconds)))
                figures[str(level)] = _beside({how: median(one) for how, one in by_how.items()})
    _show({level: one for level, one in figures.items() if level != "config"})


async def _measure(a: Server, b: Server, level: int, how: How, seconds: float) -> dict[str, float]:
    """Microseconds of CPU of each node for an event."""
    ids = await _begin(a, level)
    peers: list[Any] = []
    if how != "unread":
        peers = await connect("websocket", (a if how == "local" else b).port, level, native=True)
        for peer, response_id in zip(peers, ids, strict=True):
            peer.transport.write(frame({"type": "response.resume", "response_id": response_id, "starting_after": -1}))
        await asyncio.gather(*(peer.until(deltas=1) for peer in peers))
    await asyncio.sleep(WARM_SECONDS)
    before = _count(peers)
    meters = CpuMeter(a.pid), CpuMeter(b.pid)
    await asyncio.sleep(seconds)
    spent = [meter.spent()["front_end"] for meter in meters]
    events = _count(peers) - before if peers else level * seconds / TICK
    await disconnect(peers)
    await asyncio.to_thread(cancel, a, ids)
    return {"a": spent[0] / events * 1e6, "b": spent[1] / events * 1e6, "rate": events * TICK / seconds / level}


async def _begin(a: Server, level: int) -> list[str]:
    async with readers(a, level) as authors:
        asked = body("a story", TOKENS, on_disconnect={"policy": "continue"})
        await asyncio.gather(*(author.begin(**asked) for author in authors))
        return [author.response_id for author in authors]


def _count(peers: list[Peer]) -> int:
    return sum(len(peer.stamps) for peer in peers)


def _beside(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    local, both = found["local"]["a"], found["proxied"]["a"] + found["proxied"]["b"]
    return {
        **found,
        "A proxied to local": ratio(found["proxied"]["a"], local),
        "both proxied to local": ratio(both, local),
    }


def _show(figures: dict[str, Any]) -> None:
    header = (
        "streams", "A, nobody reads", "A, read at A", "A, read at B", "B", "A proxied to local", "A and B to local",
    )  # fmt: skip
    rows = [
        (
            level, one["unread"]["a"], one["local"]["a"], one["proxied"]["a"], one["proxied"]["b"],
            one["A proxied to local"], one["both proxied to local"],
        )
        for level, one in figures.items()
    ]  # fmt: skip
    table("An event that is read on another node, microseconds of CPU", header, rows)
