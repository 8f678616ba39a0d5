"""Adapters with the frameworks they are for: an answer survives a cut connection, and one that is left is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import openai
import pytest

from realtime.engine.base import EngineRequest
from realtime_client import Policy
from tests.support.calls import TAGGED, called
from tests.support.http import http
from tests.support.patience import SECONDS
from tests.support.proxy import proxied
from tests.support.server import Running, running
from tests.support.steps import until

PATIENT: dict[str, Any] = {"proxy": None, "policy": Policy(initial_delay_seconds=0)}
WORDS = tuple(f"word{number} " for number in range(60))
TEXT = "".join(WORDS)
Texts = AsyncIterator[str]


@asynccontextmanager
async def pydantic_ai(url: str) -> AsyncIterator[Callable[[], Texts]]:
    """Pieces of an answer to "hi"."""
    from pydantic_ai import Agent

    from realtime_client.adapters.pydantic_ai import RealtimeModel

    async def texts() -> Texts:
        async with Agent(model).run_stream("hi") as run:
            async for piece in run.stream_text(delta=True, debounce_by=None):
                yield piece

    async with RealtimeModel("starter", url, connect_options=PATIENT) as model:
        yield texts


@asynccontextmanager
async def openai_agents(url: str) -> AsyncIterator[Callable[[], Texts]]:
    """The same."""
    from agents import Agent, RunConfig, Runner

    from realtime_client.adapters.openai_agents import RealtimeProvider

    provider = RealtimeProvider(url, default_model="starter", **PATIENT)
    config = RunConfig(model_provider=provider, tracing_disabled=True)

    async def texts() -> Texts:
        run = Runner.run_streamed(Agent(name="a"), "hi", run_config=config)
        try:
            async for event in run.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    yield event.data.delta
        finally:
            run.cancel()

    yield texts
    await provider.aclose()


@asynccontextmanager
async def langchain(url: str) -> AsyncIterator[Callable[[], Texts]]:
    """The same."""
    from realtime_client.adapters.langchain import ChatRealtime

    model = ChatRealtime("starter", url, connect_options=PATIENT)

    async def texts() -> Texts:
        generated: Any = model.astream("hi")
        async with aclosing(generated) as chunks:
            async for chunk in chunks:
                yield chunk.text

    yield texts
    await model.aclose()


FRAMEWORKS = pytest.mark.parametrize("framework", [pydantic_ai, openai_agents, langchain])


async def newest(server: Running) -> dict[str, Any]:
    """The response that was created last, as it is kept."""
    async with http(server) as door:
        (listed,) = (await door.get("/v1/responses", params={"limit": 1})).json()["data"]
        kept: dict[str, Any] = (await door.get(f"/v1/responses/{listed['id']}")).json()
        return kept


@FRAMEWORKS
async def test_an_answer_survives_a_cut_connection(framework: Any) -> None:
    cuts = 0
    async with running(lambda _: WORDS, tick_seconds=0.002) as server, proxied(server.port) as proxy:
        async with framework(f"ws://127.0.0.1:{proxy.port}/v1/responses") as texts:
            got = ""
            async with aclosing(texts()) as pieces:
                async for piece in pieces:
                    got += piece
                    if got.count(" ") > 15 * cuts:
                        cuts += 1
                        await proxy.close()
        assert (got, cuts > 1) == (TEXT, True)
        assert server.engine.num_ticks < 2 * len(WORDS), "it was generated once"


@FRAMEWORKS
@pytest.mark.parametrize("how", ["left", "cancelled"])
async def test_an_answer_that_is_abandoned_is_cancelled(framework: Any, how: str) -> None:
    async with (
        running(lambda _: ("on and on " for _ in range(10**6)), tick_seconds=0.001, max_model_len=10**7) as server,
        framework(server.url) as texts,
    ):
        begun = asyncio.Event()

        async def read() -> None:
            async with aclosing(texts()) as pieces:
                async for piece in pieces:
                    if piece:
                        begun.set()
                        if how == "left":
                            return

        reading = asyncio.create_task(read())
        await until(lambda: begun.is_set() or reading.done(), "the first words")
        if how == "cancelled":
            assert reading.cancel()
        await asyncio.wait([reading], timeout=SECONDS)  # guards against hanging
        assert (reading.cancelled(), reading.done()) == (how == "cancelled", True)
        await until(lambda: server.gateway.service.num_running == 0, "the engine to be free")
        assert server.open_connections == 1, "the socket is kept"
        kept = await newest(server)
        assert (kept["status"], kept["incomplete_details"]) == ("cancelled", {"reason": "cancelled"})


async def pydantic_ai_tool(url: str) -> str:
    """What an agent with a tool answers."""
    from pydantic_ai import Agent

    from realtime_client.adapters.pydantic_ai import RealtimeModel

    async with RealtimeModel("starter", url, connect_options=PATIENT) as model:
        return str((await Agent(model, tools=[get_weather]).run("Weather in Paris?")).output)


async def openai_agents_tool(url: str) -> str:
    """The same."""
    from agents import Agent, RunConfig, Runner, function_tool

    from realtime_client.adapters.openai_agents import RealtimeProvider

    provider = RealtimeProvider(url, default_model="starter", **PATIENT)
    agent = Agent(name="weather", tools=[function_tool(get_weather)])
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    result = await Runner.run(agent, "Weather in Paris?", run_config=config)
    await provider.aclose()
    return str(result.final_output)


async def langchain_tool(url: str) -> str:
    """The same."""
    from langchain_core.messages import HumanMessage, ToolMessage

    from realtime_client.adapters.langchain import ChatRealtime

    model = ChatRealtime("starter", url, connect_options=PATIENT)
    question = HumanMessage("Weather in Paris?")
    asked = await model.bind_tools([get_weather]).ainvoke([question])
    (call,) = asked.tool_calls
    output = ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
    answer = await model.bind_tools([get_weather]).ainvoke([question, asked, output])
    await model.aclose()
    return str(answer.text)


def get_weather(city: str) -> str:
    """Weather in a city"""
    return f"sunny in {city}"


@pytest.mark.parametrize("ask", [pydantic_ai_tool, openai_agents_tool, langchain_tool])
async def test_an_agent_calls_its_tool_over_the_socket(ask: Callable[[str], Awaitable[str]]) -> None:
    def script(request: EngineRequest) -> tuple[str, ...]:
        outputs.append(b"sunny in Paris" in bytes(str(request), "utf-8"))
        return called("get_weather", {"city": "Paris"}) if len(outputs) == 1 else ("It is sunny.",)

    outputs: list[bool] = []
    async with running(script, family=TAGGED) as server:
        assert await ask(server.url) == "It is sunny."
    assert len(outputs) == 2


async def test_a_refusal_is_the_error_of_the_sdk() -> None:
    import httpx2

    from realtime_client.adapters.openai_transport import AsyncTransport

    async with running(lambda _: WORDS) as server:
        transport = AsyncTransport(server.url, **PATIENT)
        client = httpx2.AsyncClient(transport=transport)
        async with openai.AsyncOpenAI(base_url=transport.base_url, api_key="unused", http_client=client) as sdk:
            with pytest.raises(openai.BadRequestError) as refused:
                await sdk.responses.create(model="starter", input="hi", previous_response_id="resp_none")
            assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")
            whole = await sdk.responses.create(model="starter", input="hi")
            assert (await sdk.responses.retrieve(whole.id)).output_text == whole.output_text == TEXT


async def test_an_answer_that_is_not_streamed_is_cancelled_with_its_caller() -> None:
    import httpx2

    from realtime_client.adapters.openai_transport import AsyncTransport

    async with running(lambda _: ("on " for _ in range(10**6)), tick_seconds=0.001, max_model_len=10**7) as server:
        transport = AsyncTransport(server.url, **PATIENT)
        client = httpx2.AsyncClient(transport=transport)
        async with openai.AsyncOpenAI(base_url=transport.base_url, api_key="unused", http_client=client) as sdk:
            asking = asyncio.create_task(sdk.responses.create(model="starter", input="hi"))
            await until(lambda: server.gateway.service.num_running == 1, "the answer to begin")
            asking.cancel()
            await asyncio.wait([asking], timeout=SECONDS)  # guards against hanging
            await until(lambda: server.gateway.service.num_running == 0, "the engine to be free")
            assert (await newest(server))["status"] == "cancelled"


def test_langchain_without_asyncio_leaves_and_goes_on() -> None:
    from realtime_client.adapters.langchain import ChatRealtime

    def talk(url: str) -> str:
        model = ChatRealtime("starter", url, connect_options=PATIENT)
        pieces: Any = model.stream("hi")
        assert next(piece.text for piece in pieces if piece.text)
        pieces.close()
        try:
            return str(model.invoke("hi").text)
        finally:
            model.close()

    async def serve() -> None:
        async with running(lambda _: WORDS, tick_seconds=0.002) as server:
            assert await asyncio.to_thread(talk, server.url) == TEXT

    asyncio.run(serve())
