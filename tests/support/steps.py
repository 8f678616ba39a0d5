"""What tests on real sockets do again and again: begin a response, take some frames, cut, wait for a state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from realtime.server.keys import KeyFile, read_keys, write_keys
from realtime.server.websocket import WebSocketShell

from .server import Client, Running


def beat(shell: WebSocketShell) -> None:
    """Have the connection's next heartbeat be due now."""
    shell._connection._heartbeats.due_at = 0.0
    shell._on_deadline(0.0)


async def begin(client: Client, text: str = "hi", **members: Any) -> str:
    """Create a response and read up to `in_progress`, when the engine holds it; returns its id."""
    await client.send("response.create", input=text, **members)
    while True:
        event = await client.receive()
        assert event["type"] != "error", event
        if event["type"] == "response.in_progress" and event.get("stream_id") == members.get("stream_id"):
            response_id: str = event["response_id"]
            return response_id


async def take(client: Client, count: int) -> list[str]:
    """This many messages as they came."""
    return [await client.receive_raw() for _ in range(count)]


async def take_all(client: Client, response_id: str | None = None) -> list[str]:
    """Messages as they came, to the next one that is done (of this response, if one is named)."""
    raw: list[str] = []
    while True:
        message = await client.receive_raw()
        event = json.loads(message)
        if response_id is None or event.get("response_id") == response_id:
            raw.append(message)
            if event["done"]:
                return raw


async def resume(client: Client, response_id: str, starting_after: int = -1, **members: Any) -> dict[str, Any]:
    """Ask for a resume; returns the answer."""
    await client.send("response.resume", response_id=response_id, starting_after=starting_after, **members)
    while (event := await client.receive())["type"] == "session.heartbeat":
        pass
    return event


async def cut(client: Client) -> None:
    """Lose the connection as when a cable is pulled: no closing handshake, a reset at once."""
    client.connection.transport.abort()
    await client.connection.wait_closed()


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Let the event loop run until something holds."""
    deadline = asyncio.get_running_loop().time() + 120  # guards against hanging, nothing more
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.001)  # sockets have no other way to say that they are quiet


async def finish(server: Running) -> None:
    """Tick until the engine holds nothing, and let the service notice."""
    while server.gateway.service.num_running:
        server.engine.step()
        await asyncio.sleep(0)


def engine_holds(server: Running) -> int:
    """Requests that the engine runs or has queued, those being aborted included."""
    stats = server.engine.stats()
    return stats.num_running + stats.num_waiting


def make_keys(path: Path, *names: str) -> dict[str, str]:
    """A keys file with these names; name to key."""
    keys, made = (read_keys(path) if path.exists() else KeyFile()), {}
    for name in names:
        keys, made[name] = keys.add(name)
    write_keys(path, keys)
    return made


async def by_response(client: Client, count: int) -> list[list[dict[str, Any]]]:
    """Events until this many responses are done, grouped by response in the order of their creation."""
    groups: dict[str, list[dict[str, Any]]] = {}
    while sum(events[-1]["done"] for events in groups.values()) < count:
        event = await client.receive()
        groups.setdefault(event["response_id"], []).append(event)
    return list(groups.values())
