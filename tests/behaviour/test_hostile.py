"""Hostile input: each gets its documented error or close code, the server lives, and others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import random
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.scripted import RandomScript, say
from realtime.server import process
from realtime.server import websocket_transport as transport
from tests.support.logs import logging_restored
from tests.support.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket, frame, handshake, text
from tests.support.server import Running, changed, running, sink_of
from tests.support.steps import engine_holds, make_keys, until
from tests.support.transcript import check

INVALID = "invalid_request"


def messages() -> Iterator[tuple[str, bytes, str | set[str]]]:
    """Name, message, and the code of the error that answers it."""
    # not an object
    for index, data in enumerate([
        b"", b" ", b"{", b"}", b"[", b"]", b"[]", b"null", b"true", b"0", b'""', b"nonsense", b"{]", b"{}{}", b"{},",
        b'{"type":"response.create"', b"{'type':'response.create'}", b'{"type":"response.create",}', b"\0",
        b"\xef\xbb\xbf{}",
        b'{"type":NaN}', b'{"type":"response.create","temperature":NaN}',
        b'{"type":"response.create","top_p":Infinity}',
        b'{"type":"response.create","top_p":-Infinity}', b'{"type":"response.create","input":"\\ud800"}',
        b'{"type":"response.create","input":"\\udc00\\ud800"}', b'{"type":"response.create","input":"\\x41"}',
        b'{"type":"response.create","input":"a\nb"}', b'{"type":"response.create","seed":01}', b'{"a":"\\u12"}',
        b'{"type":"response.create","n":1e}', b'{"type":"response.create","n":+1}',
        b'{"type":"response.create","n":.5}',
    ]):  # fmt: skip
        yield f"json{index}", data, "invalid_json"
    # unknown events
    kinds: list[Any] = [
        None, "", "x", "response", "response.created", "RESPONSE.CREATE", "response.create ", "response.append",
        "session.created", "__proto__", "constructor", 5, 1.5, True, [], {}, ["response.create"], "a" * 10_000,
        "\u0000", "response.create\u0000", "😀", "error", "close", "raw", "toString",
    ]  # fmt: skip
    for index, kind in enumerate(kinds):
        yield f"type{index}", json.dumps({"type": kind}).encode(), "unsupported_event_type"
    yield "no type", b"{}", "unsupported_event_type"
    # every member with types that it does not take
    wrong: dict[str, list[Any]] = {
        "model": [5, [], {}, True, "m" * 513], "input": [5, {}, True, 1.5], "instructions": [5, [], {}],
        "previous_response_id": [5, [], {}, "p" * 257], "store": ["yes", 1, []], "max_output_tokens": [0, -1, 1.5,
        "1", 2**31, 10**40],
        "temperature": [-0.1, 2.1, "1", [], 10**400], "top_p": [0, 1.1, -1, "x"], "presence_penalty": [-3, 3, "x"],
        "frequency_penalty": [-3, 3, "x"], "top_logprobs": [-1, 21, "x", 1.5], "text": [5, "x", [], {"format": 5},
        {"verbosity": "x"}],
        "reasoning": [5, "x", {"effort": "x"}, {"effort": 5}, {"summary": "x"}], "tools": [5, "x", {}, [5], ["x"],
        [[]]],
        "tool_choice": [5, [], True], "parallel_tool_calls": ["x", 5], "max_tool_calls": [0, "x"], "truncation": ["x",
        5],
        "include": [5, "x", [5], ["x"] * 65], "metadata": [5, [], {"a": 5}, {"a": "x" * 513},
        {str(n): "x" for n in range(17)}],
        "user": [5, "x" * 513], "prompt_cache_key": [5], "service_tier": [5], "background": ["x", 5],
        "generate": ["x", 0],
        "top_k": [-2, "x", 1.5], "min_p": [-1, 2, "x"], "repetition_penalty": [0, 11, "x"], "seed": ["x", 1.5, 2**63,
        -(2**63) - 1],
        "stop": [5, {}, [5], ["x"] * 17], "ignore_eos": ["x"], "cache_salt": [5], "request_id": [5, "x" * 257, []],
        "on_disconnect": [5, "cancel", {}, {"policy": "x"}, {"policy": "linger", "seconds": -1}], "event_id": [5, [],
        "e" * 257],
        "response": [5, "x", []],
    }  # fmt: skip
    for member, values in wrong.items():
        for index, value in enumerate(values):
            event = {"type": "response.create", "input": "hi", member: value}
            yield f"{member}{index}", json.dumps(event).encode(), {INVALID, "invalid_json"}
    # items
    items: list[Any] = [
        5, "x", [], None, {}, {"type": 5}, {"type": "x"}, {"type": "message"}, {"role": "user"}, {"role": "x",
        "content": "a"},
        {"role": "user", "content": 5}, {"role": "user", "content": [5]}, {"role": "user", "content": [{"type": "x"}]},
        {"role": "user", "content": [{"type": "input_text"}]}, {"role": "user", "content": [{"type": "input_text",
        "text": 5}]},
        {"type": "function_call"}, {"type": "function_call", "call_id": 5, "name": "x", "arguments": "x"},
        {"type": "function_call_output", "call_id": "x"}, {"type": "function_call_output", "call_id": "x", "output": 5},
        {"type": "reasoning", "summary": 5}, {"type": "__proto__"},
    ]  # fmt: skip
    for index, item in enumerate(items):
        yield f"item{index}", json.dumps({"type": "response.create", "input": [item]}).encode(), INVALID
    # lanes
    for index, stream_id in enumerate([
        "", " ", "a b", "a/b", "ä", "\u0000", "a\n", "\x1b[31m", "a" * 257, 5, 1.5, True, [], {}, ["a"], "a\u2028b",
        "😀", "<x>",
    ]):  # fmt: skip
        event = {"type": "response.create", "input": "x", "stream_id": stream_id}
        yield f"lane{index}", json.dumps(event).encode(), "invalid_stream_id"
    # the other events
    refused: dict[str, list[dict[str, Any]]] = {
        "response.resume": [{}, {"response_id": 5}, {"response_id": "x", "starting_after": "1"},
        {"response_id": "x" * 257},
                            {"response_id": "x", "starting_after": -2}, {"response_id": "x", "starting_after": 2**60},
                            {"response_id": "x", "starting_after": 1e300}, {"response_id": "x", "epoch": []}],
        "response.detach": [{}, {"response_id": None}, {"response_id": []}],
        "response.cancel": [{"response_id": 5}, {"response_id": {}}, {"response_id": "x" * 257}],
    }  # fmt: skip
    for kind, members in refused.items():
        for index, given in enumerate(members):
            yield f"{kind}{index}", json.dumps({"type": kind, **given}).encode(), INVALID
        yield f"{kind} unknown", json.dumps({"type": kind, "response_id": "resp_x"}).encode(), "response_not_found"
    # too much
    deep = b'{"type":"response.create","input":"x","tools":[' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"]}"
    yield "deep objects", deep, "message_too_complex"
    yield "100000 brackets", b'{"type":"response.create","input":' + b"[" * 100_000, "message_too_complex"
    yield "100000 nested", b"[" * 100_000 + b"]" * 100_000, "message_too_complex"
    yield "100000 closing", b"]" * 100_000, "invalid_json"
    yield (
        "many items",
        b'{"type":"response.create","input":[' + b",".join([b'{"role":"user","content":"x"}'] * 10_001) + b"]}",
        "message_too_complex",
    )
    yield (
        "many values",
        b'{"type":"response.create","x":[' + b",".join([b"[]"] * 1_000_001) + b"]}",
        "message_too_complex",
    )
    yield "brackets in strings", json.dumps({"type": "x", "a": "[{" * 50_000}).encode(), "unsupported_event_type"
    yield "escapes", b'{"type":"x","a":"' + b'\\"[' * 50_000 + b'"}', "unsupported_event_type"
    yield "long digits", b'{"type":"response.create","seed":' + b"9" * 100_000 + b"}", {INVALID, "invalid_json"}
    yield "long key", b'{"' + b"k" * 100_000 + b'":1}', "unsupported_event_type"
    yield "long id", json.dumps({"type": "x", "event_id": "e" * 1_000_000}).encode(), "unsupported_event_type"
    yield "long enum", json.dumps({"type": "response.create", "truncation": "t" * 1_000_000}).encode(), INVALID
    yield "duplicate type", b'{"type":"response.create","type":"nonsense"}', "unsupported_event_type"
    for name in ("__proto__", "constructor", "prototype", "__class__", "items", "__dict__"):
        yield (
            f"key {name}",
            json.dumps({"type": "x", name: {"type": "response.create"}}).encode(),
            "unsupported_event_type",
        )


MESSAGES = list(messages())


def frames() -> Iterator[tuple[str, bytes, set[int]]]:
    """Name, bytes after the handshake, and the close codes that may answer them."""
    yield "utf-8 in text", frame(TEXT, b'{"type":"\xff"}'), {1007}
    yield "half a code point", frame(TEXT, "é".encode()[:1]), {1007}
    yield "surrogate in utf-8", frame(TEXT, b"\xed\xa0\x80"), {1007}
    yield "utf-8 over fragments", frame(TEXT, b"\xff", fin=False) + frame(CONTINUATION, b"x"), {1007}
    yield "overlong", frame(TEXT, b"\xc0\x80"), {1007}
    yield "not masked", frame(TEXT, b"{}", masked=False), {1002}
    for rsv in (1, 2, 4, 7):
        yield f"rsv {rsv}", frame(TEXT, b"{}", rsv=rsv), {1002}
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"opcode {opcode}", frame(opcode, b"x"), {1002}
    yield "continuation of nothing", frame(CONTINUATION, b"x"), {1002}
    yield "text within a message", frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), {1002}
    yield "binary within a message", frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"), {1002}
    for opcode in (PING, PONG, CLOSE):
        yield f"control {opcode} in fragments", frame(opcode, b"", fin=False), {1002}
        yield f"control {opcode} too long", frame(opcode, b"\x03\xe8" + b"x" * 200), {1002}
    yield "close of one byte", frame(CLOSE, b"\x03"), {1002}
    for code in (0, 999, 1004, 1005, 1006, 1016, 2999, 5000, 65535):
        yield f"close {code}", frame(CLOSE, struct.pack("!H", code)), {1002}
    yield "close with bad utf-8", frame(CLOSE, b"\x03\xe8\xff"), {1002, 1007}
    yield "too big", frame(TEXT, b"x" * 70_000), {1009}
    yield "announced too big", b"\x81\xff" + struct.pack("!Q", 2**40) + b"\0\0\0\0", {1009}
    yield "announced absurd", b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", {1002, 1009}
    yield "too big in fragments", frame(TEXT, b"x" * 40_000, fin=False) + frame(CONTINUATION, b"x" * 40_000), {1009}
    yield "compressed though not agreed", frame(TEXT, zlib.compress(b"{}"), rsv=4), {1002}
    rng = random.Random(5)
    for index in range(20):
        yield f"noise {index}", rng.randbytes(rng.choice([3, 50, 2000])) + b"\x83\x00" * 3000, {1002, 1006, 1007, 1009}


FRAMES = list(frames())


def knocks() -> Iterator[tuple[str, bytes, set[int]]]:
    """Name, bytes instead of a handshake, and the HTTP statuses that may answer them; 0: closed without a word."""
    bad = {0, 400}
    yield "garbage", b"\0\1\2\3" * 100 + b"\r\n\r\n", bad
    yield "tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200, bad
    yield "frames at once", frame(TEXT, b"{}") * 3, bad
    yield "no version", handshake("/v1/responses", "Sec-WebSocket-Version:"), {400, 426}
    yield "old version", handshake("/v1/responses", "Sec-WebSocket-Version: 8"), {400, 426}
    yield "no key", handshake("/v1/responses", "Sec-WebSocket-Key:"), {400}
    yield "bad key", handshake("/v1/responses", "Sec-WebSocket-Key: nonsense"), {400}
    yield "post", handshake(method="POST"), {0, 400, 405}
    yield "put", handshake(method="PUT"), {0, 400, 405}
    yield "http/1.0", handshake(version="HTTP/1.0"), {0, 101, 400, 426}
    yield "http/9", handshake(version="HTTP/9.9"), bad
    yield "elsewhere", handshake("/nothing"), {403, 404}
    yield "bytes in the path", handshake("/v1/responses?\udcff\udcfe"), {0, 101, 400}
    yield "bytes in a header", handshake("/v1/responses", "X-Bytes: \udcff\udcfe"), {0, 101, 400}
    yield "bytes in the origin", handshake("/v1/responses", "Origin: \udcff"), {0, 400, 403}
    yield "bytes in the key", handshake("/v1/responses", "Authorization: Bearer \udcff"), {0, 101, 400}
    yield "bytes in the protocol", handshake("/v1/responses", "Sec-WebSocket-Protocol: \udcff"), {0, 101, 400}
    yield "null in the path", handshake("/v1/responses\0"), bad
    yield "long header", handshake("/v1/responses", "X-Long: " + "x" * 100_000), {0, 101, 400, 431}
    yield "many headers", handshake("/v1/responses", *(f"X-{n}: x" for n in range(2000))), {0, 101, 400, 431}
    yield "bad extension", handshake("/v1/responses", "Sec-WebSocket-Extensions: ;;,=,"), {101, 400}
    yield "bad protocol", handshake("/v1/responses", "Sec-WebSocket-Protocol: ,,;"), {101, 400}
    yield "no headers", b"GET /v1/responses HTTP/1.1\r\n\r\n", {400, 426}
    yield "dots", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}


KNOCKS = list(knocks())


class Witness:
    """A client whose answer streams on another socket the whole time; at the end nothing of it may be missing."""

    def __init__(self, server: Running) -> None:
        self._server = server

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        server = self._server
        async with server.client(native=True) as client:
            await client.send("response.create", input="witness")
            raw = [await client.receive_raw()]
            response_id = json.loads(raw[0])["response_id"]
            log = server.gateway.service.registry.running[response_id].log
            server.engine.step(3)
            yield
            server.engine.step()
            await asyncio.sleep(0)
            assert server.gateway.service.num_running >= 1, "the witness still streams"
            server.engine.run_until_idle()
            while not json.loads(raw[-1])["done"]:
                raw.append(await client.receive_raw())
            assert [message.encode() for message in raw] == log.read(0, len(raw) + 1)
            assert check([json.loads(message) for message in raw])["status"] == "completed"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What the server's own logging set-up writes, at its most talkative."""
    root, stream = logging.getLogger(), io.StringIO()
    with logging_restored() as handlers:
        process._configure_logging("debug")
        for handler in root.handlers:
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(stream)
        for other in handlers:
            root.addHandler(other)
        yield stream


