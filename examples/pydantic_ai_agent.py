"""Pydantic AI, unmodified, with a tool, over the WebSocket.

`.venv/bin/python examples/pydantic_ai_agent.py [BASE_URL]`, with a server running (`make serve`).
"""

import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"

model = OpenAIResponsesModel(
    "starter",
    provider=OpenAIProvider(base_url=BASE_URL, api_key="unused"),
    settings=OpenAIResponsesModelSettings(openai_transport="websocket", temperature=0),
)
agent = Agent(model)


@agent.tool_plain
def get_weather(city: str) -> str:
    """Weather in a city"""
    print(f"get_weather({city!r})")
    return "sunny, 21 degrees"


async def main() -> None:
    async with model:  # holds the socket
        result = await agent.run("What is the weather in Paris?")
    print(result.output)


asyncio.run(main())
