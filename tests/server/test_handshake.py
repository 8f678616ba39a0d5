"""Coming in: paths, headers, credentials, origins, limits; and the plain HTTP endpoints beside the socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import say
from tests.support.raw import PING, PONG, RawSocket, frame, handshake, text
from tests.support.server import Running, changed, running
from tests.support.steps import begin, make_keys, until
from tests.support.transcript import assert_error, check

KEY = "openai-insecure-api-key."


async def knock(server: Running, *lines: str, path: str = "/v1/responses") -> tuple[int, dict[str, str], Any]:
    """Shake hands and leave; status, headers and, if it was refused, the body."""
    raw = await RawSocket.open(server.port)
    await raw.send(handshake(path, *lines))
    status, headers, body = await raw.response()
    raw.close()
    return status, headers, json.loads(body) if body else None


async def get(server: Running, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.get(server.http + path, headers={name.replace("_", "-"): v for name, v in headers.items()})


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/responses?a=b&model=starter&x=%ff"])
async def test_both_paths_lead_to_the_socket(path: str) -> None:
    async with running(say("x")) as server:
        status, headers, _ = await knock(server, path=path)
        assert status == 101
        assert headers["x-request-id"].startswith("sess_")
        assert "sec-websocket-protocol" not in headers
        assert "sec-websocket-extensions" not in headers


async def test_headers_of_real_clients_are_let_pass() -> None:
    async with running(say("x")) as server:
        status, _, _ = await knock(
            server,
            "Content-Type: application/json",
            "Accept: application/json",
            "OpenAI-Beta: responses_websockets=2026-02-06,unknown=1",
            "OpenAI-Organization: org_1",
            "Authorization: Bearer whatever",
            "X-Stainless-Lang: python",
            "X-Stainless-Raw-Response: true",
            "User-Agent: AsyncOpenAI/Python 3.52.0",
            "x-codex-turn-metadata: " + "m" * 2048,
            "originator: codex_exec",
        )
        assert status == 101


async def test_the_query_names_the_default_model() -> None:
    async with running(say("x")) as server:
        for name, ok in (("starter", True), ("other", False)):
            raw = await RawSocket.open(server.port)
            await raw.send(handshake(f"/v1/responses?model={name}"))
            assert (await raw.response())[0] == 101
            await raw.send(text(type="response.create", input="hi"))
            event = await raw.event()
            assert event["type"] == ("response.created" if ok else "error")
            if not ok:
                assert_error(event, "model_not_found")
                await raw.send(text(type="response.create", input="hi", model="starter"))
                assert (await raw.event())["type"] == "response.created", "a frame's own model counts"
            raw.close()


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("offered", [None, "deflate"])
async def test_deflate_is_spoken_where_both_want_it(enabled: bool, offered: str | None) -> None:
    async with (
        running(say("x" * 500, "y"), changed(permessage_deflate=enabled)) as server,
        server.client(native=True, compression=offered) as client,
    ):
        assert client.connection.response is not None
        negotiated = client.connection.response.headers.get("Sec-WebSocket-Extensions", "")
        assert ("permessage-deflate" in negotiated) is (enabled and offered is not None)
        for _ in range(3):
            assert check(await client.create("z" * 500))["status"] == "completed"


async def test_a_wrong_or_missing_key_is_told_before_the_upgrade(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "anna", "bob")
    anna = keys["anna"]
    async with running(say("x"), changed(api_keys_file=str(tmp_path / "keys.json"))) as server:
        for lines, code in [
            ((), "missing_api_key"),
            (("Authorization: Basic abc",), "missing_api_key"),
            (("Authorization: Bearer wrong",), "invalid_api_key"),
            (("api-key: wrong",), "invalid_api_key"),
            ((f"Sec-WebSocket-Protocol: realtime, {KEY}wrong",), "invalid_api_key"),
            ((f"Authorization: Bearer {anna}", f"api-key: {keys['bob']}"), "invalid_api_key"),
        ]:
            status, headers, body = await knock(server, *lines)
            assert status == 401
            assert headers["content-type"] == "application/json"
            assert body["error"]["code"] == code
            assert body["error"]["type"] == "authentication_error"
            assert body["error"]["message"]
            assert headers["www-authenticate"] == "Bearer"
            assert headers["x-request-id"].startswith("req_")
        for lines, selected in [
            ((f"Authorization: Bearer {anna}",), None),
            ((f"api-key: {anna}",), None),
            ((f"Sec-WebSocket-Protocol: realtime, {KEY}{anna}",), "realtime"),
            ((f"Sec-WebSocket-Protocol: {KEY}{anna}, realtime.v1",), "realtime.v1"),
            ((f"Sec-WebSocket-Protocol: {KEY}{anna}",), f"{KEY}{anna}"),
        ]:
            status, headers, _ = await knock(server, *lines)
            assert (status, headers.get("sec-websocket-protocol")) == (101, selected)
        refused = await get(server, "/v1/models")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await get(server, "/v1/models", authorization=f"Bearer {anna}")).status_code == 200
        assert (await get(server, "/health")).status_code == 200
        assert (await get(server, "/ready")).status_code == 200


async def test_pages_of_strangers_may_not_connect() -> None:
    async with running(say("x")) as server:
        own = f"http://127.0.0.1:{server.port}"
        for origin, ok in [
            ("http://localhost:3000", True),
            (own, True),
            ("https://evil.example", False),
            ("null", False),
        ]:
            status, _, body = await knock(server, f"Origin: {origin}")
            assert status == (101 if ok else 403), origin
            assert ok or body["error"]["code"] == "origin_not_allowed"
    async with running(say("x"), changed(allowed_origins=("https://chat.example",))) as server:
        assert (await knock(server, "Origin: https://chat.example"))[0] == 101
        assert (await knock(server, "Origin: http://localhost:3000"))[0] == 403


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
async def test_a_get_without_an_upgrade_is_426(path: str) -> None:
    async with running(say("x")) as server:
        answer = await get(server, path)
        assert answer.status_code == 426
        assert answer.headers["upgrade"] == "websocket"
        assert answer.json()["error"]["code"] == "upgrade_required"


async def test_the_endpoints_beside_the_socket() -> None:
    async with running(say("x"), tick_seconds=None) as server:
        for path in ("/v1/models", "/models"):
            listed = (await get(server, path)).json()
            assert listed["object"] == "list"
            assert [(model["id"], model["object"]) for model in listed["data"]] == [("starter", "model")]
        assert (await get(server, "/health")).json() == {"status": "ok"}
        async with server.client() as client:
            await begin(client)
            server.engine.step()
            ready = await get(server, "/ready")
            assert ready.status_code == 200
            state = ready.json()
            assert (state["engine_running"], state["responses"], state["connections"]) == (1, 1, 1)
        assert (await get(server, "/nothing")).status_code == 404


async def test_a_refused_handshake_has_a_name_for_the_log_like_every_other_answer() -> None:
    async with running(say("x")) as server:
        status, headers, _ = await knock(server, path="/nothing")
        assert (status, headers["x-request-id"][:4]) == (404, "req_")


async def test_more_connections_than_allowed_are_told_to_come_back() -> None:
    async with running(say("x"), changed(max_connections=2)) as server:
        async with server.client(), server.client():
            status, headers, body = await knock(server)
            assert status == 503
            assert body["error"]["code"] == "server_is_overloaded"
            assert headers["retry-after"] == "5"
            assert headers["x-request-id"].startswith("req_")
            assert "www-authenticate" not in headers
            assert (await get(server, "/health")).status_code == 200
        await until(lambda: server.gateway.admission.num_connections == 0)
        assert (await knock(server))[0] == 101


async def test_a_handshake_that_is_on_its_way_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two come at once, and there is room for one."""
    async with running(say("x"), changed(max_connections=1)) as server:
        serve, answered = server.gateway.sockets._serve, asyncio.Event()

        async def slow(*args: Any) -> None:
            await answered.wait()
            await serve(*args)

        monkeypatch.setattr(server.gateway.sockets, "_serve", slow)
        first = asyncio.create_task(knock(server))
        await until(lambda: server.gateway.admission.num_connections == 1)
        assert (await knock(server))[0] == 503
        answered.set()
        assert (await first)[0] == 101


async def test_a_native_client_is_greeted_and_a_plain_one_hears_nothing() -> None:
    async with running(say("x")) as server:
        raw = await RawSocket.upgraded(server.port, "Sec-WebSocket-Protocol: realtime.v1")
        greeting = await raw.event()
        assert (greeting["type"], greeting["sequence_number"], greeting["done"]) == ("session.created", 0, False)
        assert greeting["session"]["model"] == "starter"
        assert greeting["session"]["limits"]["max_in_flight"] == 16
        raw.close()
        plain = await RawSocket.upgraded(server.port)
        await plain.send(frame(PING, b"x"))
        assert await plain.frame() == (PONG, b"x"), "nothing came before it"
        plain.close()


async def test_pings_are_answered_while_many_answers_stream() -> None:
    async with running(say(*["word "] * 3000), tick_seconds=0, max_num_seqs=32) as server, server.client() as busy:
        for lane in range(16):
            await busy.send("response.create", input="hi", stream_id=f"s{lane}")
        raw = await RawSocket.upgraded(server.port)
        for number in range(20):
            await raw.send(frame(PING, b"%d" % number))
            assert await raw.frame() == (PONG, b"%d" % number)
        assert server.gateway.service.num_running == 16, "it was busy all the time"
        raw.close()
