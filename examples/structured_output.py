"""An answer that is data: its schema is made of a class, and the answer is read into the class.

`.venv/bin/python examples/structured_output.py [URL]`, with a server running (`make serve`).
"""

import asyncio
import sys
from typing import Annotated, Any

import msgspec

import realtime_client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/v1/responses"


class Person(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=40)]
    age: Annotated[int, msgspec.Meta(ge=0, le=150)]


def format_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """`text.format` for a class."""
    (_,), definitions = msgspec.json.schema_components([kind])
    return {"type": "json_schema", "name": kind.__name__, "schema": definitions[kind.__name__], "strict": True}


async def main() -> None:
    async with realtime_client.connect(URL) as rt:
        response = await rt.create(
            input="Ada Lovelace was 36 years old. Who was it?",
            text={"format": format_of(Person)},
            temperature=0,
            max_output_tokens=200,
        )
        final = await response.result()
        if final["status"] == "completed":  # an answer that was cut is no JSON
            print(msgspec.json.decode(final.output_text, type=Person))
        else:
            print(f"cut: {final.output_text}")


asyncio.run(main())
