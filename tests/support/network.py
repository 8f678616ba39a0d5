"""A network between a browser and a server that a test can spoil from one moment to the next: reset, swallow, delay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.proxy import send


class Network:
    """The way to one server. `port`: where a client finds it. `target_port`: where new connections end.
    `delay_seconds`: for each piece, each way.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._open: set[asyncio.Task[None]] = set()
        self._swallowed: set[asyncio.Task[None]] = set()  # bytes of theirs are lost, so they are silent for good
        self._sockets: set[asyncio.Task[None]] = set()  # WebSockets among them
        self._swallows = False
        self.delay_seconds = 0.0
        self.port = 0

    def reset(self) -> None:
        """End every connection without a word."""
        for task in self._open:
            task.cancel()

    def swallow(self) -> None:
        """From now on nothing comes through, and nobody is told: neither by open connections nor by new ones."""
        self._swallows = True
        self._swallowed |= self._open

    def recover(self) -> None:
        """Let new connections through again. A WebSocket that was open in the hole stays silent; requests are reset, as
        a browser would wait for their answers for as long as TCP does.
        """
        self._swallows = False
        for task in self._swallowed - self._sockets:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        if self._swallows:
            self._swallowed.add(task)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(task, reader, up_writer))
                both.create_task(self._pass_on(task, up_reader, writer))
        except (asyncio.CancelledError, BaseExceptionGroup):
            pass  # by `reset`, or one side has gone; asyncio 3.11 looks for an exception of a task that was cancelled
        finally:
            self._open.discard(task)
            self._swallowed.discard(task)
            self._sockets.discard(task)
            for one in (writer, up_writer):
                one.transport.abort()

    async def _pass_on(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if b"\r\nupgrade: websocket\r\n" in data.lower():
                self._sockets.add(task)
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if task not in self._swallowed:
                await send(writer, data)
        raise ConnectionResetError

    async def close(self) -> None:
        """End all connections, and wait for their ends."""
        tasks = list(self._open)
        self.reset()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def network(target_port: int) -> AsyncIterator[Network]:
    """Listen on a free port for a server on another."""
    way = Network(target_port)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        await way.close()
