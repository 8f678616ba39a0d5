"""A TCP proxy that is as bad as a network can be: it delays what it passes on, and tears it into single bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from .steps import until


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write and wait; ConnectionResetError for a connection that is gone, where uvloop has a RuntimeError."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(data)
    await writer.drain()


def always() -> bool:
    """Let through what comes."""
    return True


class Proxy:
    """One that listens. `port`: where. `passed_on`: all that the server has said, over all connections. `lets_up`:
    while it returns false, what clients say stays on its way.
    """

    def __init__(self, target_port: int, delay_seconds: float, tears: bool) -> None:
        self._target_port, self._delay, self._tears = target_port, delay_seconds, tears
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.passed_on = bytearray()
        self.lets_up: Callable[[], bool] = always

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for one in (writer, up_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(self._pass_on(reader, up_writer), self._pass_on(up_reader, writer, self.passed_on))
        except asyncio.CancelledError:
            pass  # by `close`; asyncio 3.11 looks for an exception of a task that was cancelled
        finally:
            for one in (writer, up_writer):
                one.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None = None
    ) -> None:
        """What comes waits its time and goes; the order stays, and nothing waits for what came before it."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def send_on() -> None:
            data = b"x"
            while data:
                due, data = await waiting.get()
                if (left := due - loop.time()) > 0:
                    await asyncio.sleep(left)  # the delay itself
                if kept is not None:
                    kept.extend(data)
                if kept is None:
                    await until(self.lets_up, "a way up")
                await self._write(writer, data)
            with contextlib.suppress(OSError):
                if not writer.is_closing():
                    writer.write_eof()

        sending = asyncio.create_task(send_on())
        try:
            data = b"x"
            while data:
                try:
                    data = await reader.read(65536)
                except ConnectionError:
                    data = b""
                waiting.put_nowait((loop.time() + self._delay, data))
            await sending
        finally:
            sending.cancel()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        pieces = [data[index : index + 1] for index in range(len(data))] if self._tears else [data]
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await send(writer, piece)
                await asyncio.sleep(0)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxied(target_port: int, *, delay_seconds: float = 0, tears: bool = False) -> AsyncIterator[Proxy]:
    """Listen on a free port for a server on another. `delay_seconds`: each way. `tears`: every byte is a write."""
    proxy = Proxy(target_port, delay_seconds, tears)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
