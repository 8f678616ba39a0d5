"""Sessions in which a response is stopped: by cancels of every kind, by a client that is gone. Each public coroutine is
one.
"""

from __future__ import annotations

from tests.support.recorded_session import RESPONSES, Socket, Stage, playing
from tests.support.recording import Recording

WORDS = tuple(f"word{number} " for number in range(9))


async def _spoken(stage: Stage, ws: Socket, count: int) -> str:
    """A response of which so many words have come."""
    response_id = await ws.begin()
    await stage.step(count)
    for _ in range(count):
        await ws.until("response.output_text.delta")
    return response_id


async def cancel_with_a_receipt(recording: Recording) -> None:
    """The terminal with what was made and delivered; the next turn holds what was said."""
    async with playing(recording, WORDS, ("ok",)) as stage, stage.socket() as ws:
        response_id = await _spoken(stage, ws, 3)
        await ws.send("response.cancel", response_id=response_id)
        await ws.follow(await ws.until_done(), "more")


async def cancel_through(recording: Recording) -> None:
    """What was not heard is in neither the output nor the history."""
    async with playing(recording, WORDS, ("ok",), WORDS) as stage, stage.socket() as ws:
        response_id = await _spoken(stage, ws, 5)
        await ws.send("response.cancel", response_id=response_id, through=6)
        await ws.follow(await ws.until_done(), "more")
        response_id = await _spoken(stage, ws, 2)
        await ws.send("response.cancel", response_id=response_id, through=99)
        await ws.receive()
        await ws.send("response.cancel", response_id=response_id, through=-1)
        await ws.until_done()


async def ack(recording: Recording) -> None:
    """What was acknowledged is what was heard; what was not sent can't be."""
    async with playing(recording, WORDS, ("ok",)) as stage, stage.socket(native=True) as native:
        response_id = await _spoken(stage, native, 4)
        await native.send("response.ack", response_id=response_id, through=99)
        await native.receive()
        for number in (4, 5, 3):
            await native.send("response.ack", response_id=response_id, through=number)
        await native.send("response.cancel", response_id=response_id)
        last = await native.until_done()
        await native.send("response.ack", response_id=response_id, through=0)
        await native.follow(last, "more")


async def cancel_by_lane(recording: Recording) -> None:
    """What runs in a lane, then what waits in it."""
    settings = {"max_in_flight_per_connection": 1}
    async with playing(recording, WORDS, settings=settings) as stage, stage.socket() as ws:
        await ws.begin()
        for event_id in ("e1", "e2"):
            await ws.send("response.create", input="hi", stream_id="lane", event_id=event_id)
        await ws.send("response.cancel", stream_id="lane")
        await ws.receive()
        await ws.receive()
        await ws.send("response.cancel")
        await ws.until_done()


async def cancel_of_what_waits(recording: Recording) -> None:
    """A queued response never reaches the engine."""
    settings = {"max_running_responses": 1}
    async with playing(recording, WORDS, settings=settings) as stage, stage.socket() as ws:
        await ws.begin(stream_id="a")
        await ws.send("response.create", input="hi", stream_id="b")
        queued = await ws.until("response.queued")
        await ws.send("response.cancel", response_id=queued["response_id"])
        await ws.until_done()


async def cancel_from_elsewhere(recording: Recording) -> None:
    """From another socket, which gets the terminal as well."""
    async with (
        playing(recording, WORDS) as stage,
        stage.socket() as ws,
        stage.socket(native=True) as native,
    ):
        response_id = await _spoken(stage, ws, 1)
        await native.send("response.cancel", response_id=response_id)
        await native.until_done()
        await ws.until_done()


async def cancel_over_http(recording: Recording) -> None:
    """A response in the background: cancelled, again, over otherwise, unknown."""
    async with playing(recording, WORDS) as stage, stage.http() as http:
        response = await http.ask("POST", RESPONSES, {"input": "hi", "background": True}, ticks=False)
        path = f"{RESPONSES}/{response['id']}"
        await stage.step(2)
        await http.ask("GET", path, ticks=False)
        await http.ask("POST", f"{path}/cancel", ticks=False)
        await http.ask("POST", f"{path}/cancel")
        response = await http.create()
        await http.ask("POST", f"{RESPONSES}/{response['id']}/cancel")
        await http.ask("POST", f"{RESPONSES}/resp_unknown/cancel")


async def cancel_refused(recording: Recording) -> None:
    """Over, unknown, nothing there, malformed. That its own are over is not told a plain client."""
    async with playing(recording) as stage, stage.socket() as ws:
        last = await ws.create()
        for members, answered in (
            ({"response_id": last["response_id"]}, False), ({"response_id": "resp_unknown"}, True), ({}, False),
            ({"stream_id": "never"}, True), ({"response_id": 5}, True),
        ):  # fmt: skip
            await ws.send("response.cancel", **members, event_id="e")
            if answered:
                await ws.receive()


async def a_plain_client_that_leaves(recording: Recording) -> None:
    """Its response is cancelled; what was made can be read."""
    async with playing(recording, WORDS) as stage, stage.http() as http:
        async with stage.socket() as ws:
            response_id = await _spoken(stage, ws, 2)
            await ws.cut()
        await stage.idle()
        await http.ask("GET", f"{RESPONSES}/{response_id}")


async def a_native_client_that_leaves(recording: Recording) -> None:
    """Its response lingers, and another socket takes it over."""
    async with playing(recording, WORDS) as stage:
        async with stage.socket(native=True) as native:
            response_id = await _spoken(stage, native, 2)
            await native.cut()
        await stage.alone()
        async with stage.socket("again", native=True) as again:
            await again.send("response.resume", response_id=response_id, starting_after=4)
            await again.until("response.resumed")
            await again.answer()
