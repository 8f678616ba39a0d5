"""Sessions with several responses at once: lanes, queues, limits. Each public coroutine is one."""

from __future__ import annotations

from tests.support.recorded_session import playing
from tests.support.recording import Recording


async def lanes_beside_each_other(recording: Recording) -> None:
    """Three lanes on one socket, each of its own length."""
    async with playing(recording, ("a", "b", "c"), ("d", "e"), ("f",)) as stage, stage.socket() as ws:
        await ws.begin("one")
        await ws.begin("two", stream_id="left", holds=2)
        await ws.begin("three", stream_id="right", holds=3)
        await stage.step(holds=3)
        for _ in range(3):
            await ws.until("response.output_text.delta")
        for holds in (3, 2, 1):
            await stage.step(holds=holds)
            await ws.until_done()


async def a_lane_in_order(recording: Recording) -> None:
    """Creates that were sent at once run one after another; one continues the one before it."""
    async with playing(recording, ("a",), ("b",), ("c",)) as stage, stage.socket() as ws:
        response_id = await ws.begin("one", stream_id="a")
        await ws.send("response.create", input="two", stream_id="a", previous_response_id=response_id)
        await ws.send("response.create", input="elsewhere", stream_id="b", previous_response_id=response_id)
        await ws.receive()
        await ws.send("response.create", input="three", stream_id="a")
        await ws.answer(3)


async def forks(recording: Recording) -> None:
    """Two continuations of one response, in lanes of their own."""
    async with playing(recording, ("root",), ("a",), ("b",)) as stage, stage.socket() as ws:
        last = await ws.create("hi")
        await ws.follow(last, "left", stream_id="left")
        await ws.follow(last, "right", stream_id="right")


async def queued(recording: Recording) -> None:
    """A response that must wait says so; a full server refuses; so does a full connection."""
    settings = {"max_running_responses": 1, "max_waiting_responses": 1, "max_queued_per_connection": 1}
    async with (
        playing(recording, ("a",), ("b",), settings=settings) as stage,
        stage.socket() as ws,
        stage.socket("other") as other,
    ):
        await ws.begin()
        await other.send("response.create", input="hi")
        await other.until("response.queued")
        await ws.send("response.create", input="hi", stream_id="c", event_id="mine")
        await ws.receive()
        for event_id in ("waits", "one too many"):
            await ws.send("response.create", input="hi", event_id=event_id)
        await ws.receive()
        await stage.step(2)
        await ws.until_done()
        await other.until("response.in_progress")
        await ws.until("response.queued")
        await stage.step(2)
        await other.until_done()
        await ws.answer()


async def too_many_lanes(recording: Recording) -> None:
    """Distinct lanes are counted, the default one is not."""
    settings = {"max_streams_per_connection": 1}
    async with playing(recording, settings=settings) as stage, stage.socket() as ws:
        await ws.create(stream_id="a")
        await ws.create(stream_id="b")
        await ws.create(stream_id="a")
        await ws.create()
        for bad in ("", "a b", "x" * 257, 5):
            await ws.create(stream_id=bad)


async def an_old_connection(recording: Recording) -> None:
    """It starts nothing more and is closed."""
    settings = {"connection_lifetime_seconds": 1e-9}
    async with playing(recording, settings=settings) as stage, stage.socket() as ws:
        await ws.create(stream_id="lane")
        await ws.closed()
