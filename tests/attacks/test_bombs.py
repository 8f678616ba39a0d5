"""Bombs on the scripted engine: all at once through every door, beside a witness who must not miss anything."""

from __future__ import annotations

import json

from realtime.engine.scripted import RandomScript
from tests.support.http import http
from tests.support.server import Client, running
from tests.support.steps import engine_holds, until

from .arena import Arena
from .bombs import BOMBS, bombard
from .floods import pings
from .oracle import Event

STORIES = RandomScript(seed=6, min_tokens=200, max_tokens=200)


async def hear_all(arena: Arena, client: Client) -> Event:
    """The one response of this socket, to its end."""
    reader = None
    while reader is None or not reader.over:
        raw = await client.receive_raw()
        event = json.loads(raw)
        if "response_id" in event:
            reader = reader or arena.oracle.reader(event["response_id"], who="the witness")
            reader.hear(raw.encode())
    final = arena.oracle.close(reader.response_id)
    assert final is not None
    return final


async def test_every_bomb_is_refused_by_name_or_served_and_the_witness_is_told_all() -> None:
    async with running(STORIES, tick_seconds=0.001, max_num_seqs=32) as server, http(server) as client:
        arena = Arena(server.port)
        async with server.client(native=True) as witness:
            await witness.send("response.create", input="witness")
            await bombard(arena, lambda: True, at_once=6)
            assert (await hear_all(arena, witness))["status"] == "completed"
        assert (arena.oracle.faults, arena.tally.wrong) == ([], [])
        assert arena.tally["bombs"] == 2 * len(BOMBS)
        assert (await client.get("/health")).status_code == 200
        assert engine_holds(server) == 0


async def test_a_flood_of_pings_is_answered_or_ended_and_the_witness_is_told_all() -> None:
    async with running(STORIES, tick_seconds=0.001) as server, server.client(native=True) as witness:
        arena = Arena(server.port)
        await witness.send("response.create", input="witness")
        await pings(arena, lambda: arena.tally["pings"] >= 20_000)
        assert (await hear_all(arena, witness))["status"] == "completed"
        assert (arena.oracle.faults, arena.tally.wrong) == ([], [])
        await until(lambda: server.open_connections == 1, "the flooders to be gone")