SCRIPT = RandomScript(seed=6, min_tokens=200, max_tokens=200)


def test_there_are_enough_of_them() -> None:
    assert len(MESSAGES) + len(FRAMES) + len(KNOCKS) >= 300
    names = [name for name, *_ in MESSAGES + FRAMES + KNOCKS]
    assert len(names) == len(set(names))


async def test_hostile_messages_are_answered_by_what_is_wrong_with_them() -> None:
    async with running(SCRIPT, tick_seconds=None) as server, Witness(server).watching(), server.client() as client:
        for name, message, codes in MESSAGES:
            await client.connection.send(message, text=True)
            event = await client.receive()
            assert event["type"] == "error", (name, event)
            assert event["error"]["code"] in ({codes} if isinstance(codes, str) else codes), (name, event)
            assert len(json.dumps(event)) < 2000, f"{name}: the answer must not grow with the question"
            assert 400 <= event["status"] < 500, name
            assert not event["error"]["retry"], name
        await client.connection.send(b"\x00\x01")
        assert (await client.receive())["error"]["code"] == "invalid_json"
        await client.send("response.create", input="still there?", generate=False)
        assert (await client.receive())["type"] == "response.created"


async def test_hostile_frames_close_their_own_socket_only() -> None:
    settings = changed(max_message_bytes=65_536)
    async with running(SCRIPT, settings, tick_seconds=None) as server, Witness(server).watching():
        for name, data, codes in FRAMES:
            raw = await RawSocket.upgraded(server.port)
            await raw.send(data)
            assert await raw.close_code() in codes, name
            raw.close()
        await until(lambda: server.gateway.admission.num_connections == 1)
        await until(lambda: server.open_connections == 1)


