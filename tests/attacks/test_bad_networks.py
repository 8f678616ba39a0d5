"""Foreign clients over bad networks: torn into bytes, silent between keep-alives, and slower than an interruption."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Pause, Step
from realtime.settings.fields import Settings
from tests.support.http import http
from tests.support.long import effort
from tests.support.node import find_node
from tests.support.proxy import Proxy, always, proxied
from tests.support.server import Client, Running, changed, dial, running

JS = Path(__file__).parents[1] / "acceptance" / "js"
KEEP_ALIVE = b": keep-alive\n"
WORDS = ["Once ", "upon ", "a ", "tïme ", "日本 ", "🙂", "."]
SILENT_AFTER = {"Once ", "a ", "🙂"}
TEXT = "".join(WORDS)
ASKED: dict[str, Any] = {"model": "starter", "input": "Tell me a story"}


@pytest.fixture
def settings() -> Any:
    return changed(sse_keepalive_seconds=0.005)


class Silences:
    """A script whose answer stops after some words, each time until a keep-alive has gone over the network."""

    def __init__(self) -> None:
        self.network: Proxy | None = None
        self.num_ended = 0

    def __call__(self, request: EngineRequest) -> Iterator[Step]:
        for word in WORDS:
            yield word
            if word in SILENT_AFTER:
                yield from self._silence()

    def _silence(self) -> Iterator[Step]:
        assert self.network is not None
        before = self.network.passed_on.count(KEEP_ALIVE)
        while self.network.passed_on.count(KEEP_ALIVE) == before:
            yield Pause(1)
        self.num_ended += 1


@contextlib.asynccontextmanager
async def silent_and_torn(settings: Settings) -> AsyncIterator[tuple[Running, Proxy]]:
    """A server that pauses in each answer, and a network that tears what it says; there must have been a pause."""
    script = Silences()
    async with running(script, settings, tick_seconds=0.001) as server, proxied(server.port, tears=True) as bad:
        script.network = bad
        yield server, bad
        assert script.num_ended >= len(SILENT_AFTER)


async def test_openais_sdk_reads_the_same_through_silence_and_torn_bytes(settings: Any) -> None:
    async with silent_and_torn(settings) as (server, bad):
        direct = openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0)
        torn = direct.with_options(base_url=f"http://127.0.0.1:{bad.port}/v1")
        events = [event async for event in await torn.responses.create(**ASKED, stream=True)]
        again = [event async for event in await direct.responses.retrieve(events[0].response.id, stream=True)]
        assert [event.to_dict() for event in events] == [event.to_dict() for event in again]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[-1].response.output_text == TEXT
        async with torn.responses.stream(**ASKED) as helper:
            await helper.until_done()
            assert (await helper.get_final_response()).output_text == TEXT
        await direct.close()


async def test_openais_sdk_for_javascript_reads_the_same_through_silence_and_torn_bytes(settings: Any) -> None:
    async with silent_and_torn(settings) as (server, bad):
        ran = await asyncio.create_subprocess_exec(
            find_node(JS), "same_stream.mjs", f"http://127.0.0.1:{bad.port}/v1", f"{server.http}/v1", cwd=JS,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await ran.communicate()
        assert ran.returncode == 0, errors.decode()
        assert json.loads(out) == TEXT


class EventSource:
    """A browser's parser of event streams (WHATWG HTML 9.2.6), which is fed bytes: id, type and data of each event."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line, self._after_cr = "", False
        self._data: list[str] = []
        self._kind, self._last_id = "", ""

    def feed(self, data: bytes) -> Iterator[tuple[str, str, str]]:
        for char in self._decoder.decode(data):
            after_cr, self._after_cr = self._after_cr, char == "\r"
            if char == "\n" and after_cr:
                continue
            if char not in "\r\n":
                self._line += char
                continue
            line, self._line = self._line, ""
            if line:
                self._take(line)
            elif self._data:
                yield self._last_id, self._kind or "message", "\n".join(self._data)
            if not line:
                self._data, self._kind = [], ""

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._kind = value
            case "id" if "\0" not in value:
                self._last_id = value


async def test_a_browser_reads_every_event_and_nothing_of_the_keep_alive(settings: Any) -> None:
    async with silent_and_torn(settings) as (server, bad), http(server) as client:
        source, seen = EventSource(), []
        url = f"http://127.0.0.1:{bad.port}/v1/responses"
        async with client.stream("POST", url, json={**ASKED, "stream": True}) as answer:
            async for data in answer.aiter_raw():
                seen += [event for index in range(len(data)) for event in source.feed(data[index : index + 1])]
    *events, end = seen
    assert end == (events[-1][0], "message", "[DONE]")
    decoded = [json.loads(data) for _, _, data in events]
    assert [(last_id, kind) for last_id, kind, _ in events] == [
        (str(number), event["type"]) for number, event in enumerate(decoded)
    ]
    assert decoded[-1]["response"]["output"][0]["content"][0]["text"] == TEXT


class VoiceLoop:
    """A voice framework's client on a plain socket: interrupted, it sends a cancel, reads on to the terminal event
    and takes whatever comes next for the first event of its next turn.
    """

    def __init__(self, client: Client, *, named: bool) -> None:
        self._client, self._named = client, named
        self._previous: str | None = None

    async def turn(self, text: str, interrupt_after: int | None = None) -> list[dict[str, Any]]:
        """One turn, cancelled when so many of its events have been read, the terminal event included."""
        await self._client.send(
            "response.create", input=[{"role": "user", "content": text}], store=False,
            previous_response_id=self._previous,
        )  # fmt: skip
        events: list[dict[str, Any]] = []
        while not events or not events[-1]["done"]:
            if len(events) == interrupt_after:
                await self._cancel(events)
            events.append(await self._client.receive())
        if len(events) == interrupt_after:  # it was speaking the last of it
            await self._cancel(events)
        self._previous = events[0]["response_id"]
        return events

    async def _cancel(self, events: list[dict[str, Any]]) -> None:
        named = {"response_id": events[0]["response_id"]} if self._named and events else {}
        await self._client.send("response.cancel", **named)


@pytest.mark.parametrize("named", [True, False])
async def test_a_voice_loop_over_a_slow_network_may_interrupt_at_every_moment(named: bool) -> None:
    """What follows an interruption is whole, and the answer to what was asked, wherever it fell."""

    def script(request: EngineRequest) -> Iterator[Step]:
        yield from ["It ", "is ", "turn ", *["a"] * 12]

    delay = effort(4, 120) / 1000  # each way; on a fast machine longer than an answer takes
    async with (
        running(script, tick_seconds=0, max_model_len=1 << 20) as server,
        proxied(server.port, delay_seconds=delay) as slow,
        dial(f"ws://127.0.0.1:{slow.port}/v1/responses") as client,
    ):
        loop = VoiceLoop(client, named=named)
        whole = await loop.turn("how long is it?")
        for moment in range(0 if not named else 1, len(whole) + 1):
            crosses = moment > 1 and moment % 2 == 0  # the cancel is on its way until all is said
            slow.lets_up = (lambda: server.gateway.service.num_running == 0) if crosses else always
            interrupted = await loop.turn(f"turn {moment}", moment)
            assert not crosses or interrupted[-1]["type"] == "response.completed"
            events = await loop.turn("and now?")
            assert [event["type"] for event in events] == [event["type"] for event in whole]
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            assert events[0]["response"]["previous_response_id"] == interrupted[0]["response_id"]
