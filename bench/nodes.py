"""A cluster of nodes on the scripted engine and a Redis of their own, and what is asked of it beside streams."""

from __future__ import annotations

import contextlib
import http.client
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import databases, servers
from .servers import Server

WAIT_SECONDS = 60.0


@contextlib.contextmanager
def nodes(names: Sequence[str], tick: float, tokens: int, *flags: str) -> Iterator[dict[str, Server]]:
    """Run nodes that know each other. Each answer says its numbers up to `tokens`, one every `tick` seconds. Raises
    NotInstalled.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        script = folder / "script.toml"
        script.write_text(f"tick_seconds = {tick}\n[[responses]]\nsay = {json.dumps(said(tokens))}\n")
        process, url = databases.start("redis", folder)
        stack.callback(databases.stop, process)
        starting = [servers.node(name, url, "--script", str(script), *flags) for name in names]
        found = dict(zip(names, servers.enter_all(stack, *starting), strict=True))
        for one in found.values():
            _knows(one, len(names) - 1)
        yield found


def said(tokens: int) -> list[str]:
    """The tokens of an answer."""
    return [f"{number} " for number in range(tokens)]


def cancel(server: Server, response_ids: Sequence[str]) -> None:
    """End what runs."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)) as connection:
        for response_id in response_ids:
            connection.request("POST", f"/v1/responses/{response_id}/cancel")
            connection.getresponse().read()


def _knows(server: Server, others: int) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while _ready(server)["node"]["others"] != others:
        if time.monotonic() > until:
            raise RuntimeError("the nodes do not find each other")
        time.sleep(0.1)


def _ready(server: Server) -> Any:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)) as connection:
        connection.request("GET", "/ready")
        return json.loads(connection.getresponse().read())
