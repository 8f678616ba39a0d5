"""The adapters of agent frameworks on a real model: a tool is called, its output is answered, the answer is interrupted
in the middle, and the conversation goes on. Nothing depends on what the model likes: it has to call, and to write on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Literal

import httpx2
import pytest

from realtime_client import Policy
from tests.support.patience import SECONDS
from tests.support.real import RealServer

pytestmark = pytest.mark.vllm

City = Literal["Paris", "Rome"]
Texts = AsyncIterator[str]
OPTIONS: dict[str, Any] = {"proxy": None, "policy": Policy(initial_delay_seconds=0)}
QUESTION, MORE = "What is the weather in Paris?", "And tomorrow?"
#: Text from the first token on, without an end of its own; and one that ends, whatever the model likes.
ENDLESS: dict[str, Any] = {"ignore_eos": True, "reasoning": {"effort": "none"}}
YES = {
    "type": "object",
    "properties": {"sunny": {"const": "yes"}},
    "required": ["sunny"],
    "additionalProperties": False,
}
SHORT: dict[str, Any] = {
    "reasoning": {"effort": "none"},
    "text": {"format": {"type": "json_schema", "name": "sun", "schema": YES, "strict": True}},
}
LONG = 3000  # tokens


class Weather:
    """The tool, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_weather(self, city: City) -> str:
        """Weather in a city"""
        self.asked.append(city)
        return "sunny, 21 degrees"


async def pydantic_ai(url: str, weather: Weather, interrupt: Callable[[Texts], Any]) -> None:
    """Ask, interrupt the answer, and ask again."""
    from pydantic_ai import Agent, ModelSettings, RunContext

    from realtime_client.adapters.pydantic_ai import RealtimeModel

    def settings(context: RunContext[Any]) -> ModelSettings:
        if not weather.asked:
            return ModelSettings(tool_choice=["get_weather"], temperature=0)
        body = ENDLESS if context.prompt == QUESTION else SHORT
        return ModelSettings(tool_choice="none", max_tokens=LONG, extra_body=body)

    async with RealtimeModel("starter", url, connect_options=OPTIONS) as model:
        agent = Agent(model, tools=[weather.get_weather], model_settings=settings)
        async with agent.run_stream(QUESTION) as run:
            await interrupt(run.stream_text(delta=True, debounce_by=None))
        await agent.run(MORE, message_history=run.all_messages())


async def openai_agents(url: str, weather: Weather, interrupt: Callable[[Texts], Any]) -> None:
    """The same."""
    from agents import Agent, ModelSettings, RunConfig, Runner, function_tool

    from realtime_client.adapters.openai_agents import RealtimeProvider

    provider = RealtimeProvider(url, default_model="starter", **OPTIONS)
    config: dict[str, Any] = {"run_config": RunConfig(model_provider=provider, tracing_disabled=True)}
    agent = Agent(
        name="weather",
        tools=[function_tool(weather.get_weather)],
        tool_use_behavior="stop_on_first_tool",
        model_settings=ModelSettings(tool_choice="get_weather", temperature=0),
    )
    called = await Runner.run(agent, QUESTION, **config)

    def telling(body: dict[str, Any]) -> Agent[Any]:
        return agent.clone(model_settings=ModelSettings(tool_choice="none", max_tokens=LONG, extra_body=body))

    answer = Runner.run_streamed(telling(ENDLESS), called.to_input_list(), **config)

    async def texts() -> Texts:
        async for event in answer.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                yield event.data.delta

    await interrupt(texts())
    answer.cancel()
    more = [*called.to_input_list(), {"role": "user", "content": MORE}]
    await Runner.run(telling(SHORT), more, **config)
    await provider.aclose()


async def langchain(url: str, weather: Weather, interrupt: Callable[[Texts], Any]) -> None:
    """The same."""
    from langchain_core.messages import HumanMessage, ToolMessage

    from realtime_client.adapters.langchain import ChatRealtime

    model = ChatRealtime("starter", url, connect_options=OPTIONS)
    asked = await model.bind_tools([weather.get_weather], tool_choice="get_weather", strict=True).ainvoke(QUESTION)
    (call,) = asked.tool_calls
    output = ToolMessage(weather.get_weather(**call["args"]), tool_call_id=call["id"])
    history = [HumanMessage(QUESTION), asked, output]

    def telling(body: dict[str, Any]) -> Any:
        tools = model.bind_tools([weather.get_weather], tool_choice="none")
        return tools.bind(max_tokens=LONG, extra_body=body)

    async def texts() -> Texts:
        async with aclosing(telling(ENDLESS).astream(history)) as chunks:
            async for chunk in chunks:
                yield chunk.text

    await interrupt(texts())
    await telling(SHORT).ainvoke([*history, HumanMessage(MORE)])
    await model.aclose()


def responses(real: RealServer, limit: int) -> list[dict[str, Any]]:
    """Those that were created last, the last one first."""
    listed = httpx2.get(f"{real.base_url}/responses", params={"limit": limit}, timeout=SECONDS).json()["data"]
    return [httpx2.get(f"{real.base_url}/responses/{one['id']}", timeout=SECONDS).json() for one in listed]


def text_of(response: dict[str, Any]) -> Any:
    (message,) = response["output"]
    return json.loads(message["content"][0]["text"])


@pytest.mark.parametrize("framework", [pydantic_ai, openai_agents, langchain])
async def test_a_tool_loop_that_is_interrupted_goes_on(real: RealServer, framework: Any) -> None:
    weather, written = Weather(), list[str]()

    async def interrupt(texts: Texts) -> None:
        async with aclosing(texts) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                written.append(piece)
                if len("".join(written)) > 20:
                    break

    await framework(real.url, weather, interrupt)
    await asyncio.to_thread(real.wait_until, engine_running=0, engine_waiting=0, responses=0)
    last, cut, called = await asyncio.to_thread(responses, real, 3)
    assert weather.asked[0] in ("Paris", "Rome")
    assert len(weather.asked) == 1
    assert [item["type"] for item in called["output"] if item["type"] != "reasoning"] == ["function_call"]
    assert (cut["status"], cut["incomplete_details"]) == ("cancelled", {"reason": "cancelled"})
    assert 0 < cut["usage"]["output_tokens"] < LONG
    assert (last["status"], text_of(last)) == ("completed", {"sunny": "yes"})
    items = httpx2.get(
        f"{real.base_url}/responses/{last['id']}/input_items", params={"limit": 100}, timeout=SECONDS
    ).json()["data"]
    assert "function_call_output" in [item["type"] for item in items] or last["previous_response_id"] == cut["id"]
