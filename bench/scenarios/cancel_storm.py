"""Thousands of cancels, in every phase that the scripted engine has; each must have its receipt."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ..measure import CpuMeter, p50_p99
from ..servers import Server
from .client import Reader, body, readers
from .scenario import Scenario

PHASES = {"accepted": 0, "first token": 1, "text": 4}  # by the deltas that were read before
ENDLESS = 2048
RECEIPT = {"tokens_generated", "tokens_delivered", "abort_ms"}


async def measure(server: Server, sockets: int, cancels: int) -> dict[str, Any]:
    """Make `cancels` cancels in all, on so many sockets, which take turns through the phases."""
    took: dict[str, list[float]] = {phase: [] for phase in PHASES}
    whole, wrong = 0, 0

    async def cancel_again_and_again(reader: Reader, number: int) -> None:
        nonlocal whole, wrong
        for turn in range(cancels // sockets):
            phase = list(PHASES)[(number + turn) % len(PHASES)]
            await reader.begin(**body("a story without an end", ENDLESS))
            await reader.read(deltas=PHASES[phase])
            began = time.perf_counter()
            await reader.send("response.cancel", response_id=reader.response_id)
            await reader.read()
            took[phase].append(time.perf_counter() - began)
            whole += reader.terminal is None or reader.terminal["response"]["status"] != "cancelled"
            wrong += not _has_receipt(reader.terminal)

    async with readers(server, sockets) as all_readers:
        meter, began = CpuMeter(server.pid), time.perf_counter()
        await asyncio.gather(*(cancel_again_and_again(reader, number) for number, reader in enumerate(all_readers)))
        wall = time.perf_counter() - began
    done = sum(map(len, took.values()))
    return {
        "cancels": done,
        "not cancelled": whole,
        "without a receipt": wrong,
        "cancels per second": round(done / wall, 1),
        "server CPU us per create and cancel": round(meter.spent()["front_end"] / done * 1e6),
        "cancel to terminal": {phase: p50_p99(times) for phase, times in took.items()},
    }


def _has_receipt(terminal: dict[str, Any] | None) -> bool:
    return terminal is not None and terminal["response"].get("cancel", {}).keys() >= RECEIPT


SCENARIO = Scenario(
    "Cancel storm: cancels in every phase",
    measure,
    {
        "full": {"sockets": 250, "cancels": 10_000},
        "quick": {"sockets": 50, "cancels": 200},
        "tiny": {"sockets": 3, "cancels": 9},
        "real": {"sockets": 20, "cancels": 60},
    },
    zero=("not cancelled", "without a receipt"),
    counted="cancels",
)
