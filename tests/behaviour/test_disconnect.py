"""What becomes of a response when its readers go, and of the server when a peer is half dead."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.server import websocket_transport as transport
from tests.support.raw import PING, RawSocket, frame, text
from tests.support.server import Client, Running, changed, running, sink_of
from tests.support.steps import begin, cut, engine_holds, finish, resume, take, until
from tests.support.transcript import assert_error, check

LONG = say(*["word "] * 1000)
LINGER = {"policy": "linger", "seconds": 3600}


async def gone(server: Running, count: int = 0) -> None:
    """Wait until the server has noticed that sockets are gone."""
    await until(lambda: server.gateway.admission.num_connections == count, "the server to notice the lost socket")
    await asyncio.sleep(0)


async def close(client: Client) -> None:
    await client.connection.close()


@pytest.mark.parametrize("leave", [cut, close])
@pytest.mark.parametrize("policy", [None, {"policy": "cancel"}])
async def test_a_plain_clients_loss_frees_the_engine(leave: Any, policy: Any) -> None:
    async with running(LONG, tick_seconds=None) as server:
        async with server.client() as client:
            ids = [await begin(client, stream_id=lane, on_disconnect=policy) for lane in ("a", "b")]
            await client.send("response.create", input="queued in its lane", stream_id="a")
            server.engine.step(3)
            await leave(client)
        await until(lambda: engine_holds(server) == 0, "the engine to be free")
        assert server.gateway.service.num_running == 0
        async with server.client() as client:
            for response_id in ids:
                await resume(client, response_id)
                final = check(await client.until_done())
                assert final["status"] == "cancelled"
                assert final["incomplete_details"] == {"reason": "client_disconnected"}


@pytest.mark.parametrize("native", [False, True])
async def test_cancel_can_be_asked_for_by_everybody(native: bool) -> None:
    async with running(LONG, tick_seconds=None) as server:
        async with server.client(native=native) as client:
            await begin(client, on_disconnect={"policy": "cancel"})
        await until(lambda: server.gateway.service.num_running == 0)


async def test_a_native_client_lingers_by_default() -> None:
    async with running(LONG, tick_seconds=None) as server:
        loop = asyncio.get_running_loop()
        async with server.client(native=True) as client:
            response_id = await begin(client)
            before = loop.time()
            await cut(client)
        await gone(server)
        run = server.gateway.service.registry.running[response_id]
        lonely: Any = run.audience.lonely  # uvloop's timer
        earliest, at, latest = (round(seconds * 1000) for seconds in (before, lonely.when(), loop.time()))
        assert earliest + 30_000 <= at <= latest + 30_000, "in milliseconds, which the loop's clock counts exactly"
        server.engine.step(3)
        assert engine_holds(server) == 1
        async with server.client(native=True) as client:
            await resume(client, response_id)
            await until(lambda: run.audience.lonely is None)
            await finish(server)
            assert check(await client.until_done())["status"] == "completed"


async def test_lingering_ends_with_a_cancel_when_nobody_comes_back() -> None:
    async with running(LONG, tick_seconds=None) as server:
        async with server.client(native=True) as client:
            response_id = await begin(client, on_disconnect={"policy": "linger", "seconds": 0.05})  # really waited for
            await cut(client)
        await until(lambda: engine_holds(server) == 0)
        async with server.client() as client:
            await resume(client, response_id)
            final = check(await client.until_done())
            assert final["incomplete_details"] == {"reason": "client_disconnected"}


async def test_every_loss_starts_the_time_anew_and_the_end_stops_it() -> None:
    async with running(LONG, tick_seconds=None) as server:
        async with server.client(native=True) as client:
            response_id = await begin(client, on_disconnect=LINGER)
            await cut(client)
        run = server.gateway.service.registry.running[response_id]
        await gone(server)
        timers: list[Any] = [run.audience.lonely]  # uvloop's
        for _ in range(3):
            async with server.client() as client:
                await resume(client, response_id)
                assert run.audience.lonely is None
                assert timers[-1] is not None
                assert timers[-1].cancelled()
                await cut(client)
            await gone(server)
            timers.append(run.audience.lonely)
        assert len(set(timers)) == 4
        await finish(server)
        assert timers[-1] is not None
        assert timers[-1].cancelled(), "the response is over"


async def test_continue_finishes_without_a_reader() -> None:
    async with running(say("a", "b"), tick_seconds=None) as server:
        async with server.client() as client:
            response_id = await begin(client, on_disconnect={"policy": "continue"})
            await cut(client)
        await gone(server)
        assert server.gateway.service.registry.running[response_id].audience.lonely is None
        await finish(server)
        async with server.client() as client:
            await resume(client, response_id)
            assert check(await client.until_done())["status"] == "completed"


@pytest.mark.parametrize("native", [False, True])
async def test_a_detached_response_goes_on_and_its_lane_is_free(native: bool) -> None:
    async with running(say("a", "b"), tick_seconds=None) as server:
        async with server.client(native=native) as client:
            first = await begin(client)
            await client.send("response.detach", response_id=first)
            second = await begin(client)
            assert second != first
            server.engine.step()
            assert {(await client.receive())["response_id"] for _ in range(3)} == {second}
            await cut(client)
        await gone(server)
        assert not server.gateway.service.registry.running[first].audience.watchers
        await finish(server)
        async with server.client() as client:
            await resume(client, first)
            assert check(await client.until_done())["status"] == "completed"


async def test_only_the_last_of_two_readers_takes_the_response_with_it() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as author:
        response_id = await begin(author)
        async with server.client() as reader:
            await resume(reader, response_id)
            await cut(author)
            await gone(server, 1)
            server.engine.step()
            await take(reader, 5)
            assert engine_holds(server) == 1
            await cut(reader)
        await until(lambda: server.gateway.service.num_running == 0)


async def test_a_reader_that_leaves_does_not_take_the_response_from_its_author() -> None:
    async with running(say("a"), tick_seconds=None) as server, server.client() as author:
        response_id = await begin(author)
        for leave in (cut, close):
            async with server.client() as reader:
                await resume(reader, response_id)
                await leave(reader)
            await gone(server, 1)
        await finish(server)
        assert (await author.until_done())[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    ("policy", "param"),
    [
        ({"policy": "linger", "seconds": 3601}, "on_disconnect.seconds"),
        ({"policy": "linger", "seconds": 1e308}, "on_disconnect.seconds"),
        ({"policy": "linger", "seconds": -1}, "on_disconnect.seconds"),
        ({"policy": "linger", "seconds": "5"}, "on_disconnect.seconds"),
        ({"policy": "stay"}, "on_disconnect.policy"),
        ({"seconds": 5}, "on_disconnect.policy"),
        ("continue", "on_disconnect"),
    ],
)
async def test_a_policy_that_can_not_be_is_named(policy: Any, param: str) -> None:
    async with running(LONG) as server, server.client() as client:
        [refusal] = await client.create(on_disconnect=policy)
        assert_error(refusal, "invalid_request", 400, param=param)


# half-open peers


def buffered(server: Running) -> int:
    """Bytes that the server holds for its sockets beyond the kernel's buffers."""
    return max(sink_of(shell).transport.get_write_buffer_size() for shell in server.gateway.sockets.shells)


