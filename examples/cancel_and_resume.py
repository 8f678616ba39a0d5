"""Leave a running answer, come back to it on a new connection, then stop it and read the receipt.

`.venv/bin/python examples/cancel_and_resume.py [URL]`, with a server running (`make serve`).
"""

import asyncio
import sys

import realtime_client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/v1/responses"


async def main() -> None:
    async with realtime_client.connect(URL) as first:
        response = await first.create(input="Tell me a long story", ignore_eos=True, max_output_tokens=2000)
        async for text in response.text():
            print(text, end="", flush=True)
            if response.cursor.starting_after > 40:
                break
        cursor = await response.detach()  # the server goes on without us

    print("\n--- another connection, perhaps another process; nothing is lost and nothing comes twice ---")
    async with realtime_client.connect(URL) as second:
        response = await second.resume(*cursor)
        async for text in response.text():
            print(text, end="", flush=True)
            if response.cursor.starting_after > 120:
                break
        final = await response.cancel()
        print(f"\n--- {final['status']}, receipt: {final['cancel']}")


asyncio.run(main())
