"""Merged catch-up over real sockets: few events, the same text, and nobody who asked for it is ever too slow."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.engine.scripted import say
from tests.support.http import http
from tests.support.merged import merge
from tests.support.server import Client, changed, running
from tests.support.steps import begin, finish
from tests.support.transcript import check

WORDS = [f"word{n} " for n in range(400)]


async def follow(client: Client, response_id: str, **members: Any) -> list[dict[str, Any]]:
    """Resume from the first event; what comes of the response until its end."""
    await client.send("response.resume", response_id=response_id, **members)
    return [event for event in await client.until_done(response_id) if event["type"] != "error"]


@pytest.mark.parametrize("native", [True, False], ids=["native", "plain"])
async def test_a_finished_answer_comes_in_nine_events(native: bool) -> None:
    async with running(say(*WORDS)) as server, server.client(native=native) as client:
        whole = await client.create()
        merged = await follow(client, whole[0]["response_id"], catch_up="merged")
        assert merged == merge(whole)
        assert len(merged) == 9
        assert await follow(client, whole[0]["response_id"]) == whole, "who does not ask gets the events as they were"


async def test_who_falls_behind_what_is_kept_reads_on_merged() -> None:
    settings = changed(max_log_bytes=20_000)
    async with running(say(*WORDS), settings, tick_seconds=None) as server, server.client(native=True) as client:
        response_id = await begin(client, catch_up="merged")
        server.engine.step(390)  # in one tick of the loop: no reader can keep up
        await finish(server)
        rest = await client.until_done(response_id)
        assert all(event["type"] != "error" for event in rest)
        assert "".join(event.get("delta", "") for event in rest) == "".join(WORDS)
        next_number = 2
        for event in rest:
            assert event.get("first_sequence_number", event["sequence_number"]) == next_number
            next_number = event["sequence_number"] + 1
        assert len(rest) < 80
        again = await follow(client, response_id, catch_up="merged")  # also of what is over, from the first event on
        assert "".join(event.get("delta", "") for event in again) == "".join(WORDS)
        assert again[0]["type"] == "response.created"


async def test_an_idempotent_create_attaches_however_it_wants_to_read() -> None:
    async with running(say(*WORDS)) as server, server.client(native=True) as client:
        whole = await client.create(request_id="r", stream_id="a")
        check(whole)
        merged = await client.create(request_id="r", stream_id="a", catch_up="merged")
        assert merged == merge(whole)
        assert len(merged) == 9


async def test_over_http_it_means_nothing() -> None:
    async with running(say("a", "b")) as server, server.client() as client, http(server) as over_http:
        made = (await over_http.post("/v1/responses", json={"input": "hi", "catch_up": "merged"})).json()
        assert made["status"] == "completed"
        assert len(await follow(client, made["id"])) == 10
