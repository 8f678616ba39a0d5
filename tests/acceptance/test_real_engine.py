"""What only a real engine can show: cutting and resuming real answers, giving slots back, lonely responses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator

import pytest

from tests.support.long import effort
from tests.support.real import RealServer
from tests.support.server import Client, dial

pytestmark = pytest.mark.vllm

STORY = {"input": "Tell me a long story", "max_output_tokens": 300, "ignore_eos": True}


@contextlib.asynccontextmanager
async def client(real: RealServer, *, native: bool = True) -> AsyncIterator[Client]:
    async with dial(real.url, native=native) as opened:
        yield opened


async def read_raw(reader: Client, count: int | None = None) -> list[str]:
    """Raw events of the one response on this socket: so many of them, or up to the last."""
    out: list[str] = []
    while count is None or len(out) < count:
        raw = await reader.receive_raw()
        event = json.loads(raw)
        if "response_id" in event:
            out.append(raw)
            if event["done"]:
                break
    return out


async def test_cut_anywhere_and_resume_gives_the_same_bytes(real: RealServer) -> None:
    """Random cuts while real tokens flow: the joined transcript equals that of a reader who was never cut."""
    rng = random.Random(20261121)
    for _ in range(effort(1, 40)):
        cuts = sorted(rng.sample(range(1, 250), 3))
        async with client(real) as whole:
            async with client(real) as first:
                await first.send("response.create", **STORY)
                got = await read_raw(first, 1)
                response_id = json.loads(got[0])["response_id"]
                await whole.send("response.resume", response_id=response_id)
                got += await read_raw(first, cuts[0] - 1)
                first.connection.transport.abort()
            for cut in [*cuts[1:], None]:
                if json.loads(got[-1])["done"]:
                    break  # a slow engine puts several tokens into an event, so there were fewer events than that
                async with client(real) as again:
                    epoch = json.loads(got[0])["epoch"]
                    await again.send(
                        "response.resume", response_id=response_id, starting_after=len(got) - 1, epoch=epoch
                    )
                    got += await read_raw(again, cut - len(got) if cut else None)
            assert got == await read_raw(whole)


async def test_cancel_frees_the_slot_before_its_terminal(real: RealServer) -> None:
    before = real.ready()["engine_running"]
    async with client(real) as rt:
        for _ in range(effort(4, 10)):
            await rt.send("response.create", **{**STORY, "max_output_tokens": 2000})
            created = await rt.receive()
            await read_raw(rt, 20)
            await rt.send("response.cancel", response_id=created["response_id"])
            terminal = (await rt.until_done())[-1]
            state = real.ready()
            assert terminal["type"] == "response.incomplete"
            assert terminal["response"]["status"] == "cancelled"
            assert terminal["response"]["incomplete_details"] == {"reason": "cancelled"}
            assert terminal["response"]["cancel"]["tokens_generated"] >= 10
            assert terminal["response"]["usage"]["output_tokens"] >= 10
            assert state["engine_running"] + state["engine_waiting"] == before
        assert (await rt.create("count to 3", temperature=0))[-1]["type"] == "response.completed"


async def test_a_plain_clients_response_ends_with_its_socket(real: RealServer) -> None:
    async with client(real, native=False) as plain:
        await plain.send("response.create", **{**STORY, "max_output_tokens": 2000})
        response_id = (await plain.receive())["response_id"]
        await read_raw(plain, 20)
        plain.connection.transport.abort()
    await asyncio.to_thread(real.wait_until, engine_running=0, responses=0)
    async with client(real) as rt:
        await rt.send("response.resume", response_id=response_id)
        assert (await rt.receive())["type"] == "response.resumed"
        terminal = (await rt.until_done())[-1]
        assert terminal["response"]["incomplete_details"] == {"reason": "client_disconnected"}


@pytest.mark.parametrize("policy", [{"policy": "linger", "seconds": 30}, {"policy": "continue"}])
async def test_a_response_may_outlive_its_socket(real: RealServer, policy: dict[str, object]) -> None:
    async with client(real, native=False) as plain:
        await plain.send("response.create", **STORY, on_disconnect=policy)
        got = await read_raw(plain, 10)
        plain.connection.transport.abort()
    await asyncio.to_thread(real.wait_until, responses=0)
    async with client(real) as rt:
        await rt.send("response.resume", response_id=json.loads(got[0])["response_id"], starting_after=9)
        rest = await read_raw(rt)
    terminal = json.loads(rest[-1])
    assert [json.loads(raw)["sequence_number"] for raw in got + rest] == list(range(len(got) + len(rest)))
    assert terminal["response"]["usage"]["output_tokens"] == 300
