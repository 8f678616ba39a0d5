"""A key that is removed while something is open: it is told so, it ends, and its responses do as they were asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from realtime.engine.scripted import say
from realtime.server import revocation
from realtime.server.keys import read_keys, write_keys
from tests.support.http import http, streaming
from tests.support.server import Client, Running, changed, running, sink_of
from tests.support.steps import begin, engine_holds, make_keys, take, until
from tests.support.transcript import assert_error

PATH = "/v1/responses"
LONG = say(*["word "] * 1000)
LINGER = {"policy": "linger", "seconds": 3600}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def remove(server: Running, path: Path, name: str) -> None:
    """The operator removes a key, and the server looks."""
    write_keys(path, read_keys(path).remove(name))
    server.gateway.admission.revocation._look()


async def assert_revoked(client: Client) -> None:
    error = await client.receive()
    assert_error(error, "invalid_api_key", 401)
    await client.connection.wait_closed()
    assert (client.connection.close_code, client.connection.close_reason) == (4401, "invalid_api_key")


@pytest.mark.parametrize("native", [False, True])
async def test_its_sockets_end_and_those_of_others_do_not(path: Path, native: bool) -> None:
    keys = make_keys(path, "anna", "bob")
    async with (
        running(LONG, changed(api_keys_file=str(path)), tick_seconds=None) as server,
        server.client(key=keys["anna"], native=native) as anna,
        server.client(key=keys["anna"]) as idle,
        server.client(key=keys["bob"]) as bob,
    ):
        await begin(anna, on_disconnect={"policy": "cancel"})
        kept = await begin(anna, stream_id="kept", on_disconnect=LINGER)
        await begin(bob)
        remove(server, path, "anna")
        for client in (anna, idle):
            await assert_revoked(client)
        await until(lambda: engine_holds(server) == 2, "the one that is to be cancelled to end")
        assert kept in server.gateway.service.registry.running
        server.engine.step()
        assert "delta" in (await take(bob, 3))[-1]


async def test_who_does_not_read_is_not_waited_for(path: Path) -> None:
    keys = make_keys(path, "anna")
    async with (
        running(LONG, changed(api_keys_file=str(path)), tick_seconds=None) as server,
        server.client(key=keys["anna"]) as client,
    ):
        await begin(client)
        [shell] = server.gateway.sockets.shells
        sink_of(shell).pause_writing()
        remove(server, path, "anna")
        await client.connection.wait_closed()
        assert client.connection.close_code == 4401


async def test_a_renewed_key_goes_on(path: Path) -> None:
    keys = make_keys(path, "anna")
    async with (
        running(LONG, changed(api_keys_file=str(path)), tick_seconds=None) as server,
        server.client(key=keys["anna"]) as client,
        server.client(key=keys["anna"]) as old,
    ):
        write_keys(path, read_keys(path).remove("anna"))
        new = make_keys(path, "anna")["anna"]
        await client.send("session.update", api_key=new)
        assert (await client.receive())["type"] == "session.updated"
        server.gateway.admission.revocation._look()
        await assert_revoked(old)
        await begin(client)


async def test_a_stream_over_http_is_told_and_ends(path: Path) -> None:
    keys = make_keys(path, "anna")
    async with (
        running(LONG, changed(api_keys_file=str(path)), tick_seconds=None) as server,
        http(server, keys["anna"]) as client,
        streaming(client, json={"input": "x"}) as reader,
    ):
        await reader.until("response.in_progress")
        remove(server, path, "anna")
        error, done = await reader.rest()
        assert (error.name, error.id, error.json["code"], done.data) == ("error", None, "invalid_api_key", "[DONE]")
        await until(lambda: server.gateway.service.num_running == 0, "the response to be cancelled")


async def test_a_request_that_waits_is_cut_off(path: Path) -> None:
    keys = make_keys(path, "anna")
    async with (
        running(LONG, changed(api_keys_file=str(path)), tick_seconds=None) as server,
        http(server, keys["anna"]) as client,
    ):
        waiting = asyncio.create_task(client.post(PATH, json={"input": "x"}))
        await until(lambda: engine_holds(server) == 1, "the request to come")
        remove(server, path, "anna")
        with pytest.raises(httpx2.RemoteProtocolError):
            await waiting
        await until(lambda: server.gateway.service.num_running == 0, "the response to be cancelled")


async def test_the_server_looks_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revocation.LOOK_SECONDS <= 1, "within two seconds is what the protocol says"
    monkeypatch.setattr(revocation, "LOOK_SECONDS", 0.001)
    keys = make_keys(path, "anna")
    async with (
        running(LONG, changed(api_keys_file=str(path)), tick_seconds=None) as server,
        server.client(key=keys["anna"]) as client,
    ):
        write_keys(path, read_keys(path).remove("anna"))
        await assert_revoked(client)
