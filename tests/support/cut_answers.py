"""Answers of a real server, several at once, that is killed in the middle of them, or whose EngineCore is: what their
client had, and what it has in the end. It waits for as long as it takes: no test that uses it is about time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psutil
from websockets.exceptions import ConnectionClosed

from realtime.engine.options import VllmOptions
from tests.support.patience import SECONDS
from tests.support.ports import free_port

from .elsewhere import ELSEWHERE, key_flags
from .process import ServerProcess, serve
from .server import Client, dial
from .vllm_serve import STARTER, VllmServe, shared, vllm_serving

Events = list[dict[str, Any]]
_OF_A_DELTA = ("type", "item_id", "content_index", "summary_index")
_OF_THIS_RUN = ("id", "call_id", "encrypted_content")  # in an item


class Answers:
    """The events of several responses, by their names, as one client has them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events: dict[str, Events] = {}
        self.came: dict[str, list[float]] = {}
        self.begun: set[str] = set()  # those that have said something

    async def ask(self, asked: Mapping[str, dict[str, Any]]) -> None:
        """Begin them."""
        for name, members in asked.items():
            self.events[name], self.came[name] = [], []
            await self.client.send("response.create", stream_id=name, **members)

    async def receive(self) -> None:
        """Take one event."""
        event = await self.client.receive(SECONDS)
        assert event["type"] != "error", event
        if "response_id" in event:
            self.events[event["stream_id"]].append(event)
            self.came[event["stream_id"]].append(time.monotonic())
            if "delta" in event:
                self.begun.add(event["stream_id"])

    async def until(self, enough: Callable[[], bool]) -> None:
        """Take events until there are enough. Heartbeats come even if nothing else does."""
        async with asyncio.timeout(SECONDS) as patience:
            while not enough():
                had = self.num_events
                await self.receive()
                if self.num_events > had:
                    patience.reschedule(asyncio.get_running_loop().time() + SECONDS)

    @property
    def running(self) -> list[str]:
        """Those without an end."""
        return [name for name, events in self.events.items() if not (events and events[-1]["done"])]

    @property
    def num_events(self) -> int:
        """Of all."""
        return sum(map(len, self.events.values()))

    async def drain(self) -> None:
        """Take what is on its way from a server that is dead."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.receive()

    async def resume(self, client: Client) -> None:
        """Go on with those that run, on another socket."""
        self.client = client
        for name in self.running:
            events = self.events[name]
            place = {"starting_after": events[-1]["sequence_number"], "epoch": events[0]["epoch"]}
            await client.send("response.resume", response_id=events[0]["response_id"], **place)


class House:
    """A server on a file, which is started as often as it is killed."""

    def __init__(
        self, path: Path, *arguments: str, elsewhere: Sequence[VllmServe] = (), model: VllmOptions = STARTER,
        **environ: str,
    ) -> None:  # fmt: skip
        """elsewhere: its engines with this model, if they are; the first may be killed."""
        if elsewhere:
            urls = ",".join(engine.url for engine in elsewhere)
            arguments += (*key_flags(str(path.parent)), "--engine-url", urls)
        port = free_port()
        self._url = f"ws://127.0.0.1:{port}/v1/responses"
        self._ready = f"http://127.0.0.1:{port}/ready"
        self._arguments = ("--store", f"sqlite:{path}", "--port", str(port), *arguments)
        self._environ = environ
        self._stack = contextlib.AsyncExitStack()
        self._elsewhere = list(elsewhere)
        self._model = model
        self._killed = False  # one of them
        self._revived = contextlib.ExitStack()
        self.process: ServerProcess
        self.client: Client

    async def start(self) -> Client:
        """Start it, and connect to it as soon as it lets us: the model may still be loaded then."""
        self.process = await self._stack.enter_async_context(serve(*self._arguments, **self._environ))
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(OSError):  # nobody listens yet
                    self.client = await self._stack.enter_async_context(dial(self._url, native=True))
                    return self.client
                await asyncio.sleep(0.05)

    async def kill(self, answers: Answers) -> None:
        """Kill the server, start another one, and resume what ran."""
        self.process.send(signal.SIGKILL)
        await answers.drain()
        await self.process.end()
        await answers.resume(await self.start())

    def kill_core(self) -> None:
        """Kill EngineCore, which is the largest of what the server has started: the model is in it."""
        if self._elsewhere:
            self._elsewhere[0].kill_core()
            self._killed = True
            return
        started = psutil.Process(self.process.pid).children(recursive=True)
        os.kill(max(started, key=lambda one: one.memory_info().rss).pid, signal.SIGKILL)

    async def revive(self) -> None:
        """See that there is an EngineCore to kill. One elsewhere that was killed starts again at its address."""
        if not self._killed:
            return
        self._killed, port = False, self._elsewhere[0].port
        async with asyncio.timeout(SECONDS):
            while not _is_free(port):  # noqa: ASYNC110 - what is left of the killed one ends by itself
                await asyncio.sleep(0.1)
        again = vllm_serving(self._model, port)
        self._elsewhere[0] = await asyncio.to_thread(self._revived.enter_context, again)
        await self._until(lambda ready: bool(ready["engines"][0]["state"] == "serving"))

    async def until_restarted(self) -> None:
        """Wait until another EngineCore serves."""
        if self._elsewhere:
            await self._until(lambda ready: bool(ready["engines"][0]["state"] == "out"))
        else:
            await self._until(lambda ready: bool(ready["num_restarts"]))

    async def _until(self, reached: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until it is ready, and this is reached."""
        async with asyncio.timeout(SECONDS), httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as http:
            while not ((answer := await http.get(self._ready)).is_success and reached(answer.json())):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # between two questions to another process

    async def close(self) -> None:
        """End it."""
        await self._stack.aclose()
        await asyncio.to_thread(self._revived.close)