async def test_hostile_handshakes_are_refused() -> None:
    async with running(SCRIPT, tick_seconds=None) as server, Witness(server).watching():
        for name, data, statuses in KNOCKS:
            raw = await RawSocket.open(server.port)
            await raw.send(data)
            status, _, _ = await raw.response()
            assert status in statuses, (name, status)
            raw.close()
        for length in (1, 20, 60, 120):  # half a handshake, then gone
            for leave in (RawSocket.close, RawSocket.reset):
                raw = await RawSocket.open(server.port)
                await raw.send(handshake()[:length])
                leave(raw)
        for leave in (RawSocket.close, RawSocket.reset):
            for _ in range(20):  # a whole one, and gone before the answer
                raw = await RawSocket.open(server.port)
                await raw.send(handshake())
                leave(raw)
        await until(lambda: server.open_connections == 1)


async def test_frames_that_are_odd_and_legal_are_understood() -> None:
    create = json.dumps({"type": "response.create", "input": "hi", "generate": False}).encode()
    pieces = [create[i : i + 7] for i in range(0, len(create), 7)]
    async with running(SCRIPT) as server:
        for data in [
            frame(TEXT, create[:1], fin=False) + b"".join(frame(CONTINUATION, p, fin=False) for p in [create[1:]])
            + frame(CONTINUATION, b""),
            frame(TEXT, b"", fin=False) + b"".join(frame(CONTINUATION, p, fin=False) for p in pieces)
            + frame(CONTINUATION),
            frame(TEXT, create[:9], fin=False) + frame(PING, b"x") + frame(CONTINUATION, create[9:]),
            frame(PONG, b"unasked") + frame(PONG) + frame(TEXT, b"  " + create + b"\n"),
        ]:  # fmt: skip
            raw = await RawSocket.upgraded(server.port)
            for index in range(len(data)):  # byte by byte
                await raw.send(data[index : index + 1])
            while (await_frame := await raw.frame())[0] == PONG:
                pass
            assert json.loads(await_frame[1])["type"] == "response.created"
            raw.close()


