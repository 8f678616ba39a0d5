"""`python -m realtime chat`: a conversation in the terminal. Ctrl-C stops the answer, not the program; `/quit` leaves.

The program is a client like any other, on `realtime_client`: an answer survives a broken connection.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from getpass import getpass
from pathlib import Path
from typing import Any

from .client import Client, connect
from .errors import ConnectionLost, ResponseFailed, ServerError
from .response import Response

DEFAULT_URL = "ws://127.0.0.1:8000/v1/responses"
HELP = """\
commands:  /new  start over    /quit  leave (also Ctrl-D)    Ctrl-C  stop the answer
"""
# The key is not a flag: everybody on the machine can read the command line of a process.
KEY_HELP = "\nA key, if the server asks for one, is taken from the variable REALTIME_API_KEY, or asked for.\n"


def main(arguments: Sequence[str], running_urls: Callable[[], list[str]] = list) -> int:
    """Talk until the user leaves. Return the exit status: 1 if the server can't be reached.

    `running_urls`: the servers that run on this machine, for a user who does not name one.
    """
    found = running_urls()
    given = _parse(arguments, found)
    if given.url is None and len(found) > 1:
        print("realtime: several servers run here; say which with --url:\n  " + "\n  ".join(found), file=sys.stderr)
        return 2
    url = given.url or (found[0] if found else DEFAULT_URL)
    api_key = os.environ.get("REALTIME_API_KEY")
    try:
        try:
            return asyncio.run(_Chat(url, api_key, given).run())
        except ConnectionLost as error:
            if error.status != 401 or api_key is not None or not sys.stdin.isatty():
                raise
        return asyncio.run(_Chat(url, getpass("The server asks for an API key: "), given).run())
    except ConnectionLost as error:
        print(f"realtime: no conversation with {url}: {error}", file=sys.stderr)
        if error.status == 401:
            print("The server asks for an API key: put it into the variable REALTIME_API_KEY.", file=sys.stderr)
            return 1
        print(f"Is the server running? Start one with `make serve` or `{_program()} serve`.", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):  # instead of a key
        print()
        return 1


def _program() -> str:
    """Return the command by which this program was called."""
    return "realtime" if Path(sys.argv[0]).name == "realtime" else "python -m realtime"


def _parse(arguments: Sequence[str], found: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"{_program()} chat",
        description="Talk to a running server in the terminal.",
        epilog=HELP + KEY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = found[0] if len(found) == 1 else DEFAULT_URL
    parser.add_argument(
        "--url",
        default=os.environ.get("REALTIME_URL") or None,
        help=f"where the server is [{where}]; also by the variable REALTIME_URL",
    )
    parser.add_argument("--instructions", help="what the model is told before each answer")
    parser.add_argument("--temperature", type=float, help="sampling temperature [the model's own]")
    parser.add_argument("--max-output-tokens", type=int, help="length of an answer at most")
    return parser.parse_args(arguments)


class _Chat:
    """One conversation: its last response, and the answer that is being written."""

    def __init__(self, url: str, api_key: str | None, given: argparse.Namespace) -> None:
        self._url = url
        self._api_key = api_key
        settings = {
            "instructions": given.instructions,
            "temperature": given.temperature,
            "max_output_tokens": given.max_output_tokens,
        }
        self._settings = {name: value for name, value in settings.items() if value is not None}
        self._previous: str | None = None
        self._answer: Response | None = None
        self._cancelling: asyncio.Task[Any] | None = None

    async def run(self) -> int:
        """Read questions and print answers, until the user leaves."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)
        async with connect(self._url, api_key=self._api_key) as client:
            print(HELP)
            while (line := await _read_line()) is not None:
                match line.strip():
                    case "":
                        continue
                    case "/quit":
                        break
                    case "/new":
                        self._previous = None
                    case text if text.startswith("/"):
                        print(HELP)
                    case text:
                        await self._say(client, text)
        return 0

    async def _say(self, client: Client, text: str) -> None:
        try:
            self._answer = answer = await client.create(
                input=text, previous_response_id=self._previous, **self._settings
            )
            async for piece in answer.text():
                print(piece, end="", flush=True)
            final = await answer.result()
            self._previous = final["id"]
            reason = (final.get("incomplete_details") or {}).get("reason")
            print(f"\n[{reason}]\n" if reason else "\n")
        except (ResponseFailed, ServerError) as error:
            print(f"\n[{error}]\n")
            if getattr(error, "code", None) == "previous_response_not_found":
                self._previous = None
                print("[the conversation is gone from the server: starting over]\n")
        finally:
            self._answer = None

    def _interrupted(self) -> None:
        """Stop the answer, if there is one: the user pressed Ctrl-C."""
        if self._answer is None:
            print("\n(nothing to stop; /quit leaves)\n> ", end="", flush=True)
        elif self._cancelling is None or self._cancelling.done():
            self._cancelling = asyncio.get_running_loop().create_task(self._answer.cancel())


async def _read_line() -> str | None:
    """Return a line from the user; None at the end of the input. Reads in a thread, so that the
    connection stays alive.
    """
    try:
        return await asyncio.to_thread(input, "> ")
    except EOFError:
        return None
