"""A real server that is killed in the moment in which an end was told: whoever had it has it afterwards, byte for byte,
and what nobody had the end of goes on.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.long import effort
from tests.support.process import ServerProcess, serve
from tests.support.server import Client, dial

NUM_ANSWERS = 6
LONG: dict[str, Any] = {"max_output_tokens": 4000, "ignore_eos": True, "on_disconnect": {"policy": "continue"}}
STOPS = ("response.cancel", "response.interrupt", "POST")


async def _stop(how: str, client: Client, http: httpx2.AsyncClient, response_id: str) -> None:
    if how == "POST":
        answer = await http.post(f"/responses/{response_id}/cancel")
        assert answer.json()["status"] == "cancelled"
    else:
        await client.send(how, response_id=response_id)


async def _until(client: Client, had: dict[str, list[bytes]], until: str) -> None:
    """Take events until the end of this response."""
    while True:
        raw = await client.receive_raw()
        event = json.loads(raw)
        if event["type"] == "error":
            raise AssertionError(event)
        had[event["response_id"]].append(raw.encode())
        if event["done"] and event["response_id"] == until:
            return


async def _ends(process: ServerProcess, address: str, rng: random.Random) -> dict[str, list[bytes]]:
    """Have answers stopped, and the server killed with the end of one of them. Return what was read of each."""
    async with (
        dial(f"ws://{address}/v1/responses", native=True) as client,
        httpx2.AsyncClient(base_url=f"http://{address}/v1", timeout=60, trust_env=False) as http,
    ):
        had: dict[str, list[bytes]] = {}
        for number in range(NUM_ANSWERS):
            await client.send("response.create", input=f"{number}", stream_id=f"{number}", seed=number, **LONG)
            while True:
                raw = await client.receive_raw()
                event = json.loads(raw)
                had.setdefault(event["response_id"], []).append(raw.encode())
                if event["type"] == "response.created":
                    break
        order = rng.sample(list(had), NUM_ANSWERS)
        for response_id in order[: rng.randint(1, NUM_ANSWERS)]:
            await asyncio.sleep(rng.choice([0, 0, 0.005, 0.05]) * rng.random())  # a moment of its own, whichever
            await _stop(rng.choice(STOPS), client, http, response_id)
            await _until(client, had, response_id)
        process.send(signal.SIGKILL)
        await process.end()
    return had


async def _all(client: Client, response_id: str) -> list[bytes]:
    await client.send("response.resume", response_id=response_id, starting_after=-1)
    assert (await client.receive())["type"] == "response.resumed"
    events: list[bytes] = []
    while not (events and json.loads(events[-1])["done"]):
        events.append((await client.receive_raw()).encode())
    return events


@pytest.mark.parametrize("seed", range(effort(3, 40)))
async def test_an_end_that_was_told_is_there_after_a_kill(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    arguments = "--engine", "scripted", "--store", f"sqlite:{tmp_path}/store.db"
    async with serve(*arguments) as process:
        had = await _ends(process, await process.ready(), rng)
    told = {one: events for one, events in had.items() if json.loads(events[-1])["done"]}
    assert told
    async with serve(*arguments) as process:
        address = await process.ready()
        async with dial(f"ws://{address}/v1/responses", native=True) as client:
            for response_id, events in told.items():
                assert await _all(client, response_id) == events
        async with httpx2.AsyncClient(base_url=f"http://{address}/v1", timeout=60, trust_env=False) as http:
            for response_id in had.keys() - told.keys():
                shown = (await http.get(f"/responses/{response_id}")).json()
                assert shown["status"] in ("queued", "in_progress", "completed"), "it goes on"
