"""What a client can make the server keep is counted and bounded."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Pause, ScriptedTokenizer, Step, say
from realtime.service import sweeper
from realtime.store.memory import MemoryConversations, MemoryRequests, MemoryResponses
from tests.support.http import assert_refused, http
from tests.support.raw import RawSocket
from tests.support.server import changed, running
from tests.support.steps import until

PATH = "/v1/responses"


async def test_metadata_of_conversations_counts() -> None:
    """A conversation may be nothing but metadata."""
    metadata = {f"{n:02}" + "k" * 62: "v" * 512 for n in range(16)}
    size = len(msgspec.json.encode(metadata))
    async with running(settings=changed(max_conversation_bytes=65536, max_conversation_store_bytes=65536)) as server:
        store = server.gateway.service.conversations.store
        assert isinstance(store, MemoryConversations)
        async with http(server) as client:
            for _ in range(20):
                await client.post("/v1/conversations", json={"metadata": metadata})
            assert len(store) <= 65536 // size
            last = (await client.post("/v1/conversations", json={})).json()["id"]
            await client.post(f"/v1/conversations/{last}", json={"metadata": metadata})
            assert size <= store.num_bytes <= 65536
            await client.delete(f"/v1/conversations/{last}")
        held = [one for shelf in store._tenants.values() for one in shelf.conversations.values()]
        assert store.num_bytes == sum(one.num_bytes for one in held)


async def test_claims_are_forgotten_behind_those_that_last() -> None:
    """Four responses that run for ever do not keep the names of all that come after them."""

    def script(request: EngineRequest) -> Iterator[Step]:
        if "for ever" in ScriptedTokenizer().decode(request.prompt_token_ids):
            yield Pause(1 << 40)
        yield "x"

    settings = changed(retention_seconds=0.0, linger_seconds=0.0)
    async with running(script, settings, max_num_seqs=16) as server, http(server) as client:
        for n in range(4):
            await client.post(PATH, json={"input": "for ever", "background": True, "request_id": f"long {n}"})
        for n in range(40):
            await client.post(PATH, json={"input": "hi", "request_id": f"short {n}"})
        requests = server.gateway.service._stores.requests
        assert isinstance(requests, MemoryRequests)
        assert len(requests) < 20


async def test_a_flood_of_large_inputs_that_fail_is_bounded() -> None:
    settings = changed(max_log_bytes=1 << 16, max_store_bytes=1 << 20)
    async with running(settings=settings, max_model_len=1000) as server, http(server) as client:
        store = server.gateway.service._stores.responses
        assert isinstance(store, MemoryResponses)
        for _ in range(12):
            answer = await client.post(PATH, json={"input": "word " * 60_000})
            assert_refused(answer, "context_length_exceeded", 400)
        assert 0 < len(store._kept) <= 3
        assert store._num_bytes <= 1 << 20
        assert sum(len(str(kept.record.input)) for kept in store._kept.values()) <= store._num_bytes


@pytest.mark.parametrize("line", [b"X-Padding: y\r\n", b"y"], ids=["many headers", "a long one"])
async def test_a_head_without_end_is_cut_off(line: bytes) -> None:
    async with running(say("x")) as server:
        for start in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"):  # the second request of a connection as well
            sock = await RawSocket.open(server.port)
            await sock.send(start + b"GET /health HTTP/1.1\r\nHost: x\r\nX: y")
            for _ in range(200):
                await sock.send(line * (16384 // len(line)))
            if start:
                await sock.response()
            with pytest.raises((EOFError, ConnectionError)):
                await sock.some()
            sock.close()


async def test_nobody_has_to_ask_for_what_has_expired_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "MIN_SECONDS", 0.001)
    settings = changed(retention_seconds=3600.0, linger_seconds=0.02)
    async with running(settings=settings) as server, http(server) as client:
        store = server.gateway.service._stores.responses
        assert isinstance(store, MemoryResponses)
        kept = (await client.post(PATH, json={"input": "hi"})).json()["id"]
        await client.post(PATH, json={"input": "hi", "store": False})
        await until(lambda: list(store._kept) == [kept], "the one that is not stored to go")
    assert server.gateway.service._sweeper._timer is None
