"""Sessions in which a response is followed again: resumed, detached, asked for twice. Each public coroutine is one."""

from __future__ import annotations

from typing import Any

from tests.support.recorded_session import RESPONSES, playing
from tests.support.recording import Recording

WORDS = tuple(f"word{number} " for number in range(4))
KEEP: dict[str, Any] = {"on_disconnect": {"policy": "continue"}}


async def resume_in_the_middle(recording: Recording) -> None:
    """A socket is cut, another one takes up where it was, in time and after the end."""
    async with playing(recording, WORDS) as stage:
        async with stage.socket() as ws:
            await ws.send("response.create", input="hi", **KEEP)
            created = await ws.receive()
            await stage.step()
            delta = await ws.until("response.output_text.delta")
            await ws.cut()
        await stage.alone()
        response_id, epoch = created["response_id"], created["epoch"]
        async with stage.socket(native=True) as native:
            after = delta["sequence_number"]
            await native.send("response.resume", response_id=response_id, starting_after=after, epoch=epoch)
            await native.until("response.resumed")
            await native.answer()
        async with stage.socket("late") as late:
            await late.send("response.resume", response_id=response_id)
            await late.until_done()
            await late.send("response.resume", response_id=response_id, starting_after=10)
            await late.receive()
            await late.until_done()


async def resume_by_stream(recording: Recording) -> None:
    """The same over HTTP: with `starting_after`, with `Last-Event-ID`, live."""
    async with playing(recording, WORDS) as stage, stage.http() as http, stage.http("other") as other:
        async with http.stream(body={"input": "hi", "stream": True, **KEEP}) as stream:
            response_id = (await stream.until("response.in_progress"))["response_id"]
            await stage.step(2)
            await stream.until("response.output_text.delta")
        await stage.alone()
        path = f"{RESPONSES}/{response_id}?stream=true"
        async with other.stream("GET", f"{path}&starting_after=4") as stream:
            await stream.until("response.output_text.delta")
            async with stage.ticking():
                await stream.rest()
        await http.ask("GET", path, headers={"last-event-id": "9"})
        await http.ask("GET", f"{path}&starting_after=99")
        await http.ask("GET", f"{path}&starting_after=x")
        await http.ask("GET", f"{RESPONSES}/resp_unknown?stream=true")


async def resume_of_a_socket_by_stream(recording: Recording) -> None:
    """A response of a socket, read over HTTP while it runs."""
    async with playing(recording, WORDS) as stage, stage.socket() as ws, stage.http() as http:
        response_id = await ws.begin()
        async with http.stream("GET", f"{RESPONSES}/{response_id}?stream=true") as stream:
            await stream.until("response.in_progress")
            await stage.step(1)
            await stream.until("response.output_text.delta")
            async with stage.ticking():
                await stream.rest()
        await ws.until_done()


async def resume_refused(recording: Recording) -> None:
    """Another epoch, a cursor ahead, malformed members, an unknown response; what the log has dropped."""
    async with playing(recording, WORDS) as stage, stage.socket() as ws, stage.socket("other") as other:
        response_id = await ws.begin()
        for members in (
            {"epoch": "epoch_other"}, {"starting_after": 9}, {"starting_after": -2}, {"starting_after": "1"},
            {"response_id": "resp_unknown"}, {"response_id": None}, {"epoch": 5},
        ):  # fmt: skip
            await other.send("response.resume", **{"response_id": response_id, "event_id": "e", **members})
            await other.receive()
    settings = {"max_log_events": 50}
    async with playing(recording, ("a",) * 60, settings=settings) as stage, stage.http() as http:
        response = await http.create()
        await http.ask("GET", f"{RESPONSES}/{response['id']}?stream=true")


async def detach(recording: Recording) -> None:
    """The socket is sent no more, the response goes on, another one gets it whole."""
    async with playing(recording, WORDS) as stage, stage.socket() as ws, stage.http() as http:
        response_id = await ws.begin()
        await stage.step()
        await ws.until("response.output_text.delta")
        await ws.send("response.detach", response_id=response_id)
        await ws.send("response.detach", response_id=response_id, event_id="twice")
        await ws.receive()
        async with stage.ticking():
            await stage.idle()
        await ws.create("more", previous_response_id=response_id)
        await http.ask("GET", f"{RESPONSES}/{response_id}")
        await ws.send("response.resume", response_id=response_id, starting_after=5)
        await ws.until_done()


async def idempotent_create(recording: Recording) -> None:
    """The same request attaches, to what runs and to what is over; another body is a conflict."""
    async with (
        playing(recording, WORDS) as stage,
        stage.socket(native=True) as native,
        stage.socket("other") as other,
    ):
        await native.begin(request_id="r1")
        await other.send("response.create", input="hi", request_id="r1")
        await other.until("response.in_progress")
        await native.answer()
        await other.until_done()
        await other.create(request_id="r1", event_id="another")
        await other.create("ho", request_id="r1")


async def idempotent_http(recording: Recording) -> None:
    """The same by the header of HTTP; two names at once; a failed one is free again."""
    async with playing(recording, WORDS) as stage, stage.http() as http:
        await http.ask("POST", RESPONSES, {"input": "hi"}, headers={"idempotency-key": "k1"})
        await http.ask("POST", RESPONSES, {"input": "hi"}, headers={"idempotency-key": "k1"})
        await http.ask("POST", RESPONSES, {"input": "ho"}, headers={"idempotency-key": "k1"})
        await http.ask("POST", RESPONSES, {"input": "hi", "request_id": "k2"}, headers={"idempotency-key": "k1"})
        await http.ask("POST", RESPONSES, {"input": "x", "model": "nobody"}, headers={"idempotency-key": "k3"})
        await http.ask("POST", RESPONSES, {"input": "x"}, headers={"idempotency-key": "k3"})