def _is_free(port: int) -> bool:
    with socket.socket() as bound:
        return bound.connect_ex(("127.0.0.1", port)) != 0


@contextlib.contextmanager
def _two_elsewhere(model: VllmOptions) -> Iterator[list[VllmServe]]:
    with shared(model) as stays, vllm_serving(model) as killed:
        yield [killed, stays]


@contextlib.asynccontextmanager
async def house(path: Path, *arguments: str, model: VllmOptions = STARTER, **environ: str) -> AsyncIterator[House]:
    """Start a server. With its engines elsewhere there are two with this model, of which the first may be killed."""
    with contextlib.ExitStack() as engines:
        there = engines.enter_context(_two_elsewhere(model)) if ELSEWHERE else []
        here = House(path, *arguments, elsewhere=there, model=model, **environ)
        try:
            await here.start()
            await here.process.ready()
            yield here
        finally:
            await here.close()


def deltas(events: Events) -> list[tuple[str, str]]:
    """What each part of it was said to be, joined: the type of the deltas, and the text."""
    found: dict[tuple[Any, ...], str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            key = (event["output_index"], *(event.get(name) for name in _OF_A_DELTA))
            found[key] = found.get(key, "") + event["delta"]
    return [(key[1], text) for key, text in found.items()]


def held(response: dict[str, Any]) -> list[str]:
    """The texts that its items hold, in their order."""
    found = []
    for item in response["output"]:
        parts = [*item.get("summary", ()), *(item.get("content") or ())]
        found += [part["text"] for part in parts if "text" in part]
        found += [item[name] for name in ("arguments", "input") if isinstance(item.get(name), str)]
    return [text for text in found if text]


def outcome(response: dict[str, Any]) -> Any:
    """What two runs of the same request have in common."""
    items = [{name: value for name, value in item.items() if name not in _OF_THIS_RUN} for item in response["output"]]
    usage = response["usage"]
    counts = usage["input_tokens"], usage["output_tokens"], usage["output_tokens_details"]
    return response["status"], response["incomplete_details"], items, counts


def check_order(events: Events) -> None:
    """Numbers without a gap, and one terminal, the last."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]


async def whole_again(client: Client, response_id: str) -> Events:
    """All events of a response that is over."""
    await client.send("response.resume", response_id=response_id, starting_after=-1)
    events: Events = []
    async with asyncio.timeout(SECONDS):
        while not (events and events[-1]["done"]):
            event = await client.receive(SECONDS)
            if event["type"] != "session.heartbeat":
                events.append(event)
    first, *rest = events
    assert first["type"] == "response.resumed", first
    return rest
