"""The same streams with and without a client that reads /metrics once a second, in turns."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from ..measure import CpuMeter, median, p50_p99, ratio
from ..peer import all_ended, connect, disconnect
from ..servers import Server
from .client import Listener, ask
from .scenario import Scenario

EVERY_SECONDS = 1.0
_GET = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


async def measure(server: Server, sessions: int, tokens: int, repeats: int) -> dict[str, Any]:
    """Measure CPU of the server per event and the delay of tokens, medians of the repeats."""
    runs: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    await _streams(server, sessions, tokens, scraped=False)  # to warm up
    for _ in range(repeats):
        for scraped, found in runs.items():
            found.append(await _streams(server, sessions, tokens, scraped=scraped))
    missing = sum(found.pop("missing tokens") for found in [*runs[False], *runs[True]])
    without, beside = median(runs[False]), median(runs[True])
    return {
        "sessions": sessions,
        "missing tokens": missing,
        "repeats": repeats,
        "without": without,
        "scraped": beside,
        "CPU, scraped to without": ratio(beside["server CPU us per event"], without["server CPU us per event"]),
        "p99 delay, scraped to without": ratio(beside["delay"]["p99_ms"], without["delay"]["p99_ms"]),
    }


async def _streams(server: Server, sessions: int, tokens: int, *, scraped: bool) -> dict[str, Any]:
    peers = await connect("websocket", server.port, sessions, peer_class=Listener)
    meter = CpuMeter(server.pid)
    scraper = asyncio.create_task(_scrape(server.port)) if scraped else None
    ask(peers, tokens)
    await all_ended(peers, ends=1)
    cpu = meter.spent()["front_end"]
    num_scrapes = await _stop(scraper) if scraper else 0
    delays = [delay for peer in peers for delay in peer.delays]
    await disconnect(peers)
    return {
        "server CPU us per event": cpu / len(delays) * 1e6,
        "delay": p50_p99(delays),
        "scrapes": num_scrapes,
        "missing tokens": sessions * tokens - len(delays),
    }


async def _scrape(port: int) -> int:
    """Scrape until cancelled, and return how often. Raises RuntimeError if it is refused."""
    count = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_GET)
            text = await reader.read(-1)
            writer.close()
            if not text.startswith(b"HTTP/1.1 200") or b"realtime_" not in text:
                raise RuntimeError(f"no metrics: {text[:200]!r}")
            count += 1
            await asyncio.sleep(EVERY_SECONDS)
    return count


async def _stop(scraper: asyncio.Task[int]) -> int:
    scraper.cancel()
    return await scraper


SCENARIO = Scenario(
    "A scrape of /metrics once a second, beside none",
    measure,
    {
        "full": {"sessions": 100, "tokens": 100, "repeats": 3},
        "quick": {"sessions": 50, "tokens": 50, "repeats": 1},
        "tiny": {"sessions": 2, "tokens": 10, "repeats": 1},
    },
    zero=("missing tokens",),
    counted="sessions",
)
