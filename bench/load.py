"""The client process: many streams with as little work per token as possible, for all protocols alike.

Its jobs (see `worker`) are `streams` and `idle`; its connections are those of `peer`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import uvloop

from .measure import CpuMeter, p50_p99, rss_bytes
from .peer import all_ended, connect, disconnect, request
from .worker import work


async def streams(
    protocol: str, port: int, pid: int, model: str, num_streams: int, rounds: int, tokens: int, lanes: int = 1
) -> dict[str, Any]:
    """Run `rounds` times `num_streams` responses at once, each on a connection of its own or `lanes` of them on one.

    Measures from the first request to the last end; connections are made before. CPU is per generated token.
    """
    peers = await connect(protocol, port, num_streams)
    asked_for = [
        [request(protocol, model, prompt(number * rounds + round_), tokens, lanes) for number in range(num_streams)]
        for round_ in range(rounds)
    ]
    ttft: list[float] = []
    itl: list[float] = []
    meter, client, began = CpuMeter(pid), time.process_time(), time.perf_counter()
    for round_ in range(rounds):
        first, started = [len(peer.stamps) for peer in peers], []
        for peer, ask in zip(peers, asked_for[round_], strict=True):
            started.append(time.perf_counter())
            peer.transport.write(ask)
        await all_ended(peers, ends=lanes * (round_ + 1))
        for peer, start, asked in zip(peers, first, started, strict=True):
            if start == len(peer.stamps):
                raise RuntimeError(f"a stream ended without a text delta: {peer.window[-800:]!r}")
            ttft.append(peer.stamps[start] - asked)
            itl += (later - earlier for earlier, later in itertools.pairwise(peer.stamps[start:]))
    wall, client = time.perf_counter() - began, time.process_time() - client
    cpu = meter.spent() | {"client": client}
    result = summary(ttft, itl, wall, sum(peer.num_tokens for peer in peers), cpu)
    num_bytes = sum(peer.num_bytes for peer in peers)
    await disconnect(peers)
    return result | {
        "bytes_per_token": num_bytes / (num_streams * rounds * lanes * tokens),
        "events": sum(len(peer.stamps) for peer in peers),
    }


def summary(ttft: list[float], itl: list[float], wall: float, tokens: int, cpu: dict[str, float]) -> dict[str, Any]:
    """Return the figures that every way to run many streams reports."""
    return {
        "ttft": p50_p99(ttft),
        "itl": p50_p99(itl),
        "tokens": tokens,
        "tokens_per_second": tokens / wall,
        "cpu_us_per_token": {name: seconds / tokens * 1e6 for name, seconds in cpu.items()},
    }


async def idle(port: int, pid: int, count: int, seconds: float, native: bool) -> dict[str, float]:
    """Open sockets, wait, and return the growth of the server's memory per socket."""
    before = rss_bytes(pid)
    peers = await connect("websocket", port, count, native=native)
    await asyncio.sleep(seconds)  # for what the server still does after the handshakes
    grown = rss_bytes(pid) - before
    await disconnect(peers)
    return {"kib_per_session": grown / count / 1024}


def prompt(number: int) -> str:
    """Return a prompt. Prompts differ, so that no answer is another one's, and are the same for everything that is
    compared.
    """
    return f"tell me a long story number {number}"


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        work(runner, {"streams": streams, "idle": idle})
