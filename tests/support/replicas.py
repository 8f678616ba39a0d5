"""A store with a replica that follows it without waiting, and an address that is the one's first and then the other's,
as operators have it: a virtual address, a name, or a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bench.databases import NotInstalled, postgres_command, ready, start, stop
from realtime.store.cluster.stores import make_backend
from tests.support.ports import free_port

from .network import Network, network


class Replicated:
    """Both of them, and the way to the one that is the primary for now."""

    def __init__(self, kind: str, folders: tuple[Path, Path], way: Network, ports: tuple[int, int]) -> None:
        self.way = way
        self._kind = kind
        self._folders = folders
        self.ports = ports
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Where nodes find it."""
        return self._url(self.way.port)

    @property
    def url_of_both(self) -> str:
        """Where nodes find it who ask both which is the primary. PostgreSQL only."""
        both = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://postgres@{both}/postgres?target_session_attrs=primary"

    def _url(self, port: int) -> str:
        at = f"127.0.0.1:{port}"
        return f"redis://{at}/0" if self._kind == "redis" else f"postgresql://postgres@{at}/postgres"

    async def begin(self) -> None:
        """Start both, and wait until the second follows the first."""
        self._processes.append(start(self._kind, self._folders[0], port=self.ports[0])[0])
        await ready(make_backend(self._url(self.ports[0])))
        if self._kind == "postgres":
            source = ("-h", "127.0.0.1", "-p", str(self.ports[0]), "-U", "postgres", "-X", "stream", "-c", "fast")
            copy = postgres_command(
                "pg_basebackup", self._folders[1], "-R", "-D", str(self._folders[1] / "data"), *source
            )
            await asyncio.to_thread(subprocess.run, copy, check=True, cwd=self._folders[1])
        self._processes.append(start(self._kind, self._folders[1], port=self.ports[1])[0])
        if self._kind == "redis":
            await self._ask(1, "REPLICAOF 127.0.0.1 " + str(self.ports[0]))
        await self.caught_up()

    async def caught_up(self) -> None:
        """Wait until the second has all that the first one has."""
        if self._kind == "redis":
            await self._ask(0, "WAIT 1 0")
            return
        at = await self._ask(0, "SELECT pg_current_wal_lsn()::text")
        while not await self._ask(1, f"SELECT coalesce(pg_last_wal_replay_lsn() >= '{at}', false)"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def wait_for_each_other(self) -> None:
        """Have the first acknowledge nothing that the second does not have. PostgreSQL only."""
        await self._ask(0, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        await self._ask(0, "SELECT pg_reload_conf()")
        while await self._ask(0, "SELECT sync_state FROM pg_stat_replication") != "sync":  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def part(self) -> None:
        """Promote the second, while the first does not know: it goes on and acknowledges what will be lost."""
        await self._ask(1, "REPLICAOF NO ONE" if self._kind == "redis" else "SELECT pg_promote()")

    def point(self) -> None:
        """Have new connections end at the second."""
        self.way.target_port = self.ports[1]

    async def demote(self) -> None:
        """Have the first follow the second. Whoever is connected to it stays so. Redis only."""
        await self._ask(0, "REPLICAOF 127.0.0.1 " + str(self.ports[1]))

    def kill(self) -> None:
        """End the first as a crash does."""
        process = self._processes.pop(0)
        if self._kind == "postgres":
            stop(process)
        else:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        """End both."""
        while self._processes:
            stop(self._processes.pop())

    async def _ask(self, which: int, command: str) -> object:
        if self._kind == "redis":
            async with Redis(port=self.ports[which]) as redis:
                return await redis.execute_command(*command.split())  # type: ignore[no-untyped-call]
        while True:
            try:
                connection = await asyncpg.connect(self._url(self.ports[which]))
            except asyncpg.CannotConnectNowError:  # it listens before it answers
                await asyncio.sleep(0.02)
            else:
                break
        try:
            return await connection.fetchval(command)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def replicated(kind: str) -> AsyncIterator[Replicated]:
    """Start a primary and its replica; skip the test if they are not installed."""
    with contextlib.ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realtime-", ignore_cleanup_errors=True)))
            for _ in range(2)
        ]
        ports = free_port(), free_port()
        async with network(ports[0]) as way:
            found = Replicated(kind, (folders[0], folders[1]), way, ports)
            try:
                await found.begin()
                yield found
            except NotInstalled as error:
                if os.environ.get("TESTS_NEED_STORES") == "1":
                    raise
                pytest.skip(f"{error}: its fail-over was not tested")
            finally:
                found.close()


@contextlib.asynccontextmanager
async def sentinel(store: Replicated) -> AsyncIterator[str]:
    """Start what watches a Redis and its replica, and promotes that; give the URL for nodes."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="realtime-") as folder:
        file = Path(folder) / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor ours 127.0.0.1 {store.ports[0]} 1\n"
            "sentinel down-after-milliseconds ours 300\nsentinel failover-timeout ours 2000\n"
        )
        command = ("redis-server", str(file), "--sentinel")
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            async with asyncio.timeout(60), Redis(port=port) as watcher:  # guards against hanging only
                while True:
                    with contextlib.suppress(RedisConnectionError):
                        if await watcher.execute_command("SENTINEL", "REPLICAS", "ours"):  # type: ignore[no-untyped-call]
                            break
                    await asyncio.sleep(0.05)
            yield f"redis://127.0.0.1:1,127.0.0.1:{port}/0?sentinel=ours"
        finally:
            process.terminate()
            await process.wait()
