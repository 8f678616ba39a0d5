"""Tenants on the real engine: what one floods it with is not waited for by another, and two that wait all the time are
served alike. Counted are tokens, never times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from realtime.engine.options import VllmOptions
from realtime.service.scheduler import Prices, Used
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


PAIR = {  # a reads little and says much, b the other way round
    "a": {"input": "Tell me a story.", "max_output_tokens": 40, "ignore_eos": True},
    "b": {"input": " ".join(map(str, range(30))), "max_output_tokens": 12, "ignore_eos": True},
}
NUMBERS = {"a": effort(24, 60), "b": effort(40, 150)}
PLACES_OF_PAIR = 2


class Side(msgspec.Struct):
    """What one tenant has been served, as its client sees it: a response counts when it is over."""

    service: float = 0.0
    num_begun: int = 0
    waiting: set[str] = set()
    longest: int = 0  # tokens of its longest prompt


def test_two_that_wait_all_the_time_are_served_alike(tmp_path: Path) -> None:
    """Theorem 4.4 of the algorithm's paper (see service.scheduling.counters), by the tokens that came."""
    keys = make_keys(tmp_path / "keys.json", *PAIR)
    settings = changed(
        api_keys_file=str(tmp_path / "keys.json"), max_running_responses=PLACES_OF_PAIR, max_tenant_share=1.0,
        max_streams_per_connection=999, max_in_flight_per_connection=999, max_queued_per_connection=999,
    )  # fmt: skip
    with hosting(VllmOptions(), settings) as server:
        sides, differences = asyncio.run(_backlogged(server.url, keys))
    prices, output = Prices(), max(int(one["max_output_tokens"]) for one in PAIR.values())  # type: ignore[call-overload]
    longest = max(side.longest for side in sides.values())
    bound = 2 * max(prices.input * longest, prices.output * PLACES_OF_PAIR * (longest + output))
    unseen = PLACES_OF_PAIR * (prices.input * longest + prices.output * output)  # of what runs
    difference = max(differences) - min(differences)
    print(f"difference {difference:.0f}, bound {bound:.0f}, unseen {unseen:.0f}, served {sides}")
    assert min(side.service for side in sides.values()) > bound + 2 * unseen, "first come, first served is beyond it"
    assert difference <= bound + 2 * unseen


async def _backlogged(url: str, keys: dict[str, str]) -> tuple[dict[str, Side], list[float]]:
    sides = {name: Side() for name in PAIR}
    differences: list[float] = []

    async def ask(client: Client, name: str) -> None:
        for lane in range(NUMBERS[name]):
            await client.send(
                "response.create", stream_id=str(lane), **{**PAIR[name], "input": f"{lane} {PAIR[name]['input']}"}
            )

    async def read(client: Client, name: str) -> None:
        side = sides[name]
        for _ in iter(lambda: side.num_begun == NUMBERS[name] and not side.waiting, True):
            event = await client.receive()
            kind = event["type"]
            if kind == "response.queued":
                side.waiting.add(event["response"]["id"])
            elif kind == "response.in_progress":
                side.waiting.discard(event["response"]["id"])
                side.num_begun += 1
            if kind in ("response.completed", "response.incomplete"):
                usage = event["response"]["usage"]
                cached = usage["input_tokens_details"]["cached_tokens"]
                side.service += Prices().of(Used(usage["input_tokens"], cached, usage["output_tokens"]))
                side.longest = max(side.longest, usage["input_tokens"])
            if all(one.waiting for one in sides.values()):
                differences.append(sides["a"].service - sides["b"].service)

    async with dial(url, key=keys["a"]) as a, dial(url, key=keys["b"]) as b:
        await ask(a, "a")
        await ask(b, "b")
        await asyncio.gather(read(a, "a"), read(b, "b"))
    return sides, differences