async def test_a_flood_of_wrong_messages_is_answered_one_by_one_and_holds_up_nobody() -> None:
    async with running(say("x"), tick_seconds=0) as server, server.client() as other:
        raw = await RawSocket.upgraded(server.port)
        flood = asyncio.create_task(raw.send(frame(TEXT, b"{}") * 3000))
        for _ in range(5):
            assert check(await other.create())["status"] == "completed"
        for number in range(3000):
            assert (await raw.event())["sequence_number"] == number
        await flood
        raw.close()


async def test_a_flood_that_is_not_read_ends_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CLOSE_SECONDS", 0.05)  # really waited for
    async with running(say("x")) as server:
        raw = await RawSocket.upgraded(server.port, receive_buffer=4096)
        [shell] = server.gateway.sockets.shells
        await raw.send(frame(TEXT, json.dumps({"type": "x", "event_id": "e" * 200}).encode()) * 30_000)
        control = shell._connection._control
        assert len(control) <= 1000
        assert await raw.close_code() in (1006, 1008)
        await until(lambda: server.gateway.admission.num_connections == 0)
        raw.close()


async def test_a_message_of_very_many_fragments_costs_its_bytes_only() -> None:
    async with running(say("x")) as server:
        raw = await RawSocket.upgraded(server.port)
        [shell] = server.gateway.sockets.shells
        await raw.send(frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b" " * 64, fin=False) * 20_000)
        await raw.send(frame(PING, b"x"))
        assert (await raw.frame())[0] == PONG
        assert len(sink_of(shell).frames) == 1
        raw.close()


