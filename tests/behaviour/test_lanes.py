"""Lanes on a socket: order in each, several beside each other, and their limits."""

from __future__ import annotations

import asyncio
from typing import Any

from realtime.engine.scripted import say
from tests.support.server import changed, running
from tests.support.steps import begin
from tests.support.transcript import assert_error, check


async def test_lanes_run_beside_each_other_and_a_lane_runs_in_order() -> None:
    order: list[str | None] = []
    async with running(say("a", "b"), tick_seconds=None) as server, server.client() as client:
        for text, lane in [("1", None), ("2", None), ("3", "left"), ("4", "right")]:
            members = {} if lane is None else {"stream_id": lane}
            await client.send("response.create", input=text, **members)
        started: list[dict[str, Any]] = []
        while len(started) < 3:
            event = await client.receive()
            started += [event] if event["type"] == "response.in_progress" else []
        assert [event.get("stream_id") for event in started] == [None, "left", "right"], "2 waits for 1"
        assert server.engine.stats().num_running + server.engine.stats().num_waiting == 3
        server.engine.step(3)
        while len(order) < 4:
            event = await client.receive()
            if event["type"] == "response.in_progress":
                asyncio.get_running_loop().call_soon(server.engine.step, 3)
            if event["done"]:
                order.append(event.get("stream_id"))
    assert sorted(order[:3], key=str) == [None, "left", "right"]
    assert order[3] is None


async def test_only_the_default_lane_has_no_stream_id() -> None:
    async with running(say("a")) as server, server.client() as client:
        for lane in ("x", "A_b-c.9", "y" * 256):
            assert {event["stream_id"] for event in await client.create(stream_id=lane)} == {lane}
        for events in (await client.create(), await client.create(stream_id=None)):
            assert not any("stream_id" in event for event in events)


async def test_more_responses_than_run_at_once_are_queued_not_refused() -> None:
    settings = changed(max_in_flight_per_connection=3)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        for lane in range(7):
            await client.send("response.create", input="hi", stream_id=f"s{lane}")
        finished: list[str] = []
        most = 0
        while len(finished) < 7:
            event = await client.receive()
            most = max(most, server.gateway.service.num_running)
            if event["type"] == "response.in_progress":
                asyncio.get_running_loop().call_soon(server.engine.step, 2)
            if event["done"]:
                finished.append(event["stream_id"])
    assert most == 3
    assert sorted(finished) == [f"s{lane}" for lane in range(7)]


async def test_the_limit_of_queued_requests_is_told() -> None:
    settings = changed(max_queued_per_connection=2)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        for index in range(3):
            await client.send("response.create", input="hi", event_id=f"e{index}")
        event = await client.receive()
        assert_error(event, "too_many_queued_requests", 429, retry=True)
        assert event["event_id"] == "e2"


async def test_the_limit_of_distinct_stream_ids_is_told_on_the_lane_and_kept() -> None:
    async with running(say("a")) as server, server.client() as client:
        for lane in range(32):
            assert check(await client.create(stream_id=f"s{lane}", generate=False))
        [refusal] = await client.create(stream_id="s32")
        assert_error(refusal, "websocket_stream_limit_reached", 400, param="stream_id")
        assert refusal["stream_id"] == "s32"
        assert check(await client.create(stream_id="s0"))["status"] == "completed"
        assert check(await client.create())["status"] == "completed", "the default lane is not counted"


async def test_an_old_connection_starts_nothing_more_and_finishes_what_runs() -> None:
    settings = changed(connection_lifetime_seconds=1e-9)
    async with running(say("a"), settings) as server, server.client() as client:
        [refusal] = await client.create(stream_id="lane")
        assert_error(refusal, "websocket_connection_limit_reached", 400)
        assert "stream_id" not in refusal
        await client.connection.wait_closed()
        assert client.connection.close_code == 1012
