"""A whole server on several engines that lie, hang and die: every client gets one end, and no place is left taken."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from realtime.engine.backoff import Backoff
from realtime.engine.base import ModelInfo, Sampling
from realtime.engine.options import RemoteOptions, VllmOptions
from realtime.engine.remote.engine import RemoteEngine
from realtime.engine.scripted_tokenizer import ScriptedTokenizer
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.gateway import Gateway
from realtime.store.memory.stores import memory_stores
from tests.support.http import http
from tests.support.long import effort
from tests.support.server import Running, changed, listening
from tests.support.token_engine import KEY, TokenEngine, token_engines

from .fleet import Front, no_grammars
from .test_adversary import QUICK, plays


class _Front(Front):
    """With a tokenizer that reads prompts."""

    tokenizer: Any = ScriptedTokenizer()
    vocab_size = 1 << 31
    model = ModelInfo(name="starter", path="starter", max_model_len=4096, defaults=Sampling(max_tokens=30))


def made(engines: list[TokenEngine]) -> Gateway:
    """A server on these."""
    settings = changed(engine_wait_seconds=1)
    remote = RemoteOptions(engine_url=tuple(one.url for one in engines), **QUICK)

    async def front() -> Any:
        return _Front()

    def engine() -> RemoteEngine:
        return RemoteEngine(VllmOptions(), remote, KEY, front, None, no_grammars())

    supervised = SupervisedEngine(engine, Backoff(first_seconds=0, jitter=0))
    return Gateway(settings, supervised, memory_stores(settings.responses))


async def ask(server: Running, rng: random.Random) -> dict[str, Any]:
    """One answer, which may be cancelled; its last event."""
    async with server.client() as client:
        await client.send("response.create", input="a" * rng.choice([1, 200]), max_output_tokens=20, temperature=0)
        first = await client.receive()
        if first["done"]:
            return first
        if rng.random() < 0.3:
            await asyncio.sleep(rng.random() / 10)  # at some moment
            await client.send("response.cancel", response_id=first["response_id"])
        return (await client.until_done())[-1]


def code_of(end: dict[str, Any]) -> str | None:
    error = end["response"]["error"]
    return None if error is None else str(error["code"])


@pytest.mark.parametrize("seed", range(effort(2, 60)))
async def test_every_client_gets_one_end(seed: int) -> None:
    rng = random.Random(seed)
    async with token_engines(3) as engines:
        for one in engines:
            one.max_model_len = 4096
        gateway = made(engines)
        async with listening(gateway.settings, gateway) as (process, port):
            server = Running(gateway, [], process, port)
            for one in engines:
                one.play = [rng.choice(plays(rng.choice([0, 1, 7]))) for _ in range(40)]
            ends = await asyncio.gather(*(ask(server, rng) for _ in range(12)))
            assert {end["response"]["status"] for end in ends} <= {"incomplete", "failed", "cancelled"}
            assert {code_of(end) for end in ends} <= {None, "server_error", "server_is_overloaded", "invalid_prompt"}
            for one in engines:
                one.play = []
            async with http(server) as door, asyncio.timeout(120):
                while (state := (await door.get("/ready")).json())["engine"] != "ready" or state["responses"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # between two looks
                assert state["engine_running"] + state["engine_waiting"] == 0
            async with server.client() as client:
                last = (await client.create(max_output_tokens=20))[-1]["response"]
    assert (last["status"], last["usage"]["output_tokens"]) == ("incomplete", 20)
