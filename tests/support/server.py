"""A whole server in the test's own event loop: real sockets, real uvicorn, the scripted engine; and a raw client.

The engine ticks by `step()` when `tick_seconds` is None, so a test decides when a token comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from realtime.engine.backoff import Backoff
from realtime.engine.scripted import Script, ScriptedEngine
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.gateway import Gateway
from realtime.server.process import uvicorn_config
from realtime.server.websocket import WebSocketShell
from realtime.server.websocket_transport import FrameProtocol
from realtime.settings.fields import Settings
from realtime.store.base import Stores
from realtime.store.memory.stores import memory_stores
from realtime.store.sqlite.stores import bounds_of, open_stores

NATIVE = "realtime.v1"


class QuietServer(uvicorn.Server):
    """uvicorn's server without signal handlers, which belong to the test runner, and without its naps of 0.1 s."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but a connection that does not end is a failure here."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        async with asyncio.timeout(120):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.001)  # uvicorn has no event for it


class Running:
    """A server that listens. `engine` is the scripted engine that serves now."""

    def __init__(self, gateway: Gateway, engines: list[ScriptedEngine], server: uvicorn.Server, port: int) -> None:
        self.gateway = gateway
        self._server = server
        self.port = port
        self._engines = engines

    @property
    def engine(self) -> ScriptedEngine:
        """The engine of now; a restart makes a new one."""
        return self._engines[-1]

    @property
    def open_connections(self) -> int:
        """TCP connections that uvicorn holds, whatever they are."""
        return len(self._server.server_state.connections)

    @property
    def url(self) -> str:
        """Where the socket is."""
        return f"ws://127.0.0.1:{self.port}/v1/responses"

    @property
    def http(self) -> str:
        """The base of the HTTP endpoints."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def client(self, *, native: bool = False, key: str | None = None, **options: Any) -> AsyncIterator[Client]:
        """A raw socket, greeted if it is native."""
        async with dial(self.url, native=native, key=key, **options) as client:
            yield client


@contextlib.asynccontextmanager
async def dial(
    url: str,
    *,
    native: bool = False,
    key: str | None = None,
    offers: Sequence[str] = (),
    headers: Mapping[str, str] = {},
    **options: Any,
) -> AsyncIterator[Client]:
    """A raw socket to a server anywhere, greeted if it is native. `offers`: further sub-protocols."""
    headers = {**headers, **({"Authorization": f"Bearer {key}"} if key else {})}
    protocols: Any = [*([NATIVE] if native else []), *offers] or None
    # max_queue: else the library stops reading when 16 events wait, and then close() waits in vain
    options = {"max_size": None, "max_queue": None, "compression": None, "proxy": None, **options}
    async with connect(url, additional_headers=headers, subprotocols=protocols, **options) as connection:
        client = Client(connection)
        if native:
            greeting = await client.receive()
            assert greeting["type"] == "session.created"
        yield client


def sink_of(shell: WebSocketShell) -> FrameProtocol:
    """What a socket writes to: here uvicorn's protocol, whose transport a test may block."""
    assert isinstance(shell._sink, FrameProtocol)
    return shell._sink


class Client:
    """Frames in and out as JSON, with a deadline on every receive so that a lost event fails and does not hang."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, type: str, **members: Any) -> None:
        """One client event."""
        await self.connection.send(json.dumps({"type": type, **members}))

    async def receive_raw(self, timeout: float = 120) -> str:
        """The next message as it came."""
        async with asyncio.timeout(timeout):
            message = await self.connection.recv()
        assert isinstance(message, str), "the server must send text messages only"
        return message

    async def receive(self, timeout: float = 120) -> dict[str, Any]:
        """The next message, decoded."""
        event: dict[str, Any] = json.loads(await self.receive_raw(timeout))
        return event

    async def until_done(self, response_id: str | None = None) -> list[dict[str, Any]]:
        """Events up to and with the next one that is `done` (of this response, if one is named)."""
        events = []
        while True:
            event = await self.receive()
            if response_id is not None and event.get("response_id") != response_id:
                continue
            events.append(event)
            if event["done"]:
                return events

    async def create(self, text: Any = "hi", **members: Any) -> list[dict[str, Any]]:
        """Create a response and read it to its end."""
        await self.send("response.create", input=text, **members)
        return await self.until_done()


@contextlib.asynccontextmanager
async def running(
    script: Script | None = None,
    settings: Settings | None = None,
    *,
    tick_seconds: float | None = 0,
    backoff: Backoff | None = None,
    stores: Stores | None = None,
    recover: bool = False,
    family: str = "auto",
    **engine_options: Any,
) -> AsyncIterator[Running]:
    """Start a server on a free port and stop it. `recover`: go on with what the stores have of it. `family`: of the
    scripted model. `engine_options` go to ScriptedEngine.
    """
    settings = msgspec.structs.replace(settings or Settings(), engine="scripted")
    settings = msgspec.structs.replace(settings, vllm=msgspec.structs.replace(settings.vllm, family=family))
    engines: list[ScriptedEngine] = []

    def make() -> ScriptedEngine:
        engines.append(ScriptedEngine(script, tick_seconds=tick_seconds, name="starter", **engine_options))
        return engines[-1]

    with _stores(settings, stores) as stores:
        gateway = Gateway(settings, SupervisedEngine(make, backoff or Backoff(first_seconds=0, jitter=0)), stores)
        if recover:
            await gateway.recover()
        async with listening(settings, gateway) as (server, port):
            yield Running(gateway, engines, server, port)


@contextlib.contextmanager
def _stores(settings: Settings, given: Stores | None) -> Iterator[Stores]:
    """The given stores, else those that `TESTS_STORE` names: `sqlite`, or `memory`."""
    if given is not None or os.environ.get("TESTS_STORE") != "sqlite":
        yield given or memory_stores(settings.responses)
        return
    with tempfile.TemporaryDirectory() as folder:
        opened = open_stores(Path(folder) / "store.db", bounds_of(settings.responses), settings.store)
        try:
            yield opened.stores
        finally:
            opened.stores.close()


@contextlib.asynccontextmanager
async def listening(
    settings: Settings, gateway: Gateway, *, start: bool = True, listener: socket.socket | None = None
) -> AsyncIterator[tuple[QuietServer, int]]:
    """Start the engine and serve on a free port, which is given, or on `listener`; stop both at the end. `start`: else
    the test does.
    """
    if start:
        await gateway.engine.start()
    server = QuietServer(uvicorn_config(settings, gateway))
    with listener or socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield server, listener.getsockname()[1]
        finally:
            await gateway.service.shutdown()
            server.stopped.set()
            await serving
            await gateway.engine.shutdown()


def changed(settings: Settings | None = None, **members: Any) -> Settings:
    """Settings with some members changed, whatever their group."""
    settings = settings or Settings()
    for name, value in members.items():
        for group in ("server", "connections", "responses", "scheduling", "store", "cluster", "images", "mcp", "vllm"):
            part = getattr(settings, group)
            if hasattr(part, name):
                part = msgspec.structs.replace(part, **{name: value})
                settings = msgspec.structs.replace(settings, **{group: part})
                break
        else:
            raise AttributeError(name)
    return settings
