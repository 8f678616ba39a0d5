"""Requests that are expensive to prepare: refused where they can't fit, given up when nobody waits, in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from realtime.context.turns import Prompt
from realtime.dialects.chat import ChatDialect
from realtime.engine.scripted import say
from realtime.runs.renderer import LONG
from realtime.runs.rendering_cost import cost
from realtime.wire.requests import ResponseCreate
from tests.support.http import assert_refused, http
from tests.support.server import Running, changed, running
from tests.support.steps import begin, cut, engine_holds, until
from tests.support.transcript import types

COUNT = "/v1/responses/input_tokens"
WINDOW = 4096
TEXT = "word " * 100_000
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
TOO_LONG: dict[str, dict[str, Any]] = {
    "input": {"input": TEXT},
    "one word": {"input": "a" * 500_000},
    "not ASCII": {"input": "漢" * 300_000},
    "instructions": {"input": "x", "instructions": TEXT},
    "an output": {"input": [CALL, {"type": "function_call_output", "call_id": "c", "output": TEXT}]},
    "items": {"input": [{"role": "user", "content": "w"}] * 9_999},
    "parts": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "ww"}] * 50_000}]},
    "tools": {
        "input": "x",
        "tools": [{"type": "function", "name": f"f{n}", "description": "what it does " * 300} for n in range(100)],
    },
    "nothing to leave out": {"input": TEXT, "truncation": "auto"},
}  # fmt: skip


class Patient:
    """Renderings that begin and do not end until they are let go. `wanted`: what the latest was told at its end."""

    def __init__(self, stubborn: bool) -> None:
        self.num_begun = 0
        self.go = threading.Event()
        self.wanted: bool | None = None
        self.stubborn = stubborn

    def wait(self, is_wanted: Callable[[], bool]) -> None:
        self.num_begun += 1
        while not self.go.wait(0.001):
            if not self.stubborn and not is_wanted():
                break
        self.wanted = is_wanted()


@contextlib.asynccontextmanager
async def slow(
    monkeypatch: pytest.MonkeyPatch, *, longer_than: int = LONG, stubborn: bool = False, **settings: Any
) -> AsyncIterator[tuple[Running, Patient]]:
    """A server that renders what is long as if it took for ever."""
    patient = Patient(stubborn)
    render = ChatDialect.render

    def slowly(self: ChatDialect, request: ResponseCreate, tools: Any, items: Any, parent: Any, *rest: Any) -> Prompt:
        if cost(request, tools, items, longer_than) >= longer_than:
            patient.wait(rest[0])
        return render(self, request, tools, items, parent, *rest)

    monkeypatch.setattr(ChatDialect, "render", slowly)
    async with running(say("ok"), changed(**settings), max_model_len=2_000_000) as server:
        try:
            yield server, patient
        finally:
            patient.go.set()


@pytest.mark.parametrize("what", TOO_LONG)
async def test_what_can_not_fit_is_refused_in_words(what: str) -> None:
    body = TOO_LONG[what]
    async with running(say("ok"), max_model_len=WINDOW) as server, server.client() as client, http(server) as rest:
        encoded: list[int] = []
        dialect = server.gateway.service._servings.now().dialect
        assert isinstance(dialect, ChatDialect)
        encode = dialect._encoder._encode

        def counted(text: str) -> list[int]:
            encoded.append(len(text))
            return encode(text)

        dialect._encoder._encode = counted
        await client.send("response.create", **body)
        events = await client.until_done()
        assert types(events)[-1] == "failed"
        error = events[-1]["response"]["error"]
        assert error["code"] == "context_length_exceeded"
        assert f"window holds {WINDOW}" in error["message"]
        assert sum(encoded) < 150_000, "little of it is tokenized"
        answer = assert_refused(await rest.post(COUNT, json=body), "context_length_exceeded", 400, "input")
        assert f"more than {WINDOW} tokens" in answer["message"]
        assert (await client.create("hi"))[-1]["type"] == "response.completed"


async def test_what_is_a_little_too_long_is_counted() -> None:
    async with running(say("ok"), max_model_len=WINDOW) as server, http(server) as rest, server.client() as client:
        counted = (await rest.post(COUNT, json={"input": "x" * 5000})).json()["input_tokens"]
        assert counted > 5000
        message = (await client.create("x" * 5000))[-1]["response"]["error"]["message"]
        assert message.startswith(f"The input has {counted} tokens; ")


async def test_nobody_waits_for_what_is_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(monkeypatch, longer_than=200_000) as (server, patient), server.client() as client:
        for lane in range(8):
            await client.send("response.create", input="x" * 300_000, stream_id=f"heavy{lane}")
        await until(lambda: patient.num_begun == 1)
        async with server.client() as other:
            for size in (100, 10_000, 100_000):
                assert (await other.create("x" * size))[-1]["type"] == "response.completed"
        assert patient.num_begun == 1
        assert server.gateway.service._work.num_waiting == 7


async def test_a_lost_client_ends_the_rendering_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(monkeypatch) as (server, patient):
        async with server.client() as client:
            await begin(client, "x" * 10_000)
            await until(lambda: patient.num_begun == 1)
            await cut(client)
        await until(lambda: not server.gateway.service.num_running)
        await until(lambda: patient.wanted is False)
        assert engine_holds(server) == 0


async def test_a_count_that_nobody_waits_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(monkeypatch) as (server, patient), http(server) as rest:
        counting = asyncio.create_task(rest.post(COUNT, json={"input": "x" * 10_000}))
        await until(lambda: patient.num_begun == 1)
        counting.cancel()
        await until(lambda: patient.wanted is False)
        with pytest.raises(asyncio.CancelledError):
            await counting
        await until(lambda: not server.open_connections)


async def test_a_count_that_waits_and_is_given_up_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(monkeypatch, stubborn=True) as (server, patient), http(server) as rest:
        work = server.gateway.service._work
        counting = [asyncio.create_task(rest.post(COUNT, json={"input": "x" * 10_000})) for _ in range(3)]
        await until(lambda: patient.num_begun == 2 and work.num_waiting == 1)
        for task in counting:
            task.cancel()
        await until(lambda: work.num_waiting == 0)
        patient.go.set()
        await asyncio.gather(*counting, return_exceptions=True)
        assert patient.num_begun == 2


async def test_what_takes_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = slow(monkeypatch, stubborn=True, preparation_seconds=0.05)
    async with waiting as (server, _), server.client() as client, http(server) as rest:
        error = (await client.create("x" * 10_000))[-1]["response"]["error"]
        assert (error["code"], "0.05 seconds" in error["message"]) == ("invalid_prompt", True)
        assert_refused(await rest.post(COUNT, json={"input": "x" * 10_000}), "invalid_prompt", 400)
        assert (await client.create("short"))[-1]["type"] == "response.completed"


async def test_who_waits_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(monkeypatch, stubborn=True) as (server, patient), server.client() as client, http(server) as rest:
        for lane in range(2):
            await client.send("response.create", input="x" * 10_000, stream_id=f"held{lane}")
        await until(lambda: patient.num_begun == 2)
        server.gateway.service._work._max_seconds = 0.05
        async with server.client() as other:
            error = (await other.create("x" * 10_000))[-1]["response"]["error"]
        assert (error["code"], "did not leave room" in error["message"]) == ("server_is_overloaded", True)
        refused = await rest.post(COUNT, json={"input": "x" * 10_000})
        assert_refused(refused, "server_is_overloaded", 503)
        assert refused.headers["retry-after"]
