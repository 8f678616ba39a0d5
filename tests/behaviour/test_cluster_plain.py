"""A node goes down in the middle of answers to OpenAI's SDK that take longer than it may wait: what that client has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import openai
import pytest
import websockets.exceptions

from realtime.engine.scripted import say
from realtime.settings.fields import Settings
from tests.support.cluster import Member, nodes
from tests.support.patience import SECONDS
from tests.support.steps import until

WORDS = [f"w{n} " for n in range(40)]
SAID = 6  # of them, before the node goes down
ASKED: dict[str, Any] = {"model": "starter", "input": "hi"}


def client(member: Member) -> openai.AsyncOpenAI:
    http = httpx2.AsyncClient(trust_env=False, verify=False, timeout=SECONDS)
    return openai.AsyncOpenAI(api_key="unused", base_url=f"{member.http}/v1", max_retries=0, http_client=http)


def impatient() -> Settings:
    settings = Settings()
    server = msgspec.structs.replace(settings.server, drain_seconds=0.1)
    return msgspec.structs.replace(settings, server=server)


class Reader:
    """Reads a stream to its end. `error`: with which it ended."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.events: list[Any] = []
        self.error: Exception | None = None
        self.task = asyncio.create_task(self._read(stream))

    @property
    def id(self) -> str:
        response_id: str = self.events[0].response.id
        return response_id

    @property
    def deltas(self) -> list[str]:
        return [event.delta for event in self.events if event.type == "response.output_text.delta"]

    async def _read(self, stream: AsyncIterator[Any]) -> None:
        try:
            async for event in stream:
                self.events.append(event)
        except Exception as error:
            self.error = error


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_an_answer_that_is_for_its_client_alone_fails_and_one_that_is_not_goes_on() -> None:
    async with (
        nodes("a", "b", script=say(*WORDS), settings=impatient()) as found,
        client(found.members[0]) as on_a, client(found.members[1]) as on_b,
        on_a.responses.connect() as socket, on_a.responses.connect() as other,
    ):  # fmt: skip
        a = found.members[0]
        await socket.send({"type": "response.create", **ASKED})  # type: ignore[arg-type]
        await other.send({"type": "response.create", **ASKED, "on_disconnect": {"policy": "continue"}})  # type: ignore[arg-type]
        alone = [Reader(await on_a.responses.create(**ASKED, stream=True)), Reader(aiter(socket))]
        going_on = [Reader(await on_a.responses.create(**ASKED, stream=True, background=True)), Reader(aiter(other))]
        await until(lambda: len(a.running) == 4, "all four")
        while any(len(one.deltas) < SAID for one in [*alone, *going_on]):
            if all(len(one.deltas) == len(alone[0].deltas) for one in [*alone, *going_on]):
                a.engine.step()
            await asyncio.sleep(0.001)
        await a.gateway.drain()
        await asyncio.gather(*(one.task for one in [*alone, *going_on]))
        for one in alone:
            assert (one.events[-1].type, one.deltas) == ("response.failed", WORDS[:SAID])
            kept = await on_b.responses.retrieve(one.id)
            assert kept.to_dict() == one.events[-1].response.to_dict()
            assert (kept.status, kept.output_text) == ("failed", "".join(WORDS[:SAID]))
            assert kept.error is not None
            assert kept.error.code == "server_error"
        assert alone[0].error is None
        assert isinstance(going_on[0].error, openai.APIError)
        for one in (alone[1], going_on[1]):
            assert isinstance(one.error, websockets.exceptions.ConnectionClosedError)
            assert one.error.rcvd is not None
            assert one.error.rcvd.code == 1012
        for one in going_on:
            assert one.events[-1].type == "response.output_text.delta"
            after = one.events[-1].sequence_number
            rest = await on_b.responses.retrieve(one.id, stream=True, starting_after=after)
            reader = Reader(aiter(rest))
            await found.while_stepping(asyncio.wait_for(reader.task, 60))
            events = [*one.events, *reader.events]
            assert [event.sequence_number for event in events] == list(range(len(events)))
            assert events[-1].response.output_text == "".join([*one.deltas, *reader.deltas]) == "".join(WORDS)
