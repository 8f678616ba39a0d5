"""A conversation in the terminal: Ctrl-C stops the answer, an empty line leaves. `realtime chat` is the same with more.

`.venv/bin/python examples/chat.py [URL]`, with a server running (`make serve`).
"""

import asyncio
import signal
import sys

import realtime_client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/v1/responses"


async def main() -> None:
    loop = asyncio.get_running_loop()
    previous: str | None = None
    async with realtime_client.connect(URL) as rt:
        while (line := await asyncio.to_thread(sys.stdin.readline)).strip():
            answer = await rt.create(input=line, previous_response_id=previous)
            stops: list[asyncio.Task[object]] = []
            loop.add_signal_handler(signal.SIGINT, stop, answer, stops)
            async for text in answer.text():  # goes on where it was when the connection breaks and comes back
                print(text, end="", flush=True)
            final = await answer.result()
            print(f"  [{final['status']}]")
            previous = answer.id


def stop(answer: realtime_client.Response, stops: list[asyncio.Task[object]]) -> None:
    stops.append(asyncio.create_task(answer.cancel()))


asyncio.run(main())
