"""Responses over HTTP: as JSON and as a stream of events; what is refused, what fails, who leaves."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import openai
import pytest

from realtime.engine.scripted import Die, Fail, say
from realtime.server.http.transport import Peer
from tests.support.http import assert_refused, events_of, http, raw_request, streaming
from tests.support.raw import RawSocket
from tests.support.server import Running, changed, running
from tests.support.steps import engine_holds, finish, until
from tests.support.transcript import check, types

PATH = "/v1/responses"
FOREVER = say(*["word "] * 100_000)


def post(body: bytes, *lines: str, length: int | None = None, path: str = PATH) -> bytes:
    """A request as it is on the wire."""
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body) if length is None else length}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


# -- answers


def stepped(server: Running) -> bool:
    """One more step of the engine."""
    server.engine.step()
    return True


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
async def test_json(path: str) -> None:
    async with running(say("a", "b")) as server, http(server) as client:
        answer = await client.post(path, json={"input": "hi", "metadata": {"a": "b"}})
        response = answer.json()
    assert (answer.status_code, response["status"], response["metadata"]) == (200, "completed", {"a": "b"})
    assert response["output"][0]["content"][0]["text"] == "ab"
    assert response["usage"]["output_tokens"] == 3
    assert response["background"] is False


async def test_stream() -> None:
    async with running(say("a", "b")) as server, http(server) as client:
        answer = await client.post(PATH, json={"input": "hi", "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    final = check(events_of(answer.text))
    assert final["output"][0]["content"][0]["text"] == "ab"


async def test_the_bytes_of_the_log_are_sent_as_they_are() -> None:
    async with running(say("a", "ä\u2028", "\n")) as server, http(server) as client:
        async with streaming(client, json={"input": "hi"}) as reader:
            events = (await reader.rest())[:-1]
        log = await server.gateway.service.registry.store.read(events[0].json["response_id"], 0)
        assert log is not None
        assert [event.data.encode() for event in events] == log.read(0, 1000)


async def test_events_come_as_they_happen() -> None:
    async with (
        running(say("a", "b"), tick_seconds=None) as server,
        http(server) as client,
        streaming(client, json={"input": "hi"}) as reader,
    ):
        await reader.until("response.in_progress")
        await until(lambda: engine_holds(server) == 1)
        server.engine.step()
        assert [e["type"] for e in await reader.until("response.output_text.delta")][-1].endswith("delta")
        assert server.gateway.service.num_running == 1
        await finish(server)
        assert (await reader.rest())[-1].data == "[DONE]"


async def test_every_event_is_written_whole() -> None:
    """Some readers lose a line whose event comes in two pieces."""
    writes: list[bytes] = []
    async with running(say(*["a"] * 300)) as server, http(server) as client:
        original = Peer.write

        def write(self: Peer, data: bytes) -> None:
            writes.append(data)
            original(self, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Peer, "write", write)
            answer = await client.post(PATH, json={"input": "hi", "stream": True})
    assert b"".join(writes) == answer.content
    assert all(data.endswith(b"\n\n") for data in writes)
    assert len(writes) > 2


@pytest.mark.parametrize(
    "kind", [None, "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", "text/x+json"]
)
async def test_the_content_type_hardly_matters(kind: str | None) -> None:
    async with running(say("a")) as server, http(server) as client:
        headers = {} if kind is None else {"content-type": kind}
        answer = await client.post(PATH, content=b'{"input":"hi"}', headers=headers)
        assert answer.status_code == 200


async def test_members_of_the_socket_are_no_obstacle() -> None:
    async with running(say("a")) as server, http(server) as client:
        body = {"type": "response.create", "event_id": "e", "stream_id": "not valid!", "input": "hi", "stream": True}
        events = events_of((await client.post(PATH, json=body)).text)
        assert not any("stream_id" in event for event in events)
        nested = (await client.post(PATH, json={"response": {"input": "hi"}})).json()
        assert nested["status"] == "completed"


async def test_a_warm_up() -> None:
    async with running(say("a")) as server, http(server) as client:
        warm = (await client.post(PATH, json={"input": "hi", "generate": False})).json()
        assert (warm["status"], warm["output"]) == ("completed", [])
        answer = await client.post(PATH, json={"input": "go", "previous_response_id": warm["id"]})
        assert answer.json()["previous_response_id"] == warm["id"]


# -- refusals


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'{"input":', "invalid_json", None),
        (b'{"input":"\\ud800"}', "invalid_json", None),
        (b'{"input":"x","type":"response.cancel"}', "invalid_request", "type"),
        (b'{"input":5}', "invalid_request", "input"),
        (b'{"input":[{"role":"user"}]}', "invalid_request", "input[0].content"),
        (b'{"input":"x","temperature":9}', "invalid_request", "temperature"),
        (b'{"input":"x","stream":"yes"}', "invalid_request", "stream"),
        (b'{"input":"x","prompt":{"id":"p"}}', "unsupported_parameter", "prompt"),
        (b'{"input":"x","background":true,"store":false}', "invalid_request", "background"),
        (b'{"input":"x","background":true,"on_disconnect":{"policy":"cancel"}}', "invalid_request", "on_disconnect"),
        (b'{"input":"x","request_id":"a"}', "invalid_request", "request_id"),
        (b'{"input":"x","tools":' + b"[" * 70 + b"]" * 70 + b"}", "message_too_complex", None),
        (b'{"input":[' + b'{"role":"user","content":"x"},' * 30 + b"{}]}", "message_too_complex", "input"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_bad_body_is_refused_with_the_member(body: bytes, code: str, param: str | None, stream: bool) -> None:
    if stream and b'"stream"' not in body:
        body = body.replace(b'{"input":', b'{"stream":true,"input":')
    async with running(say("a"), changed(max_input_items=20)) as server, http(server) as client:
        headers = {"idempotency-key": "b"} if b"request_id" in body else {}
        assert_refused(await client.post(PATH, content=body, headers=headers), code, 400, param)
        assert server.gateway.service.num_running == 0


async def test_other_refusals_have_their_status() -> None:
    async with running(say("a")) as server, http(server) as client:
        wrong_model = await client.post(PATH, json={"input": "x", "model": "gpt"})
        assert_refused(wrong_model, "model_not_found", 404, "model")
        unknown = await client.post(PATH, json={"input": "x", "previous_response_id": "resp_x"})
        assert_refused(unknown, "previous_response_not_found", 400, "previous_response_id")
        zipped = gzip.compress(b'{"input":"x"}')
        answer = await client.post(PATH, content=zipped, headers={"content-encoding": "gzip"})
        assert "gzip" in assert_refused(answer, "unsupported_media_type", 415)["message"]
        answer = await client.post(PATH, files={"file": b"x"})
        assert_refused(answer, "unsupported_media_type", 415)


async def test_a_body_that_is_too_big() -> None:
    async with running(say("a"), changed(max_message_bytes=2000)) as server, http(server) as client:
        answer = await client.post(PATH, json={"input": "x" * 2000})
        assert "2000 bytes" in assert_refused(answer, "request_too_large", 413)["message"]

        async def endless() -> Any:
            for _ in range(50):
                yield b"x" * 1000

        assert_refused(await client.post(PATH, content=endless()), "request_too_large", 413)
        status, _, body = await raw_request(server, post(b"", length=10**12))  # refused by what it announces
        assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")
        assert (await client.post(PATH, json={"input": "x"})).status_code == 200


async def test_a_body_that_does_not_come() -> None:
    async with running(say("a"), changed(request_body_seconds=0.01)) as server:
        status, headers, body = await raw_request(server, post(b'{"input":', length=100))
        assert (status, json.loads(body)["error"]["code"]) == (408, "request_timeout")
        assert headers["connection"] == "close"
        assert headers["x-should-retry"] == "true"


async def test_an_engine_that_is_not_there_says_when_to_come_again() -> None:
    async with running(say("a")) as server, http(server) as client:
        await server.gateway.engine.shutdown()
        answer = await client.post(PATH, json={"input": "x"})
        assert_refused(answer, "engine_unavailable", 503)
        assert answer.headers["retry-after"] == "5"


async def test_a_server_that_drains() -> None:
    async with running(say("a"), tick_seconds=None) as server, http(server) as client:
        async with streaming(client, json={"input": "hi"}) as reader:
            await reader.until("response.in_progress")
            draining = asyncio.create_task(server.gateway.drain())
            await asyncio.sleep(0)
            assert_refused(await client.post(PATH, json={"input": "x"}), "server_draining", 503)
            assert not draining.done()
            await finish(server)
            assert (await reader.rest())[-1].data == "[DONE]"  # delivered before the end
        await draining


async def test_as_many_requests_as_connections() -> None:
    async with (
        running(say("a"), changed(max_connections=2), tick_seconds=None) as server,
        http(server) as client,
        streaming(client, json={"input": "hi"}) as reader,
        server.client(),
    ):
        await reader.until("response.in_progress")
        answer = await client.get("/v1/models")
        assert_refused(answer, "server_is_overloaded", 503)
        assert answer.headers["retry-after"] == "5"
        assert (await client.get("/health")).status_code == 200


# -- what goes wrong later


async def test_a_failure_before_anything_was_said_is_an_http_error() -> None:
    async with running(say(Fail()), max_model_len=40) as server, http(server) as client:
        failed = await client.post(PATH, json={"input": "hi"})
        response_id = assert_refused(failed, "server_error", 500)["response_id"]
        stored = (await client.get(f"{PATH}/{response_id}")).json()
        assert (stored["status"], stored["error"]["code"]) == ("failed", "server_error")
        too_long = await client.post(PATH, json={"input": "word " * 50})
        assert_refused(too_long, "context_length_exceeded", 400)
        empty = await client.post(PATH, json={})
        assert_refused(empty, "invalid_prompt", 400)


async def test_a_failure_after_something_was_said_is_a_failed_response() -> None:
    async with running(say("a", Fail())) as server, http(server) as client:
        answer = await client.post(PATH, json={"input": "hi"})
        response = answer.json()
        assert (answer.status_code, response["status"]) == (200, "failed")
        assert response["output"][0]["content"][0]["text"] == "a"


async def test_a_failure_in_a_stream_is_its_last_event() -> None:
    async with running(say("a", Die())) as server, http(server) as client:
        events = events_of((await client.post(PATH, json={"input": "hi", "stream": True})).text)
        assert types(events)[-1] == "failed"
        assert check(events)["error"]["code"] == "server_error"


async def test_the_rest_of_a_stream_is_delivered_when_the_server_ends() -> None:
    async with (
        running(FOREVER, tick_seconds=None) as server,
        http(server) as client,
        streaming(client, json={"input": "hi"}) as reader,
    ):
        await reader.until("response.in_progress")
        await server.gateway.service.shutdown()
        assert [event.name for event in await reader.rest()][-2:] == ["response.failed", None]


# -- clients that leave


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_at_once(stream: bool) -> None:
    async with running(FOREVER, tick_seconds=None) as server:
        sock = await RawSocket.open(server.port)
        await sock.send(post(json.dumps({"input": "hi", "stream": stream}).encode()))
        await until(lambda: engine_holds(server) == 1)
        server.engine.step()
        sock.close()
        await until(lambda: stepped(server) and engine_holds(server) == 0)
        await until(lambda: server.gateway.service.num_running == 0)
        await until(lambda: server.gateway.admission.num_requests == 0)


@pytest.mark.parametrize("how", ["reset", "end_of_sending"])
async def test_it_does_not_matter_how_it_leaves(how: str) -> None:
    async with running(FOREVER, tick_seconds=None) as server:
        sock = await RawSocket.open(server.port)
        await sock.send(post(b'{"input":"hi","stream":true}'))
        await until(lambda: engine_holds(server) == 1)
        getattr(sock, how)()
        await until(lambda: stepped(server) and server.gateway.service.num_running == 0)
        sock.close()


async def test_a_client_that_leaves_with_requests_in_the_pipeline() -> None:
    async with running(FOREVER, tick_seconds=None) as server:
        sock = await RawSocket.open(server.port)
        await sock.send(post(b'{"input":"hi","stream":true}') + post(b'{"input":"ho"}') * 3)
        await until(lambda: engine_holds(server) == 1)
        sock.close()
        await until(lambda: stepped(server) and server.gateway.service.num_running == 0)
        await until(lambda: server.gateway.admission.num_requests == 0)


async def test_requests_in_the_pipeline_are_answered_in_order() -> None:
    async with running(say("a")) as server:
        sock = await RawSocket.open(server.port)
        await sock.send(post(b'{"input":"hi","metadata":{"n":"1"}}') + post(b'{"input":"hi","metadata":{"n":"2"}}'))
        answers = [await sock.response() for _ in range(2)]
        assert [json.loads(body)["metadata"]["n"] for _, _, body in answers] == ["1", "2"]
        sock.close()


@pytest.mark.parametrize("policy", ["linger", "continue"])
async def test_a_client_may_ask_for_another_policy(policy: str) -> None:
    async with running(say("a", "b"), tick_seconds=None) as server, http(server) as client:
        body = {"input": "hi", "on_disconnect": {"policy": policy}}
        async with streaming(client, json=body) as reader:
            response_id = (await reader.until("response.in_progress"))[0]["response_id"]
        await until(lambda: server.gateway.admission.num_requests == 0)
        await finish(server)
        assert (await client.get(f"{PATH}/{response_id}")).json()["status"] == "completed"


async def test_a_client_that_is_cut_in_the_middle_of_its_body() -> None:
    async with running(say("a")) as server:
        sock = await RawSocket.open(server.port)
        await sock.send(post(b'{"input":', length=1000))
        await until(lambda: server.gateway.admission.num_requests == 1)
        sock.close()
        await until(lambda: server.gateway.admission.num_requests == 0)
        assert server.gateway.service.num_running == 0


# -- slow readers and silence


async def test_a_silent_stream_is_kept_alive() -> None:
    settings = changed(sse_keepalive_seconds=0.001)
    async with running(say("a"), settings, tick_seconds=None) as server, http(server) as client:
        async with client.stream("POST", PATH, json={"input": "hi", "stream": True}) as answer:
            text = ""
            async for chunk in answer.aiter_text():
                text += chunk
                if text.count(": keep-alive\n") == 3:
                    await finish(server)
        check(events_of(text))


async def test_openais_sdk_reads_a_stream_that_is_silent_before_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    write, comments = Peer.write, asyncio.Semaphore(0)

    def counting(peer: Peer, data: bytes) -> None:
        write(peer, data)
        if data.startswith(b":"):
            comments.release()

    monkeypatch.setattr(Peer, "write", counting)
    settings = changed(sse_keepalive_seconds=0.01)
    async with (
        running(say("a", "b", "c"), settings, tick_seconds=None) as server,
        openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as client,
    ):
        stream = await client.responses.create(model="starter", input="hi", stream=True)
        events = []
        async for event in stream:
            events.append(event.to_dict())
            if event.type in ("response.in_progress", "response.output_text.delta"):
                await comments.acquire()
                await comments.acquire()
                server.engine.step()
    assert check(events)["output"][0]["content"][0]["text"] == "abc"


async def test_a_slow_reader_costs_nobody_else_anything_and_is_told() -> None:
    settings = changed(max_log_events=200, sse_keepalive_seconds=3600)
    script = say(*["word " * 200] * 3000)
    async with running(script, settings) as server, http(server) as client:
        slow = await RawSocket.open(server.port, receive_buffer=4096)
        await slow.send(post(b'{"input":"hi","stream":true}'))
        fast = (await client.post(PATH, json={"input": "hi"})).json()["status"]
        assert fast == "completed"
        await until(lambda: server.gateway.service.num_running == 0)
        body = await _to_the_end(slow)
        slow.close()
    last = body.split(b"event: error\n")[1]
    event = json.loads(last.split(b"data: ")[1].split(b"\n\n")[0])
    assert (event["type"], event["code"], event["error"]["code"]) == ("error", "slow_reader", "slow_reader")
    assert b"data: [DONE]\n\n" in last


async def test_a_reader_that_never_reads_is_cut() -> None:
    settings = changed(sse_keepalive_seconds=0.001)
    async with running(say(*["word " * 200] * 3000), settings) as server:
        slow = await RawSocket.open(server.port, receive_buffer=4096)
        await slow.send(post(b'{"input":"hi","stream":true}'))
        await until(lambda: server.gateway.service.num_running == 1)
        await until(lambda: server.gateway.admission.num_requests == 0)
        slow.close()


async def _to_the_end(sock: RawSocket) -> bytes:
    """The rest of a chunked answer, chunk sizes and all."""
    body = b""
    while not body.endswith(b"0\r\n\r\n"):
        body += await sock.some()
    return body
