"""A fifth of the sockets gone at once, in the middle of their answers; every transcript is checked to the letter."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Sequence
from typing import Any

from ..measure import p50_p99
from ..servers import Server
from .client import Reader, body, readers
from .scenario import Scenario

TICK = 0.1  # seconds between two tokens of an answer: readers and server share the machine, and none may be busy
KEEP = {"on_disconnect": {"policy": "continue"}}


async def measure(server: Server, count: int, share: float, tokens: int, per_token: bool = True) -> dict[str, Any]:
    """Cut `share` of `count` readers at half of their answers; resume them all at once; compare what all have read.
    per_token: the engine makes a delta of each token.
    """
    took: list[float] = []

    async def come_back(reader: Reader) -> None:
        began = time.perf_counter()
        await reader.resume()
        took.append(time.perf_counter() - began)
        await reader.read()

    async with readers(server, count) as all_readers:
        await asyncio.gather(*(reader.begin(**body("a story", tokens, **KEEP)) for reader in all_readers))
        await asyncio.gather(*(reader.read(deltas=tokens // 2) for reader in all_readers))
        lost = all_readers[: max(1, round(count * share))]
        for reader in lost:
            reader.cut()
        kept = (reader.read() for reader in all_readers[len(lost) :])
        await asyncio.gather(*kept, *(come_back(reader) for reader in lost))
        mismatches = await asyncio.to_thread(_mismatches, server.port, all_readers, tokens if per_token else None)
    return {
        "sockets": count,
        "cut": len(lost),
        "mismatches": mismatches,
        "gaps": sum(reader.gaps for reader in all_readers),
        "resume to first event": p50_p99(took),
    }


def _mismatches(port: int, all_readers: Sequence[Reader], tokens: int | None) -> int:
    """Return how many have read something else than the server has stored, or not all of it. tokens: deltas of each."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    wrong = 0
    for reader in all_readers:
        connection.request("GET", f"/v1/responses/{reader.response_id}")
        kept = json.loads(connection.getresponse().read())
        text = "".join(part["text"] for item in kept["output"] for part in item.get("content", ()))
        wrong += text != "".join(reader.text) or (tokens is not None and len(reader.text) != tokens)
    connection.close()
    return wrong


SCENARIO = Scenario(
    "Cut storm: a fifth of the sockets gone at once, and all back at once",
    measure,
    {
        "full": {"count": 1000, "share": 0.2, "tokens": 60},
        "quick": {"count": 100, "share": 0.2, "tokens": 20},
        "tiny": {"count": 5, "share": 0.2, "tokens": 12},
        "real": {"count": 40, "share": 0.2, "tokens": 64, "per_token": False},
    },
    zero=("mismatches", "gaps"),
    counted="sockets",
    tick=TICK,
)