BIG = say(*["x" * 20_000] * 200)  # 4 MB


async def test_a_peer_that_stops_reading_costs_little_and_harms_no_other() -> None:
    async with running(BIG, tick_seconds=None, max_num_seqs=2) as server:
        deaf = await RawSocket.upgraded(server.port, receive_buffer=32768)
        await deaf.send(text(type="response.create", input="hi"))
        await until(lambda: engine_holds(server) == 1)
        async with server.client() as other:
            await begin(other)
            for _ in range(150):
                server.engine.step()
                await asyncio.sleep(0)
                assert buffered(server) < 400_000
            await finish(server)
            assert (await other.until_done())[-1]["type"] == "response.completed"
        # and it can read on at its own time: nothing is missing
        numbers = []
        while not (event := await deaf.event())["done"]:
            numbers.append(event["sequence_number"])
        assert numbers == list(range(event["sequence_number"]))
        assert event["type"] == "response.completed"
        deaf.close()


async def test_a_peer_that_pings_and_never_reads_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_IDLE_FRAMES", 1_000_000)
    async with running(BIG) as server:
        deaf = await RawSocket.upgraded(server.port, receive_buffer=32768)
        for _ in range(200):
            await deaf.send(frame(PING, b"p" * 125) * 250)
            await asyncio.sleep(0)
            assert buffered(server) < 400_000
        deaf.close()


async def test_the_last_ping_is_answered_when_a_slow_peer_reads_again() -> None:
    async with running(BIG, tick_seconds=None) as server:
        slow = await RawSocket.upgraded(server.port)
        [shell] = server.gateway.sockets.shells
        sink_of(shell).pause_writing()
        for number in range(5):
            await slow.send(frame(PING, b"%d" % number))
        await slow.send(text(type="response.create", input="hi"))
        await until(lambda: engine_holds(server) == 1)
        sink_of(shell).resume_writing()
        assert await slow.frame() == (10, b"4")
        assert (await slow.event())["type"] == "response.created"
        slow.close()


@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_peer_that_reads_nothing_and_answers_no_ping_is_cut_off(
    half_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Really waited for: these are timers of the event loop.
    monkeypatch.setattr(transport, "CLOSE_SECONDS", 0.05)
    seconds = 3600 if half_closed else 0.05  # who says that it is gone is believed at once
    settings = changed(ping_interval_seconds=seconds, ping_timeout_seconds=0.05)
    async with running(BIG, settings, tick_seconds=None) as server:
        deaf = await RawSocket.upgraded(server.port, receive_buffer=32768)
        await deaf.send(text(type="response.create", input="hi"))
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(190)
        if half_closed:
            deaf.end_of_sending()
        await until(lambda: server.gateway.admission.num_connections == 0, "the dead peer to be given up")
        await until(lambda: server.gateway.service.num_running == 0)
        assert engine_holds(server) == 0
        await until(lambda: not server.open_connections, "the TCP connection to be closed")
        deaf.close()


async def test_a_living_peer_is_not_cut_off_however_quiet() -> None:
    settings = changed(ping_interval_seconds=0.02, ping_timeout_seconds=5)
    async with running(LONG, settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        await asyncio.sleep(0.2)  # ten pings, all answered by the library
        server.engine.step()
        assert (await client.receive())["type"] == "response.output_item.added"


async def test_a_closing_peer_that_never_reads_does_not_keep_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CLOSE_SECONDS", 0.05)  # really waited for
    async with running(BIG, tick_seconds=None) as server:
        deaf = await RawSocket.upgraded(server.port, receive_buffer=32768)
        await deaf.send(text(type="response.create", input="hi"))
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(190)
        await deaf.send(frame(8, b"\x03\xe8"))
        await until(lambda: server.gateway.admission.num_connections == 0)
        await until(lambda: not server.open_connections, "the TCP connection to be closed")
        deaf.close()
