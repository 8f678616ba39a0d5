"""The end: running answers are delivered, new work is refused, every socket is closed with 1012."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import httpx2
import msgspec
import pytest

from realtime.engine.scripted import say
from realtime.service.principal import LOCAL
from realtime.store.sqlite.stores import bounds_of, open_stores
from realtime.wire.requests import ResponseCreate
from tests.support.raw import RawSocket, handshake
from tests.support.server import Client, Running, changed, dial, running
from tests.support.steps import begin, engine_holds, finish, make_keys, until
from tests.support.transcript import assert_error, types

ROOT = Path(__file__).parents[2]


def drain(server: Running) -> asyncio.Task[None]:
    return asyncio.create_task(server.gateway.drain())


async def close_code(client: Client) -> int | None:
    await asyncio.wait_for(client.connection.wait_closed(), 120)
    return client.connection.close_code


async def test_what_runs_is_finished_and_what_is_idle_is_closed() -> None:
    async with (
        running(say("a", "b"), changed(max_in_flight_per_connection=1), tick_seconds=None) as server,
        server.client() as plain,
        server.client(native=True) as native,
        server.client() as idle,
    ):
        plain_id = await begin(plain)
        await plain.send("response.create", input="waits in its lane", event_id="waits")
        native_id = await begin(native, on_disconnect={"policy": "continue"})
        await until(lambda: any(shell._connection._creates.lanes.num_queued for shell in server.gateway.sockets.shells))
        draining = drain(server)
        assert await close_code(idle) == 1012
        event = await native.receive()
        assert (event["type"], event["grace_seconds"]) == ("session.draining", 30)
        refusal = await plain.receive()
        assert_error(refusal, "server_draining", 503, retry=True)
        assert refusal["event_id"] == "waits"
        for client in (plain, native):
            [refusal] = await client.create(stream_id="new")
            assert_error(refusal, "server_draining", 503, retry=True)
        raw = await RawSocket.open(server.port)
        await raw.send(handshake())
        status, headers, body = await raw.response()
        assert (status, b"server_draining" in body, headers["retry-after"]) == (503, True, "5")
        raw.close()
        async with httpx2.AsyncClient(trust_env=False) as http:
            ready = await http.get(f"{server.http}/ready")
            assert (ready.status_code, ready.json()["draining"]) == (503, True)
            assert (await http.get(f"{server.http}/health")).status_code == 200
        assert not draining.done()
        await finish(server)
        for client, response_id in ((plain, plain_id), (native, native_id)):
            events = await client.until_done()
            assert events[-1]["type"] == "response.completed"
            assert events[-1]["response_id"] == response_id
            assert await close_code(client) == 1012
        await draining


async def test_a_response_that_nobody_reads_is_finished_too() -> None:
    async with running(say("a", "b"), tick_seconds=None) as server:
        async with server.client() as client:
            await begin(client, on_disconnect={"policy": "continue"})
        await until(lambda: server.gateway.admission.num_connections == 0)
        draining = drain(server)
        await asyncio.sleep(0)
        assert not draining.done()
        await finish(server)
        await draining
        assert engine_holds(server) == 0


async def test_an_empty_server_drains_at_once() -> None:
    async with running(say("a")) as server:
        await drain(server)


async def test_after_the_grace_what_runs_fails_and_the_socket_is_closed() -> None:
    settings = changed(drain_seconds=0.05, max_running_responses=2)  # really waited for
    async with (
        running(say(*["a"] * 100), settings, tick_seconds=None) as server,
        server.client() as client,
        server.client(native=True) as native,
    ):
        await begin(client, stream_id="a")
        await begin(native)
        await client.send("response.create", input="hi", stream_id="b")
        assert types([await client.receive(), await client.receive()]) == ["created", "queued"]
        server.engine.step()
        await drain(server)
        ends = [(await client.until_done())[-1], (await client.until_done())[-1]]
        rest = await native.until_done()
        assert "session.draining" in [event["type"] for event in rest]
        ends.append(rest[-1])
        for event in ends:
            assert event["type"] == "response.failed"
            assert event["response"]["error"]["code"] == "server_error"
        assert await close_code(client) == 1012
        assert await close_code(native) == 1012
        assert engine_holds(server) == 0


async def test_a_response_that_has_only_just_been_created_ends_as_well() -> None:
    async with running(say("a"), tick_seconds=None) as server:
        service = server.gateway.service
        run = await service.create(LOCAL, ResponseCreate(), None, native=True)
        await service.shutdown()  # its task has not had its first step yet
        assert run.log.sealed
        assert service.num_running == 0


@pytest.mark.parametrize("answer_runs", [False, True])
async def test_sigterm_ends_the_process_in_peace(answer_runs: bool, tmp_path: Path) -> None:
    key = make_keys(tmp_path / "keys.json", "anna")["anna"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "realtime", "serve", "--engine", "scripted", "--port", "0",
        "--api-keys-file", str(tmp_path / "keys.json"), "--log-level", "debug",
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = ""
    try:
        async with asyncio.timeout(120):  # the interpreter has to start; guards against hanging only
            assert process.stderr is not None
            while not (found := re.search(r"ws://(127\.0\.0\.1:\d+)/v1/responses", said)):
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
            async with dial(f"ws://{found[1]}/v1/responses?api_key={key}", key=key, native=True) as client:
                if answer_runs:
                    await begin(client)
                process.send_signal(signal.SIGTERM)
                while (event := await client.receive())["type"] != "session.draining":
                    assert event["type"] != "error"
                if answer_runs:
                    assert (await client.until_done())[-1]["type"] in ("response.completed", "response.incomplete")
                assert await close_code(client) == 1012
            said += (await process.stderr.read()).decode()
            assert await process.wait() == 0, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "Traceback" not in said
    assert key not in said


async def test_after_the_grace_what_runs_is_left_to_the_next_server_that_has_its_store(tmp_path: Path) -> None:
    settings, script = changed(drain_seconds=0.05), say(*"abcdef")
    opened = open_stores(tmp_path / "store.db", bounds_of(settings.responses), settings.store)
    async with (
        running(script, settings, tick_seconds=None, stores=opened.stores) as server,
        server.client() as plain,
        server.client(native=True) as native,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        await begin(plain)  # whose answers end when nobody is there
        response_id = await begin(native)
        await native.send("response.create", input="unstored", store=False, stream_id="u")
        asked = {"input": "x", "on_disconnect": {"policy": "continue"}}
        waits = asyncio.create_task(http.post(f"{server.http}/v1/responses", json=asked))
        streams = asyncio.create_task(http.post(f"{server.http}/v1/responses", json={**asked, "stream": True}))
        await until(lambda: engine_holds(server) == 5)
        engine = server.gateway.engine
        engine._status = msgspec.structs.replace(engine.status, start_seconds=12.34)
        server.engine.step(2)
        await drain(server)
        assert (await plain.until_done())[-1]["response"]["error"]["code"] == "server_error"
        seen = []
        while (event := await native.receive())["type"] != "response.failed":
            seen.append(event)
        assert event["stream_id"] == "u"
        [told] = [event for event in seen if event["type"] == "session.draining"]
        assert told["resume_after_seconds"] == 12.3
        assert await close_code(native) == await close_code(plain) == 1012
        refused = await waits
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_draining")
        assert '"code":"server_draining"' in (await streams).text
        assert engine_holds(server) == 0
    opened.stores.close()
    seen = [event for event in seen if event.get("response_id") == response_id]
    opened = open_stores(tmp_path / "store.db", bounds_of(settings.responses), settings.store)
    async with (
        running(script, settings, stores=opened.stores, recover=True) as server,
        server.client(native=True) as native,
    ):
        await native.send("response.resume", response_id=response_id, starting_after=seen[-1]["sequence_number"])
        resumed = await native.receive()
        assert resumed["resumed"]["recovery"] == {"kind": "exact", "attempts": 1}
        seen += await native.until_done(response_id)
        assert [event["delta"] for event in seen if event["type"] == "response.output_text.delta"] == list("abcdef")
        assert [event["sequence_number"] for event in seen] == list(range(seen[0]["sequence_number"], len(seen) + 2))
        await until(lambda: not server.gateway.service.num_running)
    opened.stores.close()
