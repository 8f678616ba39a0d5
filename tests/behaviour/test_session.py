"""What holds for a connection: the credential, which may be renewed, and heartbeats for native clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.engine.scripted import say
from tests.support.server import Client, changed, running, sink_of
from tests.support.steps import beat, begin, make_keys
from tests.support.transcript import assert_error

SLOW = say("a", "b", "c")


async def answer(client: Client, **members: Any) -> dict[str, Any]:
    await client.send("session.update", **members)
    return await client.receive()


async def test_a_heartbeat_tells_how_everything_is_doing() -> None:
    settings = changed(max_running_responses=1)
    async with running(SLOW, settings, tick_seconds=None) as server, server.client(native=True) as client:
        first = await begin(client, stream_id="a")
        for lane in "bc":
            await client.send("response.create", input="hi", stream_id=lane)
        waiting = [(await client.receive())["response_id"] for _ in range(4)][::2]
        [shell] = server.gateway.sockets.shells
        beat(shell)
        event = await client.receive()
        assert event["type"] == "session.heartbeat"
        assert event["done"] is False
        assert event["heartbeat"]["engine"] == "ready"
        found = {pulse.pop("response_id"): pulse for pulse in event["heartbeat"]["responses"]}
        assert all(pulse.pop("idle_seconds") >= 0 for pulse in found.values())
        assert found == {
            first: {"status": "in_progress", "num_ahead": None},
            waiting[0]: {"status": "queued", "num_ahead": 0, "estimated_seconds": None},
            waiting[1]: {"status": "queued", "num_ahead": 1, "estimated_seconds": None},
        }


async def test_a_heartbeat_tells_what_has_been_used_and_how_far_a_prompt_is_read() -> None:
    async with running(say("a", "b"), tick_seconds=None) as server, server.client(native=True) as client:
        response_id = await begin(client)
        [shell] = server.gateway.sockets.shells

        async def pulse() -> dict[str, Any]:
            beat(shell)
            while (event := await client.receive())["type"] != "session.heartbeat":
                pass
            [found] = event["heartbeat"]["responses"]
            return dict(found)

        assert not {"usage", "prefill_tokens"} & (await pulse()).keys()
        engine, stats = server.engine, server.engine.stats()
        read = msgspec.structs.replace(stats, prefill={response_id: 1, "resp_other": 5})
        engine.stats = lambda: read  # type: ignore[method-assign]
        told = await pulse()
        assert told["prefill_tokens"]["computed"] == 1
        server.engine.step(1)
        told = await pulse()
        assert "prefill_tokens" not in told
        assert told["usage"]["output_tokens"] == 1
        total = told["usage"]["input_tokens"]
        assert total > 1
        server.engine.step(2)
        assert (await client.until_done())[-1]["response"]["usage"]["input_tokens"] == total


async def test_the_timer_beats_for_native_clients_and_not_for_plain_ones() -> None:
    async with running(SLOW, changed(heartbeat_seconds=0.01)) as server:
        async with server.client(native=True) as client:
            for _ in range(3):
                assert (await client.receive())["type"] == "session.heartbeat"
        async with server.client() as plain:
            [shell] = server.gateway.sockets.shells
            shell._connection.handle_deadline(float("inf"))
            shell._step()
            assert (await plain.create())[0]["type"] == "response.created"
            assert shell._timer is None


async def test_a_client_that_does_not_read_is_not_told_again_and_again() -> None:
    async with running(SLOW, changed(heartbeat_seconds=0)) as server, server.client(native=True) as client:
        [shell] = server.gateway.sockets.shells
        sink_of(shell).pause_writing()  # as when the peer does not read
        for _ in range(5):
            beat(shell)
        assert len(shell._connection._control) == 1
        sink_of(shell).resume_writing()
        assert (await client.receive())["type"] == "session.heartbeat"


async def test_the_interval_can_be_changed_and_is_bounded() -> None:
    async with running(SLOW) as server, server.client(native=True) as client:
        updated = await answer(client, heartbeat_seconds=5)
        assert (updated["type"], updated["session"]) == ("session.updated", {"heartbeat_seconds": 5.0})
        [shell] = server.gateway.sockets.shells
        assert shell._connection._heartbeats.seconds == 5.0
        for bad in (0.5, -1, 1e9, "x"):
            assert_error(await answer(client, heartbeat_seconds=bad), "invalid_request", 400, param="heartbeat_seconds")
        assert (await answer(client, heartbeat_seconds=0))["session"] == {"heartbeat_seconds": 0.0}
        assert shell._timer is None


async def test_a_new_key_must_be_of_the_same_owner(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = make_keys(tmp_path / "keys.json", "anna", "bert")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(SLOW, settings) as server, server.client(key=keys["anna"]) as client:
        assert (await answer(client, api_key=keys["anna"]))["type"] == "session.updated"
        for key in (keys["bert"], "rt_nonsense"):
            error = await answer(client, api_key=key, event_id="e", heartbeat_seconds=7)
            assert_error(error, "invalid_api_key", 401, param="api_key")
            assert error["event_id"] == "e"
            assert key not in str(error)
        [shell] = server.gateway.sockets.shells
        assert shell._connection._heartbeats.seconds != 7, "all or nothing"
        assert not any(key in caplog.text for key in keys.values())