@pytest.mark.parametrize(
    "idle",
    [
        frame(PING, b"x" * 125),
        frame(PONG),
        frame(PING) + frame(PONG, b"x"),
        frame(TEXT),
        frame(BINARY),
        frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}"),
        frame(TEXT, fin=False) + frame(CONTINUATION, b"{}" * 100),
    ],
    ids=[
        "pings",
        "pongs",
        "both",
        "empty texts",
        "empty binaries",
        "texts in fragments",
        "texts that begin with nothing",
    ],
)
async def test_frames_that_say_nothing_end_the_socket_and_hold_up_nobody(idle: bytes) -> None:
    async with running(say("x"), tick_seconds=0) as server, server.client() as other:
        raw = await RawSocket.upgraded(server.port)
        flood = asyncio.create_task(raw.send(idle * 30_000))
        closed = asyncio.create_task(raw.close_code())
        assert check(await other.create())["status"] == "completed"
        assert await closed in (1006, 1008), "1006: what it has sent since was not read, so the system resets"
        await flood
        raw.close()
        raw = await RawSocket.upgraded(server.port)
        await raw.send(idle * 400)  # what nobody does either, and is still served
        await raw.send(frame(TEXT, b"?") + frame(PING, b"are you there?"))
        while (await raw.frame()) != (PONG, b"are you there?"):
            pass
        raw.close()


