"""One answer in two windows: each has all of it, however late it comes; what one stops ends in both.

`.venv/bin/python examples/watch_along.py [URL]` starts an answer and says how to watch it from another window:
`.venv/bin/python examples/watch_along.py [URL] RESPONSE_ID`. A server is running (`make serve`).
"""

import asyncio
import sys

import realtime_client

ids = [argument for argument in sys.argv[1:] if argument.startswith("resp_")]
urls = [argument for argument in sys.argv[1:] if argument not in ids]
URL = urls[0] if urls else "ws://127.0.0.1:8000/v1/responses"


async def main() -> None:
    async with realtime_client.connect(URL) as rt:
        if ids:
            response = await rt.resume(ids[0])  # from its first event
        else:
            response = await rt.create(input="Tell me a long story", ignore_eos=True, max_output_tokens=400)
            print(f"watch it: {sys.executable} {sys.argv[0]} {URL} {response.id}", flush=True)
        async for text in response.text():
            print(text, end="", flush=True)
        final = await response.result()
        print(f"\n--- {final['status']}, {len(final.output_text)} characters")


asyncio.run(main())
