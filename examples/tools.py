"""A tool loop: functions of Python that the model calls, each with a time-out, and a deadline for the whole.

`.venv/bin/python examples/tools.py [URL]`, with a server running (`make serve`).
"""

import asyncio
import sys
from typing import Annotated

from msgspec import Meta

import realtime_client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/v1/responses"


async def get_weather(city: Annotated[str, Meta(description="as Paris")]) -> dict[str, object]:
    """Say how the weather is in a city."""
    await asyncio.sleep(0.01)  # a service would be asked here
    return {"city": city, "sky": "sunny", "celsius": 21}


async def count_sheep() -> str:
    """Count all sheep. Takes very long."""
    await asyncio.sleep(3600)
    return "too many"


def show(event: realtime_client.Event) -> None:
    if event["type"] == "response.output_text.delta":
        print(event["delta"], end="", flush=True)
    elif event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
        print(f"[calls {event['item']['name']} {event['item']['arguments']}]")


async def main() -> None:
    async with realtime_client.connect(URL) as rt:
        final = await rt.run(
            "Weather in Paris?", tools=[get_weather, count_sheep], tool_choice="required", temperature=0, on_event=show
        )
        print(f"\n--- {final['status']}")
        try:
            async with asyncio.timeout(1):  # cancels the response that runs, and the function
                await rt.run("Count the sheep", tools=[count_sheep], tool_choice="required", on_event=show)
        except TimeoutError:
            print("--- out of time: all is stopped")


asyncio.run(main())
