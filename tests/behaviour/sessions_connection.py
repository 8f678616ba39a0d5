"""Sessions about the connection itself: handshakes, bad frames, heartbeats, the end. Each public coroutine is one."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.support.recorded_session import playing
from tests.support.recording import Recording
from tests.support.steps import make_keys


async def bad_frames(recording: Recording) -> None:
    """What is no event, and events that can't be obeyed; the socket goes on."""
    async with playing(recording) as stage, stage.socket() as ws:
        for text in ("{", "[]", '"x"', "{}", '{"type":5}', '{"type":"response.nonsense","event_id":"e"}', "[" * 200):
            await ws.send_text(text)
            await ws.receive()
        await ws.create(model="unknown", event_id="e")
        await ws.create(previous_response_id="resp_unknown", stream_id="a")
        for members in (
            {"temperature": 9}, {"input": 5}, {"top_logprobs": 99}, {"tools": "x"}, {"tool_choice": "x"},
            {"on_disconnect": {"policy": "x"}}, {"generate": "no"}, {"prompt": {"id": "p"}}, {"truncation": "x"},
        ):  # fmt: skip
            await ws.create(**{"input": "x", **members})
        await ws.create()


async def a_message_that_is_too_big(recording: Recording) -> None:
    """It is answered, and the socket closed."""
    async with playing(recording, settings={"max_message_bytes": 2048}) as stage, stage.socket() as ws:
        await ws.send("response.create", input="x" * 3000)
        await ws.receive()
        await ws.closed()


async def session_update_and_heartbeat(recording: Recording) -> None:
    """Heartbeats of an idle connection and of a busy one; another interval; a bad one."""
    settings = {"heartbeat_seconds": 0.0, "max_running_responses": 1}
    async with playing(recording, ("a",), settings=settings) as stage, stage.socket(native=True) as native:
        stage.beat()
        await native.receive()
        await native.begin(stream_id="a")
        await native.send("response.create", input="hi", stream_id="b")
        await native.until("response.queued")
        stage.beat()
        await native.receive()
        await native.send("session.update", heartbeat_seconds=3600)
        await native.receive()
        await native.send("session.update", heartbeat_seconds=0.5, event_id="e")
        await native.receive()


async def heartbeat_by_its_timer(recording: Recording) -> None:
    """Nobody asks for it."""
    async with playing(recording, settings={"heartbeat_seconds": 0.001}) as stage, stage.socket(native=True) as native:
        await native.receive()


async def draining(recording: Recording) -> None:
    """What runs is finished, new work is refused, sockets are closed."""
    settings = {"max_in_flight_per_connection": 1}
    async with (
        playing(recording, ("a", "b"), ("c", "d"), settings=settings) as stage,
        stage.socket() as ws,
        stage.socket(native=True) as native,
        stage.socket("idle", native=True) as idle,
        stage.http() as http,
    ):
        await ws.begin()
        await ws.send("response.create", input="waits in its lane", event_id="waits")
        await ws.send("session.update")  # its answer says that what was sent before it has come
        await ws.receive()
        await native.begin(holds=2)
        task = asyncio.create_task(stage.server.gateway.drain())
        await idle.receive()
        await idle.closed()
        await native.receive()
        await ws.receive()
        await native.send("response.create", input="new", stream_id="new")
        await native.receive()
        for path in ("/health", "/ready", "/v1/models"):
            await http.ask("GET", path, ticks=False)
        await stage.refused_socket("late")
        await stage.step(3, holds=2)
        for socket in (ws, native):
            await socket.until_done()
            await socket.closed()
        await task


async def keys(recording: Recording) -> None:
    """A key is missing, wrong, of another tenant."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        made = make_keys(path, "anna", "bob")
        # What keeps tenants apart in the prefix cache is random, so it can't be recorded.
        settings = {"api_keys_file": str(path), "share_prefix_cache": True}
        async with playing(recording, settings=settings) as stage, stage.http() as http:
            await stage.refused_socket()
            await stage.refused_socket(headers={"authorization": "Bearer rt_wrong"})
            await http.ask("POST", "/v1/responses", {"input": "x"})
            await http.ask("POST", "/v1/responses", {"input": "x"}, headers={"authorization": "Bearer rt_wrong"})
            anna, bob = ({"authorization": f"Bearer {made[name]}"} for name in ("anna", "bob"))
            response = await http.ask("POST", "/v1/responses", {"input": "x"}, headers=anna)
            for key in (anna, bob):
                await http.ask("GET", f"/v1/responses/{response['id']}", headers=key)
