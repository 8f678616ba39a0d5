"""Around the operations: keys, origins, idempotency, unknown paths and methods, models, hostile bytes."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.scripted import Fail, say
from realtime.server import app, process
from realtime.server.http import transport as http_transport
from tests.behaviour.test_hostile import MESSAGES
from tests.behaviour.test_http_create import post
from tests.support.http import assert_refused, check_answer, events_of, http, raw_request, streaming
from tests.support.patience import SECONDS
from tests.support.raw import RawSocket
from tests.support.server import changed, running
from tests.support.steps import begin, finish, make_keys, until

PATH = "/v1/responses"
PAGE = "https://chat.example.com"

# -- keys and origins


@pytest.mark.parametrize("header", ["authorization", "api-key"])
async def test_keys(tmp_path: Path, header: str) -> None:
    key = make_keys(tmp_path / "keys.json", "anna")["anna"]
    value = f"Bearer {key}" if header == "authorization" else key
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("a"), settings) as server, http(server) as client:
        assert (await client.post(PATH, json={"input": "hi"}, headers={header: value})).status_code == 200
        for method, path in (("POST", PATH), ("GET", f"{PATH}/resp_x"), ("GET", "/v1/models")):
            assert_refused(await client.request(method, path), "missing_api_key", 401)
            wrong = await client.request(method, path, headers={header: value + "x"})
            assert key not in wrong.text
            assert_refused(wrong, "invalid_api_key", 401)
        for path in ("/health", "/ready", "/openapi.json", "/asyncapi.json"):
            assert (await client.get(path)).status_code == 200


async def test_pages_of_an_allowed_origin() -> None:
    settings = changed(allowed_origins=(PAGE,))
    async with running(say("a"), settings) as server, http(server, headers={"origin": PAGE}) as client:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-a"}
        preflight = await client.options(PATH, headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert preflight.headers["access-control-allow-headers"] == "authorization,x-a"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        for answer in (
            await client.post(PATH, json={"input": "hi"}),
            await client.post(PATH, json={"input": "hi", "stream": True}),
            await client.post(PATH, json={"input": 5}),
            await client.get("/nothing"),
        ):
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "origin"


async def test_pages_of_other_origins() -> None:
    settings = changed(allowed_origins=(PAGE,))
    async with running(say("a"), settings) as server, http(server, headers={"origin": "https://evil.test"}) as client:
        preflight = await client.options(PATH, headers={"access-control-request-method": "POST"})
        for answer in (preflight, await client.post(PATH, json={"input": "hi"}), await client.get("/v1/models")):
            assert not any(name.startswith("access-control") for name in answer.headers)
        assert_refused(answer, "origin_not_allowed", 403)
        assert server.gateway.service.num_running == 0


async def test_clients_that_are_no_page_get_no_cors_headers() -> None:
    async with running(say("a")) as server, http(server) as client:
        answer = await client.get("/v1/models")
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert "access-control-allow-methods" not in (await client.options(PATH)).headers


# -- idempotency


async def test_the_same_key_and_body_run_once() -> None:
    headers = {"idempotency-key": "k1"}
    async with running(say("a"), tick_seconds=None) as server, http(server) as client:
        body = {"input": "hi", "stream": True}
        async with streaming(client, json=body, headers=headers) as first:
            await first.until("response.in_progress")
            async with streaming(client, json=body, headers=headers) as second:
                await second.until("response.in_progress")
                assert server.gateway.service.num_running == 1
                await finish(server)
                assert (await second.rest())[-2] == (await first.rest())[-2]
        finished = await client.post(PATH, json=body, headers=headers)
        assert len(events_of(finished.text)) > 3
        in_body = await client.post(PATH, json={**body, "request_id": "k1"})
        assert in_body.content == finished.content
        other = await client.post(PATH, json={"input": "ho", "stream": True}, headers=headers)
        error = assert_refused(other, "idempotency_conflict", 409, "request_id")
        assert error["retry"] is False
        too_long = await client.post(PATH, json=body, headers={"idempotency-key": "k" * 257})
        assert_refused(too_long, "invalid_request", 400, "Idempotency-Key")
        twice = [("idempotency-key", "k1"), ("idempotency-key", "k2")]
        assert_refused(await client.post(PATH, json=body, headers=twice), "invalid_request", 400, "Idempotency-Key")
        same = await client.post(PATH, json=body, headers=[("idempotency-key", "k1")] * 2)
        assert same.content == finished.content


async def test_json_twice_is_one_answer_and_a_failure_is_none() -> None:
    headers = {"idempotency-key": "k1"}
    scripts = iter([say(Fail()), say("a"), say("b")])
    async with running(lambda request: next(scripts)(request)) as server, http(server) as client:
        failed = await client.post(PATH, json={"input": "hi"}, headers=headers)
        assert_refused(failed, "server_error", 500)
        first = await client.post(PATH, json={"input": "hi"}, headers=headers)
        assert (await client.post(PATH, json={"input": "hi"}, headers=headers)).json() == first.json()
        await client.delete(f"{PATH}/{first.json()['id']}")
        anew = await client.post(PATH, json={"input": "hi"}, headers=headers)  # what is deleted is no answer either
        assert anew.json()["id"] != first.json()["id"]


# -- paths and methods


async def test_unknown_paths_and_methods() -> None:
    async with running(say("a")) as server, http(server) as client:
        for path in ("/v1", "/v2/responses", "/v1/responses/", "/v1/responses/a/b", "/v1/completions"):
            assert_refused(await client.post(path, json={}), "not_found", 404)
        answer = await client.put(PATH, json={})
        assert_refused(answer, "method_not_allowed", 405)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert (await client.options(f"{PATH}/resp_x")).headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
        assert_refused(await client.get(f"{PATH}/input_tokens"), "method_not_allowed", 405)
        assert_refused(await client.post("/", json={}), "method_not_allowed", 405)


async def test_head_has_no_body_and_starts_nothing() -> None:
    async with running(say("a")) as server, http(server) as client:
        response_id = (await client.post(PATH, json={"input": "hi"})).json()["id"]
        for path, status in (
            ("/v1/models", 200), (f"{PATH}/{response_id}", 200), (f"{PATH}/{response_id}?stream=true", 200),
            (f"{PATH}/resp_x", 404), (PATH, 426), ("/nothing", 404),
        ):  # fmt: skip
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (status, b"")


async def test_models() -> None:
    async with running(say("a"), changed(served_name="org/name-1")) as server, http(server) as client:
        [model] = (await client.get("/v1/models?client_version=1")).json()["data"]
        assert (model["id"], model["object"]) == ("org/name-1", "model")
        assert (await client.get("/models/org/name-1")).json() == model
        assert (await client.get("/v1/models/org%2Fname-1")).json() == model
        assert_refused(await client.get("/v1/models/other"), "model_not_found", 404, "model")


# -- hostile bytes


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_socket_refuses_is_refused_here(stream: bool) -> None:
    """The same messages, as bodies. A few mean something else here: there are no lanes and no other events."""
    settings = changed(max_message_bytes=8 << 20)
    async with running(say("a"), settings) as server, http(server) as client:
        for name, data, code in MESSAGES:
            if code in ("invalid_stream_id", "response_not_found") or name.startswith(("stream", "event_id")):
                continue
            body = data.replace(b'"input":', b'"stream":true,"input":', 1) if stream else data
            answer = await client.post(PATH, content=body)
            if answer.status_code == 200:  # a body needs no type, and any other member is let pass
                assert code == "unsupported_event_type" or name.startswith(("type", "json", "key")), name
                continue
            assert answer.status_code in (400, 413), (name, answer.text[:200])
        assert server.gateway.service.num_running == 0


def knocks() -> dict[str, tuple[bytes, set[int]]]:
    """Name -> bytes, and the statuses that may answer them; 0: closed without a word."""
    rng = random.Random(7)
    bad = {0, 400}
    return {
        "garbage": (b"\0\1\2\3" * 100 + b"\r\n\r\n", bad),
        "noise": (rng.randbytes(5000), bad),
        "bytes in the path": (b"GET /v1/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n", bad | {404}),
        "percent in the path": (b"GET /v1/responses/%ff%00 HTTP/1.1\r\nhost: x\r\n\r\n", {404}),
        "dots": (b"GET /v1/responses/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n", {404}),
        "a long path": (b"GET /v1/responses/" + b"r" * 60_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", {404, 414}),
        "bytes in a header": (post(b'{"input":5}', "x-a: ÿþ"), {400}),
        "bytes in the key": (post(b'{"input":5}', "authorization: Bearer ÿ", "idempotency-key: ÿ"), {400}),
        "a negative length": (b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", bad),
        "two lengths": (post(b"{}", "content-length: 9"), bad),
        "chunks that are none": (
            b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", bad,
        ),
        "an unknown encoding": (post(b"{}", "content-encoding: br"), {415}),
        "http/1.0": (b"GET /v1/models HTTP/1.0\r\n\r\n", {200}),
        "query": (b"GET /v1/responses/x/input_items?limit=%ff&%00=&a=%zz HTTP/1.1\r\nhost: x\r\n\r\n", {400}),
    }  # fmt: skip


@pytest.mark.parametrize("name", knocks())
async def test_hostile_bytes(name: str, caplog: pytest.LogCaptureFixture) -> None:
    data, statuses = knocks()[name]
    async with running(say("a")) as server, http(server) as client:
        status, headers, body = await raw_request(server, data)
        assert status in statuses, (status, body[:200])
        if headers.get("content-type") == "application/json" and status >= 400:
            assert json.loads(body)["error"]["message"]
        assert (await client.post(PATH, json={"input": "hi"})).status_code == 200


async def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(say("a")) as server:
        second = await RawSocket.open(server.port)
        await second.send(post(b'{"input":"hi"}'))
        status, _, body = await second.response()
        check_answer("POST", PATH, status, body)
        monkeypatch.setattr(http_transport, "HEAD_SECONDS", 0.01)  # only now: what comes in time has all the time
        await second.send(b"POST /v1")
        silent, slow = [await RawSocket.open(server.port) for _ in range(2)]
        await slow.send(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\n")
        for sock in (silent, slow, second):
            assert (await sock.response())[0] == 0
            sock.close()
        await until(lambda: server.open_connections == 0)


async def test_a_fault_of_ours_costs_one_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(say("a")) as server, http(server) as client:

        def broken(*_: Any) -> None:
            raise KeyError("secret")

        with monkeypatch.context() as patch:
            patch.setattr(server.gateway.service, "retrieve", broken)
            answer = await client.get(f"{PATH}/resp_x")
        assert "secret" not in answer.text
        assert_refused(answer, "server_error", 500)
        assert answer.headers["x-request-id"] in caplog.text
        caplog.clear()
        assert (await client.post(PATH, json={"input": "hi"})).status_code == 200


@pytest.mark.parametrize(
    ("path", "name"), [("/openapi.json", "build_document"), ("/asyncapi.json", "build_socket_document")]
)
async def test_nobody_waits_while_a_document_is_made(monkeypatch: pytest.MonkeyPatch, path: str, name: str) -> None:
    begun, made = threading.Event(), threading.Event()

    def make() -> bytes:
        begun.set()
        assert made.wait(SECONDS), "nothing else was answered"
        return b"{}"

    monkeypatch.setattr(app, name, make)
    async with running(say("a")) as server, http(server) as client:
        asking = asyncio.create_task(client.get(path))
        await until(begun.is_set)
        assert (await client.post(PATH, json={"input": "hi"})).status_code == 200
        made.set()
        assert (await asking).json() == {}


# -- connections


async def test_an_idle_connection_is_closed_by_the_client_first() -> None:
    """Else a request meets a connection that is being closed, and a client can't know whether it was read."""
    async with running(say("a")) as server, http(server) as client:
        await client.get("/health")
        [protocol] = server._server.server_state.connections
        assert isinstance(protocol, http_transport.StreamProtocol)
        await until(lambda: protocol.timeout_keep_alive_task is not None, "the end of the answer")
        assert protocol.timeout_keep_alive_task is not None
        left = protocol.timeout_keep_alive_task.when() - asyncio.get_running_loop().time()
        assert left > 120, "Caddy keeps idle connections for 120 s, others for less"


async def test_connections_that_wait_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs a key to open them."""
    asked = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    monkeypatch.setattr(process, "_WAITING_BESIDE", 3)
    async with (
        running(say("a"), changed(max_connections=2), tick_seconds=None) as server,
        server.client() as client,
        http(server) as requests,
        streaming(requests, json={"input": "hi"}),
    ):
        await begin(client)
        idle, silent, slow, *more = [await RawSocket.open(server.port) for _ in range(3)]
        await idle.send(asked)
        assert (await idle.response())[0] == 200
        await slow.send(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\n")
        for sock in (silent, slow, idle):  # whoever has waited longest; a stream and a socket stay
            more.append(await RawSocket.open(server.port))
            assert (await sock.response())[0] == 0
            await more[-1].send(asked)
            assert (await more[-1].response())[0] == 200
        assert server.gateway.service.num_running == 2
        for sock in (idle, silent, slow, *more):
            sock.close()