async def test_empty_fragments_of_one_message_end_the_socket() -> None:
    async with running(say("x")) as server:
        raw = await RawSocket.upgraded(server.port)
        await raw.send(frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"", fin=False) * 1_100)
        assert await raw.close_code() == 1008
        raw.close()


async def test_many_messages_in_one_read_are_taken_one_by_one() -> None:
    """Behind a message that has not been taken nothing is parsed: it costs the others no time."""
    async with running(say("x")) as server:
        raw = await RawSocket.upgraded(server.port)
        [shell] = server.gateway.sockets.shells
        sink = sink_of(shell)
        message = frame(TEXT, b"{}")
        sink.data_received(message * 5_000)
        assert sink.queue.qsize() <= 4096 // len(message) + 1
        for number in range(5_000):
            assert (await raw.event())["sequence_number"] == number
        raw.close()


async def test_a_bomb_of_compressed_nothing_is_stopped() -> None:
    settings = changed(permessage_deflate=True, max_message_bytes=65_536)
    async with running(say("x"), settings) as server:
        offer = "Sec-WebSocket-Extensions: permessage-deflate"
        packer = zlib.compressobj(wbits=-12)
        bomb = packer.compress(b" " * 10_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
        raw = await RawSocket.upgraded(server.port, offer)
        await raw.send(frame(TEXT, bomb[:-4], rsv=4))
        assert await raw.close_code() == 1009
        raw.close()
        raw = await RawSocket.upgraded(server.port, offer)
        await raw.send(frame(TEXT, b"\xff" * 50, rsv=4))
        assert await raw.close_code() in (1002, 1007)
        raw.close()


async def test_no_secret_reaches_the_log_and_no_client_an_error_in_it(tmp_path: Path, output: io.StringIO) -> None:
    key = make_keys(tmp_path / "keys.json", "anna")["anna"]
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    wrong = "rt_" + "wrong-secret" * 4
    async with running(SCRIPT, settings) as server:
        for secret in (key, wrong):
            for path, *lines in [
                ("/v1/responses", f"Authorization: Bearer {secret}"),
                ("/v1/responses", f"api-key: {secret}"),
                ("/v1/responses", f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{secret}"),
                (f"/v1/responses?api_key={secret}", f"api-key: {secret}"),
                (f"/v1/responses?key={secret}&token={secret}", f"api-key: {secret}", "Origin: https://evil.example"),
                (f"/nothing?api_key={secret}", f"api-key: {secret}"),
            ]:
                raw = await RawSocket.open(server.port)
                await raw.send(handshake(path, *lines))
                if (await raw.response())[0] == 101:
                    await raw.send(text(type="response.create", input="hi", model=secret))
                    await raw.event()
                    await raw.send(frame(TEXT, b'{"key":"' + secret.encode() + b"\xff"))
                    await raw.close_code()
                raw.close()
        await until(lambda: server.open_connections == 0)
        assert engine_holds(server) == 0
    said = output.getvalue()
    assert "connected session=" in said, "it was talkative"
    assert key not in said
    assert key[3:] not in said
    assert wrong not in said
    assert "Traceback" not in said
    assert " ERROR " not in said
