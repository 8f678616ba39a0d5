"""A TCP proxy that fails as networks do: it resets, swallows for a while, and delays. Told by a seed, so that it can be
played again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

from tests.support.proxy import send

KINDS = ("reset", "end", "hole", "refuse", "delay")
_LONGEST_DELAY_SECONDS = 0.02


class RoughPath:
    """What happens on the way to one server. Behind `num_faults` of them the path is good."""

    def __init__(self, target_port: int, seed: int, num_faults: int, hole_seconds: float) -> None:
        self._target_port = target_port
        self._rng = random.Random(seed)
        self._left = [*self._rng.choices(KINDS, k=num_faults - 1), KINDS[seed % len(KINDS)]]  # the last one comes first
        self._hole_seconds = hole_seconds
        self._hole_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.faults: list[str] = []

    @property
    def _swallows(self) -> bool:
        return asyncio.get_running_loop().time() < self._hole_until

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, with one fault at most, after so many bytes of the server."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        dead = self._swallows  # what begins in a hole stays in it
        fault = self._next_fault() if not dead else "opened in a hole"
        at = self._rng.choice([0, 200, self._rng.randint(0, 12_000)])
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            await asyncio.gather(self._up(reader, up_writer, dead), self._down(up_reader, writer, dead, fault, at))
        except asyncio.CancelledError:
            pass  # by `close`; asyncio 3.11 looks for an exception of a task that was cancelled
        except ConnectionError:
            pass
        finally:
            for one in (writer, up_writer):
                one.transport.abort()

    def _next_fault(self) -> str:
        if not self._left:
            return "none"
        self.faults.append(self._left.pop())
        return self.faults[-1]

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dead: bool) -> None:
        while data := await reader.read(65536):
            if not (dead or self._swallows):
                await send(writer, data)
        raise ConnectionResetError

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dead: bool, fault: str, at: int
    ) -> None:
        if fault == "refuse":
            raise ConnectionResetError
        passed = 0
        while data := await reader.read(1024):
            if fault in ("reset", "end", "hole") and passed + len(data) > at:
                data = data[: at - passed]
                await send(writer, data)
                if fault == "hole":
                    self._hole_until = asyncio.get_running_loop().time() + self._hole_seconds
                    dead, fault = True, "in the hole"
                    continue
                if fault == "end" and not writer.is_closing():
                    writer.write_eof()
                raise ConnectionResetError
            if fault == "delay":
                await asyncio.sleep(self._rng.uniform(0, _LONGEST_DELAY_SECONDS))
            passed += len(data)
            if not (dead or self._swallows):
                await send(writer, data)
            else:
                dead = True  # bytes are missing: it can't be right any more
        if dead:
            await asyncio.Event().wait()
        raise ConnectionResetError

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def rough_path(target_port: int, seed: int, *, num_faults: int, hole_seconds: float) -> AsyncIterator[RoughPath]:
    """Listen on a free port for a server on another."""
    path = RoughPath(target_port, seed, num_faults, hole_seconds)
    server = await asyncio.start_server(path.serve, "127.0.0.1", 0, family=socket.AF_INET)
    path.port = server.sockets[0].getsockname()[1]
    try:
        yield path
    finally:
        server.close()
        await path.close()
