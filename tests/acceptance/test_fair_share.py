"""One tenant's flood on the real engine: another's first token waits for what runs at most, and not for what waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from realtime.engine.options import VllmOptions
from tests.support.long import effort
from tests.support.real import hosting
from tests.support.server import Client, changed, dial
from tests.support.steps import make_keys

pytestmark = pytest.mark.vllm

FLOOD = effort(32, 100)
PLACES = 8
BEFORE_FIRST_TOKEN = {"response.created", "response.queued", "response.in_progress"}
LONG = {"input": " ".join(map(str, range(300))), "max_output_tokens": 200, "ignore_eos": True}


def test_a_flood_of_one_tenant_is_not_anothers(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "greedy", "other")
    settings = changed(
        api_keys_file=str(tmp_path / "keys.json"), max_running_responses=PLACES, max_streams_per_connection=FLOOD,
        max_in_flight_per_connection=FLOOD,
    )  # fmt: skip
    with hosting(VllmOptions(), settings) as server:
        asyncio.run(_flooded(server.url, keys))


async def _flooded(url: str, keys: dict[str, str]) -> None:
    seen: Counter[str] = Counter()
    all_here = asyncio.Event()

    async def read(client: Client) -> None:
        while True:
            seen[(await client.receive())["type"]] += 1
            if seen["response.created"] == FLOOD:
                all_here.set()

    async with dial(url, key=keys["greedy"]) as greedy, dial(url, key=keys["other"]) as other:
        reading = asyncio.create_task(read(greedy))
        for lane in range(FLOOD):
            await greedy.send("response.create", stream_id=str(lane), **LONG)
        await all_here.wait()
        before = seen["response.completed"]
        await other.send("response.create", input="Say hello.", max_output_tokens=8)
        kinds: list[str] = []
        while not kinds or kinds[-1] in BEFORE_FIRST_TOKEN:
            kinds.append((await other.receive())["type"])
        assert "response.queued" not in kinds, "it had a place at once"
        assert seen["response.completed"] - before <= PLACES, "it waited for none that waited"
        assert seen["response.completed"] < FLOOD // 2
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
