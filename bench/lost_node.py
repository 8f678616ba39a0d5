"""A node is killed under many streams: how soon their readers read on at the nodes that are left, and whether anything
is missing.

The readers do what the clients do: they connect elsewhere after a short pause with jitter, resume, and try again when
they are told to. Before that, and when all have read on, every socket is cut at once, as in `mass_resume`: first each
comes back to the node that has its response, then to one of those that are left, which has it or asks the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence
from typing import Any

import uvloop
from websockets.exceptions import WebSocketException

from realtime.store.cluster.node import LeaseTimes
from realtime_client.policy import Policy

from .measure import p50_p99, percentile, progress, ratio, table
from .nodes import nodes, said
from .scenarios.client import Reader, body
from .servers import Server

TOKENS = 1500  # of an answer, more than are read
MAX_STREAMS = 2048
KEEP = {"on_disconnect": {"policy": "continue"}}
FLAGS = ("--max-num-seqs", str(MAX_STREAMS), "--max-running-responses", str(MAX_STREAMS))
GUARD_SECONDS = 900.0  # against hanging only


def run(count: int, tick: float, figures: dict[str, Any]) -> None:
    """Kill a node of so many streams, which have a token every `tick` seconds. Fill in the figures."""
    with nodes(("a", "b", "c"), tick, TOKENS, *FLAGS) as found:
        figures |= {"tick": tick, **uvloop.run(measure(found["a"], (found["b"], found["c"]), count))}
    _show(figures)


async def measure(a: Server, others: Sequence[Server], count: int) -> dict[str, Any]:
    """Begin so many streams at A, kill it, and read on."""
    followers = [_Follower(a.port) for _ in range(count)]
    async with asyncio.timeout(GUARD_SECONDS):
        for start in range(0, count, 64):
            await asyncio.gather(*(_begin(one) for one in followers[start : start + 64]))
        await asyncio.gather(*(one.read(deltas=3) for one in followers))
        at_home = await _all_cut(followers, (a,))
        progress(f"{count} streams run, and their node is killed")
        os.kill(a.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        nexts = [at - killed_at for at in await asyncio.gather(*(one.survive(others) for one in followers))]
        tries = sum(one.num_tries for one in followers) - count  # the first ones at home
        elsewhere = await _all_cut(followers, others)
        await asyncio.gather(*(one.read(deltas=len(one.text) + 2) for one in followers))
    whole = said(TOKENS)
    wrong = sum(one.text != whole[: len(one.text)] or one.gaps > 0 for one in followers)
    await asyncio.gather(*(one.close() for one in followers), return_exceptions=True)
    lease = LeaseTimes().live
    return {
        "streams": count,
        "kill to next event": p50_p99(nexts),
        "of a lease": {"p50": ratio(percentile(nexts, 0.5), lease), "p99": ratio(percentile(nexts, 0.99), lease)},
        "tries of each": tries / count,
        "resume to first event, at home": p50_p99(at_home),
        "at those that are left": p50_p99(elsewhere),
        "mismatches": wrong,
    }


async def _begin(follower: _Follower) -> None:
    await follower.open()
    await follower.begin(**body("a story", TOKENS, **KEEP))


async def _all_cut(followers: Sequence[_Follower], servers: Sequence[Server]) -> list[float]:
    for one in followers:
        one.cut()
    return await asyncio.gather(*(one.come_back(servers) for one in followers))


class _Follower(Reader):
    """A reader that comes back by itself."""

    num_tries = 0

    async def survive(self, others: Sequence[Server]) -> float:
        """Read until the socket is lost, and on elsewhere. Return when the next event came."""
        with contextlib.suppress(OSError, WebSocketException):
            await self.read()
        await self.come_back(others)
        await self.read(deltas=len(self.text) + 1)
        return time.monotonic()

    async def come_back(self, others: Sequence[Server]) -> float:
        """Resume at one of these, as often as it takes. Return how long the last try took, to its first event."""
        policy, rng = Policy(), random.Random()
        attempt = 0
        while True:
            await asyncio.sleep(policy.delay_seconds(attempt, None, rng))
            self.go_to(rng.choice(others).port)
            self.num_tries += 1
            began = time.monotonic()
            try:
                await self.resume()
            except (RuntimeError, OSError, WebSocketException):  # refused for now, or cut again
                await self.close()
                attempt += 1
            else:
                return time.monotonic() - began


def _show(figures: dict[str, Any]) -> None:
    rows = []
    for name, value in figures.items():
        rows += (
            [(f"{name} {which}", one) for which, one in value.items()] if isinstance(value, dict) else [(name, value)]
        )
    table("A node is killed under its streams", ("figure", "value"), rows)
