"""Stream an answer, then a second turn.

`.venv/bin/python examples/stream.py [URL]`, with a server running (`make serve`).
"""

import asyncio
import sys

import realtime_client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/v1/responses"


async def main() -> None:
    async with realtime_client.connect(URL) as client:
        response = await client.create(input="My name is Ada.")
        async for text in response.text():  # goes on where it was when the connection breaks and comes back
            print(text, end="", flush=True)
        print()

        final = await response.result()
        response = await client.create(input="What is my name?", previous_response_id=final["id"])
        async for text in response.text():
            print(text, end="", flush=True)
        print()


asyncio.run(main())
