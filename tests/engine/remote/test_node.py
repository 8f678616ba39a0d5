"""A whole node on engines elsewhere: the real `vllm serve`, twice, by two ways of which one is cut in mid-answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from realtime.engine.options import RemoteOptions
from realtime.settings.fields import Settings
from tests.observability.scrapes import value
from tests.support.real import RealServer, hosting
from tests.support.server import Client, dial
from tests.support.vllm_serve import KEY, STARTER, VllmServe

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

STORY = {"input": "Tell me a long story", "max_output_tokens": 120, "ignore_eos": True}
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "get_weather", "description": "Weather", "parameters": CITY, "strict": True}


class Way:
    """A way to an engine, which can be cut, and mended."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        both = {writer, back}
        self._writers |= both
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._writers -= both
        for one in both:
            one.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ways(vllm_serve: VllmServe) -> AsyncIterator[list[Way]]:
    made = [Way(vllm_serve.port), Way(vllm_serve.port)]
    for way in made:
        await way.mend()
    yield made
    for way in made:
        await way.cut()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(ways: list[Way]) -> AsyncIterator[RealServer]:
    """In a thread, as its engines are reached through this loop."""
    urls = tuple(f"http://127.0.0.1:{way.port}" for way in ways)
    remote = RemoteOptions(engine_url=urls, engine_key=KEY, engine_check_seconds=1)
    with _hosted(Settings(engine="remote", remote=remote)) as starting:
        server = await asyncio.wait_for(asyncio.wrap_future(starting), 240)
        await asyncio.to_thread(until_both_serve, server)
        yield server
        await asyncio.sleep(0)


@contextlib.contextmanager
def _hosted(settings: Settings) -> Iterator[Any]:
    import threading
    from concurrent.futures import Future

    started: Future[RealServer] = Future()
    over = threading.Event()

    def host() -> None:
        try:
            with hosting(STARTER, settings) as server:
                started.set_result(server)
                over.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=host)
    thread.start()
    try:
        yield started
    finally:
        over.set()
        thread.join(60)


def until_both_serve(server: RealServer) -> None:
    while [one["state"] for one in server.ready()["engines"]] != ["serving", "serving"]:
        asyncio.run(asyncio.sleep(0.05))


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def ask(node: RealServer, **members: Any) -> dict[str, Any]:
    async with dial(node.url) as client:
        await client.send("response.create", **members)
        last = (await client.until_done())[-1]
    response: dict[str, Any] = last["response"]
    return response


async def test_reasoning_text_and_what_it_cost(node: RealServer) -> None:
    members = {"input": "count to 10", "temperature": 0, "include": ["message.output_text.logprobs"], "top_logprobs": 2}
    first = await ask(node, **members)
    assert [item["type"] for item in first["output"]] == ["reasoning", "message"]
    assert text_of(first) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."
    assert first["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    (part,) = first["output"][1]["content"]
    assert "".join(one["token"] for one in part["logprobs"]) == part["text"]
    assert all(len(one["top_logprobs"]) == 2 for one in part["logprobs"])


async def test_a_conversation_goes_to_where_it_was(node: RealServer) -> None:
    long = "Tell me of " + ", ".join(map(str, range(200)))
    for turn in range(3):
        again = await ask(node, input=long + "." * turn, max_output_tokens=16)
    assert again["usage"]["input_tokens_details"]["cached_tokens"] > 100
    text = (await asyncio.to_thread(httpx2.get, f"http://127.0.0.1:{node.port}/metrics")).text
    assert "realtime_remote_placed_total{engine=" in text
    assert sum(value(text, "realtime_remote_up", engine=str(number)) for number in range(2)) == 2
    assert value(text, "realtime_remote_prefix_tokens_total") > 100


async def test_a_call_and_a_schema(node: RealServer) -> None:
    called = await ask(
        node, input="What is the weather in Paris?", tools=[WEATHER], tool_choice="required", max_output_tokens=150
    )
    (call,) = [item for item in called["output"] if item["type"] == "function_call"]
    assert "city" in json.loads(call["arguments"])
    form = {"format": {"type": "json_schema", "name": "n", "schema": CITY, "strict": True}}
    assert "city" in json.loads(text_of(await ask(node, input="Where?", text=form, max_output_tokens=200)))
    nonsense = {"format": {"type": "json_schema", "name": "n", "schema": {"anyOf": []}, "strict": False}}
    async with dial(node.url) as client:
        await client.send("response.create", input="Where?", text=nonsense)
        (refused,) = await client.until_done()
    assert refused["error"]["param"].startswith("text.format.schema"), refused


async def test_a_cancel_has_its_receipt(node: RealServer) -> None:
    async with dial(node.url) as client:
        await client.send("response.create", **{**STORY, "max_output_tokens": 3000})
        response_id = (await client.receive())["response_id"]
        await some(client, 20)
        await client.send("response.cancel", response_id=response_id)
        terminal = (await client.until_done())[-1]
    assert terminal["response"]["status"] == "cancelled"
    assert terminal["response"]["cancel"]["tokens_generated"] >= 10
    state = await asyncio.to_thread(node.ready)
    assert state["engine_running"] + state["engine_waiting"] == 0


async def test_an_answer_whose_engine_is_cut_off_goes_on_with_the_same_tokens(
    node: RealServer, ways: list[Way]
) -> None:
    kinds: list[dict[str, Any]] = [
        {"temperature": 0},
        {"temperature": 1, "seed": 5},
        {"temperature": 1, "seed": 6, "presence_penalty": 1.0},
    ]
    uncut = [text_of(await ask(node, **STORY, **kind)) for kind in kinds]
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(dial(node.url)) for _ in kinds]
        for client, kind in zip(clients, kinds, strict=True):
            await client.send("response.create", **STORY, **kind)
            await some(client, 10)
        engines = (await asyncio.to_thread(node.ready))["engines"]
        busiest = max(range(2), key=lambda number: engines[number]["requests"])
        await ways[busiest].cut()
        ends = [(await client.until_done())[-1]["response"] for client in clients]
    assert [text_of(response) for response in ends] == uncut
    recoveries = [response.get("recovery") for response in ends]
    assert {"kind": "exact", "attempts": 2} in recoveries
    await asyncio.to_thread(node.wait_until, ready=True, responses=0)
    state = await asyncio.to_thread(node.ready)
    assert state["engines"][busiest]["state"] == "out"
    assert str(ways[busiest].port) not in json.dumps(state)
    await ways[busiest].mend()
    await asyncio.to_thread(until_both_serve, node)


async def some(client: Client, count: int) -> None:
    for _ in range(count):
        await client.receive()
