"""A server that is killed, and one that is deployed anew, under many streams: what users of our clients see is a pause.

The long form has 200 of them. What a client without our protocol can have is at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai

import realtime_client
from realtime_client import Policy
from tests.support.long import effort
from tests.support.merged import merge
from tests.support.node import JS, find_node
from tests.support.patience import SECONDS
from tests.support.ports import free_port
from tests.support.process import ServerProcess, serve

from .test_python_client import stands_for

NUM_EACH = effort(10, 100)
PER_SOCKET = 10
ASKED: dict[str, Any] = {"max_output_tokens": effort(600, 1500), "ignore_eos": True}
POLICY = Policy(initial_delay_seconds=0.05, max_delay_seconds=1, max_retry_seconds=300)  # a slow machine may be slow


class House:
    """A scripted server on a file, at one address, however often it is started."""

    def __init__(self, path: Path, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/v1/responses"
        self.http = f"http://127.0.0.1:{port}/v1"
        self._arguments = ("--engine", "scripted", "--store", f"sqlite:{path}", "--drain-seconds", "0")
        self._stack = contextlib.AsyncExitStack()
        self._process: ServerProcess

    async def start(self) -> None:
        """Start it."""
        serving = serve(*self._arguments, "--port", str(self.port))
        self._process = await self._stack.enter_async_context(serving)
        await self._process.ready()

    async def restart(self, how: signal.Signals) -> None:
        """End it by a signal, and start the next one."""
        self._process.send(how)
        await self._process.end()
        await self.start()

    async def close(self) -> None:
        """End it."""
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def house(path: Path) -> AsyncIterator[House]:
    here = House(path, free_port())
    try:
        await here.start()
        yield here
    finally:
        await here.close()


class Stream:
    """One answer as a user of the Python client has it."""

    def __init__(self, number: int) -> None:
        self.asked = {"input": f"story {number}", "seed": number, **ASKED}
        self.events: list[Any] = []
        self.result: dict[str, Any] = {}

    async def follow(self, rt: realtime_client.Client) -> None:
        response = await rt.create(**self.asked)
        async for event in response:
            self.events.append(event)
        self.result = await response.result()


async def until(streams: list[Stream], number: int) -> None:
    """Wait until each has so many events, or its end."""
    async with asyncio.timeout(SECONDS):
        while any(len(one.events) < number and not one.result for one in streams):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def unlaned(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in event.items() if name != "stream_id"} for event in events]


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])


async def whole(rt: realtime_client.Client, asked: dict[str, Any]) -> tuple[str, int]:
    """The same answer as nobody disturbs it."""
    result = await (await rt.create(**asked)).result()
    return text_of(result), result["usage"]["output_tokens"]


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


async def test_users_of_our_clients_see_a_pause(tmp_path: Path) -> None:
    node = find_node()
    streams = [Stream(n) for n in range(NUM_EACH)]
    async with house(tmp_path / "store.db") as here, contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(realtime_client.connect(here.url, proxy=None, policy=POLICY))
            for _ in range(0, NUM_EACH, PER_SOCKET)
        ]
        theirs = await asyncio.create_subprocess_exec(
            node, "test/restarts.mjs", here.url, str(NUM_EACH), str(PER_SOCKET), json.dumps(ASKED), cwd=JS,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 24,
        )  # fmt: skip
        stack.callback(_kill, theirs)
        assert theirs.stdout is not None
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            for number, one in enumerate(streams):
                group.create_task(one.follow(clients[number // PER_SOCKET]))
            await until(streams, 20)
            begun = await theirs.stdout.readline()
            assert begun == b"begun\n", (await theirs.communicate())[1].decode()
            await here.restart(signal.SIGKILL)
            await until(streams, max(len(one.events) for one in streams) + 20)
            await here.restart(signal.SIGTERM)
        said, trouble = await asyncio.wait_for(theirs.communicate(), SECONDS)
        assert theirs.returncode == 0, trouble.decode()
        answers = [json.loads(line) for line in said.splitlines()]
        assert len(answers) == NUM_EACH
        expected = await asyncio.gather(*(whole(clients[n // PER_SOCKET], one.asked) for n, one in enumerate(streams)))
        for one, uncut, answer in zip(streams, expected, answers, strict=True):
            stored: list[Any] = [event async for event in await clients[0].resume(response_id=one.result["id"])]
            assert stands_for(one.events) == stands_for(stored) == list(range(stored[-1]["sequence_number"] + 1))
            assert merge(unlaned(one.events)) == merge(unlaned(stored))
            assert (text_of(one.result), one.result["usage"]["output_tokens"]) == uncut
            assert (answer["text"], answer["tokens"]) == uncut
        ends = [one.result for one in streams] + answers
        recovered = [end["recovery"]["kind"] for end in ends if end.get("recovery")]  # the others were over before it
        assert recovered
        assert set(recovered) == {"exact"}


async def test_what_openais_client_can_have(tmp_path: Path) -> None:
    """In the background, an answer goes on and is followed from any number on, which is OpenAI's own way. Otherwise the
    death of the server ends it: what had been said is there.
    """
    async with (
        house(tmp_path / "store.db") as here,
        openai.AsyncOpenAI(api_key="unused", base_url=here.http, max_retries=0) as client,
    ):
        asked: Any = {"model": "starter", "input": "a story", "stream": True, "max_output_tokens": 1200}
        asked["extra_body"] = {"ignore_eos": True}
        expected = await client.responses.create(**{**asked, "stream": False})
        running = await client.responses.create(**asked, background=True)
        plain = await client.responses.create(**asked)
        seen = [await anext(running) for _ in range(30)]
        said = [await anext(plain) for _ in range(30)]
        await here.restart(signal.SIGKILL)
        for stream in (running, plain):
            with contextlib.suppress(Exception):  # the name of a lost connection is that of its transport
                async for event in stream:
                    (seen if stream is running else said).append(event)
        response_id = seen[0].response.id
        rest = await client.responses.retrieve(
            response_id, stream=True, starting_after=seen[-1].sequence_number
        )  # fmt: skip
        seen += [event async for event in rest]
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        final = await client.responses.retrieve(response_id)
        assert final.output_text == "".join(e.delta for e in seen if e.type == "response.output_text.delta")
        assert (final.status, final.output_text) == (expected.status, expected.output_text)
        assert final.usage is not None
        assert expected.usage is not None
        assert final.usage.output_tokens == expected.usage.output_tokens
        ended = await client.responses.retrieve(said[0].response.id)
        assert ended.incomplete_details is not None
        assert (ended.status, ended.incomplete_details.reason) == ("cancelled", "client_disconnected")
        heard = "".join(event.delta for event in said if event.type == "response.output_text.delta")
        assert ended.output_text
        assert expected.output_text.startswith(ended.output_text)
        assert heard.startswith(ended.output_text) or ended.output_text.startswith(heard)
