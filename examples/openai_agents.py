"""OpenAI's agents SDK, unmodified, with a tool, over the WebSocket.

`.venv/bin/python examples/openai_agents.py [BASE_URL]`, with a server running (`make serve`).
"""

import asyncio
import sys

from agents import Agent, ModelSettings, OpenAIProvider, RunConfig, Runner, function_tool

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city"""
    print(f"get_weather({city!r})")
    return "sunny, 21 degrees"


async def main() -> None:
    provider = OpenAIProvider(base_url=BASE_URL, api_key="unused", use_responses_websocket=True)
    agent = Agent(name="weather", model="starter", tools=[get_weather], model_settings=ModelSettings(temperature=0))
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    result = await Runner.run(agent, "What is the weather in Paris?", run_config=config)
    print(result.final_output)
    await provider.aclose()


asyncio.run(main())
