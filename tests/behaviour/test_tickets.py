"""Who comes with a ticket can follow one response, and do nothing else than its role says, at every door."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import say
from realtime.server.keys import read_keys, write_keys
from realtime.settings.fields import Settings
from realtime.wire import codec
from tests.support.http import http
from tests.support.server import NATIVE, Running, changed, dial, running
from tests.support.steps import begin, engine_holds, finish, make_keys, until
from tests.support.transcript import assert_error

KEEP: dict[str, Any] = {"on_disconnect": {"policy": "continue"}}
WORDS = [f"word{n} " for n in range(8)]


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    return make_keys(tmp_path / "keys.json", "anna", "bob")


@pytest.fixture
def settings(tmp_path: Path, keys: dict[str, str]) -> Settings:
    return changed(api_keys_file=str(tmp_path / "keys.json"))


async def issue(client: httpx2.AsyncClient, response_id: str, role: str, **members: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/responses/{response_id}/tickets", json={"role": role, **members})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    ticket: dict[str, Any] = answer.json()
    return ticket


def come_with(server: Running, ticket: dict[str, Any]) -> Any:
    """A native socket, opened as a page opens it."""
    return dial(server.url, native=True, offers=[ticket["sub_protocol"]])


async def test_a_viewer_watches_and_does_nothing_else_on_a_socket(keys: dict[str, str], settings: Settings) -> None:
    async with (
        running(say(*WORDS), settings, tick_seconds=None) as server,
        http(server, keys["anna"]) as anna,
        server.client(key=keys["anna"], native=True) as own,
    ):
        response_id = await begin(own)
        other_id = await begin(own, stream_id="other")
        ticket = await issue(anna, response_id, "viewer", seconds=60)
        assert (ticket["role"], ticket["object"]) == ("viewer", "response.ticket")
        async with come_with(server, ticket) as viewer:
            assert viewer.connection.subprotocol == NATIVE, "a ticket is never sent back"
            await viewer.send("response.resume", response_id=response_id)
            server.engine.step(3)
            seen = [await viewer.receive() for _ in range(8)]
            assert "".join(event.get("delta", "") for event in seen) == "".join(WORDS[:3])
            commands: dict[str, dict[str, Any]] = {
                "response.cancel": {"response_id": response_id, "through": 3},
                "response.interrupt": {"response_id": response_id},
                "response.steer": {"previous_response_id": response_id, "input": "more"},
                "response.inject": {"response_id": response_id, "input": []},
                "response.create": {"input": "hi", "stream_id": "mine"},
            }
            for name, members in commands.items():
                await viewer.send(name, event_id=name, **members)
                refusal = await viewer.receive()
                assert_error(refusal, "not_permitted", 403)
                assert refusal["event_id"] == name
                assert ("`full`" in refusal["error"]["message"]) == (name != "response.create")
            await viewer.send("response.resume", response_id=other_id)
            foreign = await viewer.receive()
            await viewer.send("response.resume", response_id="resp_" + "0" * 32)
            unknown = await viewer.receive()
            assert_error(foreign, "response_not_found", 404)
            assert foreign["error"]["message"].replace(other_id, "") == unknown["error"]["message"].replace(
                "resp_" + "0" * 32, ""
            )
            assert engine_holds(server) == 2, "nothing was stopped"
            await viewer.send("response.ack", response_id=response_id, through=4)
            await finish(server)
            rest = await viewer.until_done(response_id)
            assert rest[-1]["type"] == "response.completed"
        await own.until_done(response_id)


async def test_a_full_ticket_also_stops_and_nothing_but_its_response(keys: dict[str, str], settings: Settings) -> None:
    async with (
        running(say(*WORDS), settings, tick_seconds=None) as server,
        http(server, keys["anna"]) as anna,
        server.client(key=keys["anna"]) as own,
    ):
        response_id, other_id = await begin(own, **KEEP), await begin(own, stream_id="other", **KEEP)
        ticket = await issue(anna, response_id, "full")
        async with come_with(server, ticket) as viewer:
            await viewer.send("response.create", input="hi", event_id="e")
            assert_error(await viewer.receive(), "not_permitted", 403)
            await viewer.send("response.cancel", response_id=other_id)
            assert_error(await viewer.receive(), "response_not_found", 404)
            await viewer.send("response.cancel", response_id=response_id)
            last = (await viewer.until_done(response_id))[-1]
            assert last["response"]["status"] == "cancelled"
        assert engine_holds(server) == 1


@pytest.mark.parametrize("role", ["viewer", "full"])
async def test_over_http_a_ticket_is_good_for_its_response_and_for_no_other_operation(
    role: str, keys: dict[str, str], settings: Settings
) -> None:
    async with (
        running(say(*WORDS), settings, tick_seconds=None) as server,
        http(server, keys["anna"]) as anna,
        server.client(key=keys["anna"]) as own,
    ):
        response_id, other_id = await begin(own, "why?", **KEEP), await begin(own, stream_id="other", **KEEP)
        conversation = (await anna.post("/v1/conversations")).json()["id"]
        ticket = await issue(anna, response_id, role)
        path = f"/v1/responses/{response_id}"
        async with http(server, ticket["ticket"]) as holder:
            assert (await holder.get(path)).json()["status"] == "in_progress"
            (question,) = (await holder.get(f"{path}/input_items")).json()["data"]
            assert question["content"][0]["text"] == "why?"
            assert (await holder.get(f"/v1/responses/{other_id}")).status_code == 404
            assert (await holder.get(f"/v1/responses/{other_id}/input_items")).status_code == 404
            refused = [
                ("POST", "/v1/responses", {"input": "hi"}),
                ("POST", "/v1/responses/compact", {"input": "hi", "model": "starter"}),
                ("POST", "/v1/responses/input_tokens", {"input": "hi"}),
                ("DELETE", path, None),
                ("POST", f"{path}/tickets", {"role": "full"}),
                ("GET", "/v1/responses?limit=3", None),
                ("GET", "/v1/conversations", None),
                ("POST", "/v1/conversations", None),
                ("GET", f"/v1/conversations/{conversation}", None),
                ("GET", f"/v1/conversations/{conversation}/items", None),
                ("POST", f"/v1/conversations/{conversation}/fork", None),
                ("GET", "/v1/models", None),
                *([("POST", f"{path}/cancel", None)] if role == "viewer" else []),
            ]
            for method, url, body in refused:
                answer = await holder.request(method, url, json=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_permitted"), (method, url)
            assert (await holder.post(f"/v1/responses/{other_id}/cancel")).status_code in (403, 404)
            assert engine_holds(server) == 2
            if role == "full":
                stopped = (await holder.post(f"{path}/cancel")).json()
                assert stopped["status"] == "cancelled"
            await finish(server)
            text = (await holder.get(f"{path}?stream=true")).text
            assert "response.created" in text
            assert "[DONE]" in text


async def test_whoever_only_watches_keeps_nothing_alive_and_lets_nothing_go_on() -> None:
    async with running(say(*WORDS), tick_seconds=None) as server, http(server) as client:
        for detaches in (False, True):
            async with server.client() as own:
                response_id = await begin(own, on_disconnect={"policy": "cancel"})
                async with come_with(server, await issue(client, response_id, "viewer")) as viewer:
                    await viewer.send("response.resume", response_id=response_id)
                    assert (await viewer.receive())["type"] == "response.resumed"
                    if detaches:
                        await viewer.send("response.detach", response_id=response_id)
                        await viewer.send("session.update")
                        while (await viewer.receive())["type"] != "session.updated":
                            pass
                    await own.connection.close()
                    await until(lambda: engine_holds(server) == 0, "the owner is gone, and so is the response")
                    if not detaches:
                        last = (await viewer.until_done(response_id))[-1]
                        assert last["response"]["incomplete_details"]["reason"] == "client_disconnected"


async def test_a_viewer_that_leaves_stops_nothing() -> None:
    async with running(say(*WORDS), tick_seconds=None) as server, http(server) as client, server.client() as own:
        response_id = await begin(own)
        async with come_with(server, await issue(client, response_id, "viewer")) as viewer:
            await viewer.send("response.resume", response_id=response_id)
            assert (await viewer.receive())["type"] == "response.resumed"
        await until(lambda: len(server.gateway.sockets.shells) == 1)
        assert engine_holds(server) == 1
        await finish(server)
        await own.until_done(response_id)


async def test_a_ticket_dies_with_its_key_and_what_is_open_with_it(
    keys: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with (
        running(say(*WORDS), settings, tick_seconds=None) as server,
        http(server, keys["anna"]) as anna,
        server.client(key=keys["anna"]) as own,
    ):
        response_id = await begin(own, **KEEP)
        ticket = await issue(anna, response_id, "viewer")
        async with come_with(server, ticket) as viewer, http(server, ticket["ticket"]) as holder:
            path = tmp_path / "keys.json"
            write_keys(path, read_keys(path).remove("anna"))
            error = await viewer.receive()
            assert_error(error, "invalid_api_key", 401)
            assert "ticket" in error["error"]["message"]
            await viewer.connection.wait_closed()
            assert viewer.connection.close_code == 4401
            assert (await holder.get(f"/v1/responses/{response_id}")).status_code == 401
        await finish(server)


async def test_a_ticket_dies_with_its_time_and_what_is_open_with_it() -> None:
    async with running(say(*WORDS), tick_seconds=None) as server, http(server) as client, server.client() as own:
        response_id = await begin(own, **KEEP)
        ticket = await issue(client, response_id, "viewer", seconds=1)
        async with come_with(server, ticket) as viewer:
            assert_error(await viewer.receive(), "invalid_api_key", 401)
            await viewer.connection.wait_closed()
            assert viewer.connection.close_code == 4401
        async with http(server, ticket["ticket"]) as holder:
            answer = await holder.get(f"/v1/responses/{response_id}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        await finish(server)


@pytest.mark.parametrize("guarded", [False, True], ids=["without keys", "with keys"])
async def test_forged_tickets_are_refused_everywhere(guarded: bool, keys: dict[str, str], settings: Settings) -> None:
    key = keys["anna"] if guarded else None
    async with running(say("a"), settings if guarded else None) as server, http(server, key) as client:
        response_id = (await client.post("/v1/responses", json={"input": "hi"})).json()["id"]
        ticket = await issue(client, response_id, "viewer")
        content, _, signature = ticket["ticket"].partition(".")
        forged = [content, f"{content}.", f"{content}.{signature[::-1]}", f"{content[:-2]}AA.{signature}", "tk_x"]
        for one in forged:
            async with http(server, one) as holder:
                answer = await holder.get(f"/v1/responses/{response_id}")
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
                assert one not in answer.text
            with pytest.raises(Exception, match="401"):
                async with dial(server.url, native=True, offers=[f"realtime-ticket.{one}"]):
                    pass
        with pytest.raises(Exception, match="401"):
            async with dial(server.url, native=True, offers=["realtime-ticket."]):
                pass


async def test_tickets_are_for_responses_that_one_has(keys: dict[str, str], settings: Settings) -> None:
    async with (
        running(say("a"), settings) as server,
        http(server, keys["anna"]) as anna,
        http(server, keys["bob"]) as bob,
    ):
        response_id = (await anna.post("/v1/responses", json={"input": "hi"})).json()["id"]
        for client, name in ((bob, response_id), (anna, "resp_x")):
            answer = await client.post(f"/v1/responses/{name}/tickets", json={"role": "viewer"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "response_not_found")
        for body in ({}, {"role": "owner"}, {"role": "full", "seconds": 0}, {"role": "full", "seconds": 3601}):
            answer = await anna.post(f"/v1/responses/{response_id}/tickets", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


async def test_an_upgraded_ticket_is_a_key(keys: dict[str, str], settings: Settings) -> None:
    async with running(say("a"), settings) as server, http(server, keys["anna"]) as anna:
        response_id = (await anna.post("/v1/responses", json={"input": "hi"})).json()["id"]
        async with come_with(server, await issue(anna, response_id, "viewer")) as viewer:
            for key, code in ((keys["bob"], "invalid_api_key"), ("nonsense", "invalid_api_key")):
                await viewer.send("session.update", api_key=key)
                assert_error(await viewer.receive(), code)
            await viewer.send("session.update", api_key=keys["anna"])
            assert (await viewer.receive())["type"] == "session.updated"
            assert (await viewer.create())[-1]["type"] == "response.completed"


async def test_what_a_viewer_watches_is_followed_when_it_has_shown_a_key(
    keys: dict[str, str], settings: Settings
) -> None:
    async with (
        running(say(*WORDS), settings, tick_seconds=None) as server,
        http(server, keys["anna"]) as anna,
        server.client(key=keys["anna"], native=True) as own,
    ):
        response_id = await begin(own, on_disconnect={"policy": "cancel"})
        async with come_with(server, await issue(anna, response_id, "viewer")) as viewer:
            await viewer.send("response.resume", response_id=response_id)
            assert (await viewer.receive())["type"] == "response.resumed"
            await viewer.send("session.update", api_key=keys["anna"])
            while (await viewer.receive())["type"] != "session.updated":
                pass
            await own.connection.close()
            run = server.gateway.service.registry.running[response_id]
            await until(lambda: len(run.audience.watchers) == 1)
            await finish(server)
            assert (await viewer.until_done(response_id))[-1]["type"] == "response.completed"


async def test_without_keys_a_viewer_can_not_make_itself_more() -> None:
    async with running(say("a")) as server, http(server) as client:
        response_id = (await client.post("/v1/responses", json={"input": "hi"})).json()["id"]
        async with come_with(server, await issue(client, response_id, "viewer")) as viewer:
            await viewer.send("session.update", api_key="anything")
            assert_error(await viewer.receive(), "invalid_api_key")
            await viewer.send("response.create", input="hi")
            assert_error(await viewer.receive(), "not_permitted", 403)


async def test_no_line_of_the_log_has_a_ticket(
    caplog: pytest.LogCaptureFixture, keys: dict[str, str], settings: Settings
) -> None:
    with caplog.at_level(logging.DEBUG, "realtime"):
        async with running(say("a"), settings) as server, http(server, keys["anna"]) as anna:
            response_id = (await anna.post("/v1/responses", json={"input": "hi"})).json()["id"]
            ticket = await issue(anna, response_id, "viewer")
            async with come_with(server, ticket) as viewer:
                assert viewer.connection.subprotocol == NATIVE
            await asyncio.sleep(0)
    assert ticket["ticket"] not in caplog.text
    assert codec.encode(ticket["ticket"].partition(".")[2]).decode() not in caplog.text
