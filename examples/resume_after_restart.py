"""An answer that outlives the program: stop it in the middle (Ctrl-C, kill), start it again, and it goes on.

`.venv/bin/python examples/resume_after_restart.py [URL [FILE]]`, with a server running (`make serve`). FILE keeps where
the reader is. What the server had finished outlives a restart of the server, too.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import realtime_client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/v1/responses"
FILE = Path(sys.argv[2] if len(sys.argv) > 2 else "cursor.json")


async def main(cursor: list[Any] | None) -> None:
    async with realtime_client.connect(URL) as rt:
        if cursor is not None:
            response = await rt.resume(*cursor)
        else:
            going_on = {"policy": "continue"}  # though nobody follows it
            response = await rt.create(
                input="Tell me a long story", ignore_eos=True, max_output_tokens=400, on_disconnect=going_on
            )
        async for text in response.text():
            print(text, end="", flush=True)
            keep(response.cursor)  # behind what was shown


def keep(cursor: realtime_client.Cursor) -> None:
    new = FILE.with_suffix(".new")
    new.write_text(json.dumps(cursor))
    new.replace(FILE)  # whole or not at all


asyncio.run(main(json.loads(FILE.read_text()) if FILE.exists() else None))
FILE.unlink()
