"""Answers of a real model whose server is killed in the middle of them, several at once (`make check-long`: each round
loads the model twice).
"""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.long import LONG
from tests.support.process import serve
from tests.support.server import Client, dial

pytestmark = [pytest.mark.vllm, pytest.mark.skipif(not LONG, reason="REALTIME_LONG=1 only: it takes minutes")]

ENDLESS = {"max_output_tokens": 200, "ignore_eos": True}
SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}, "minItems": 20}}}
FORMAT = {"format": {"type": "json_schema", "name": "n", "schema": {**SCHEMA, "required": ["a"]}}}
ASKED: dict[str, dict[str, Any]] = {
    "greedy": {"input": "what is 2 + 3?", "temperature": 0, "frequency_penalty": 0.5, **ENDLESS},
    "seeded": {"input": "Tell me a long story about a fox.", "temperature": 1, "seed": 7, **ENDLESS},
    "stop": {"input": "Tell me a story.", "temperature": 1, "seed": 8, "stop": ["zzz", "the end of"], **ENDLESS},
    "schema": {"input": "Numbers, as JSON.", "temperature": 1, "seed": 9, "max_output_tokens": 200, "text": FORMAT},
    "reasoning": {"input": "Why?", "seed": 3, "temperature": 1, "include": ["reasoning.content"], **ENDLESS},
}


async def all_of(client: Client, number: int) -> dict[str, list[dict[str, Any]]]:
    """The events of so many responses, by their lanes, up to the end of each."""
    found: dict[str, list[dict[str, Any]]] = {}
    while number:
        event = await client.receive(300)
        if "response_id" in event:
            found.setdefault(event["stream_id"], []).append(event)
            number -= event["done"]
    return found


def said(response: dict[str, Any]) -> Any:
    """What two runs of the same request have in common."""
    items = [{name: value for name, value in item.items() if name != "id"} for item in response["output"]]
    usage = response["usage"]
    return response["status"], response["incomplete_details"], items, usage["input_tokens"], usage["output_tokens"]


@pytest.mark.parametrize("seed", range(3))
async def test_the_rest_is_what_it_would_have_been(seed: int, tmp_path: Path) -> None:
    store, cut = ("--store", f"sqlite:{tmp_path}/store.db"), random.Random(seed).randint(10, 120)
    async with serve(*store) as process:
        async with dial(f"ws://{await process.ready()}/v1/responses", native=True) as client:
            for name, asked in ASKED.items():
                await client.send("response.create", stream_id=name, **asked)
            whole = await all_of(client, len(ASKED))
            for name, asked in ASKED.items():
                await client.send("response.create", stream_id=name, **asked)
            seen: dict[str, list[dict[str, Any]]] = {name: [] for name in ASKED}
            while max(map(len, seen.values())) < cut:
                event = await client.receive(300)
                if "response_id" in event:
                    seen[event["stream_id"]].append(event)
            process.send(signal.SIGKILL)
        await process.end()
    async with serve(*store) as process, dial(f"ws://{await process.ready()}/v1/responses", native=True) as client:
        running = {name: events for name, events in seen.items() if not events[-1]["done"]}
        for events in running.values():
            place = {"starting_after": events[-1]["sequence_number"], "epoch": events[0]["epoch"]}
            await client.send("response.resume", response_id=events[0]["response_id"], **place)
        rest = await all_of(client, len(running))
    for name, events in running.items():
        events += rest[name]
        assert [event["sequence_number"] for event in events] == list(range(len(events))), name
        last = events[-1]["response"]
        assert last["recovery"]["kind"] == "exact", (name, last["error"])
        assert said(last) == said(whole[name][-1]["response"]), name
