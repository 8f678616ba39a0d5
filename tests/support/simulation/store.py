"""A node's way to the store that all nodes share: what is asked is done there, whatever becomes of the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from realtime.store.cluster.backend import Away, Backend, Changes, Key, Lease, LiveLease
from realtime.store.cluster.hosts import Host, checked
from tests.support.at_once import at_once
from tests.support.memory_backend import MemoryBackend

from .loop import Process
from .network import Network

T = TypeVar("T")
Work = Coroutine[Any, Any, T]

STORE = "store"
ANSWER_SECONDS = 4.0  # that an answer may take, as with the servers that there are


class Way(Backend):
    """See the module. `loses`: the next answer of a commit is lost."""

    def __init__(self, backend: MemoryBackend, network: Network, node: str) -> None:
        self.loses = False
        self._backend = backend
        self._network = network
        self._node = node

    async def _ask(self, call: Callable[[], Coroutine[Any, Any, T]], *, commits: bool = False) -> T:
        network, loop = self._network, self._network.loop
        if network.is_severed(self._node, STORE) or self._backend.away:
            await asyncio.sleep(network.delay())
            raise Away("the store can't be reached")
        answered: asyncio.Future[T] = loop.create_future()
        loop.call_at_nobodys(loop.now + network.delay(), self._arrive, call, answered, commits)
        return await answered

    def _wait(self, answered: asyncio.Future[Any], go_on: Callable[[], None]) -> None:
        """Wait until the way is open again, or nobody waits any more."""
        self._network.when_healed(go_on)
        loop = self._network.loop
        loop.call_at_nobodys(loop.now + ANSWER_SECONDS, _give_up, answered)

    def _arrive(self, call: Callable[[], Coroutine[Any, Any, T]], answered: asyncio.Future[T], commits: bool) -> None:
        """It is asked, now or when the way is open again."""
        network, loop = self._network, self._network.loop
        if network.is_silent(self._node, STORE):
            self._wait(answered, lambda: self._arrive(call, answered, commits))
            return
        result, error = None, None
        try:
            result = at_once(call())
        except Exception as failed:
            error = failed
        if commits and self.loses:
            self.loses = False
            error = Away("the connection to the store was lost")
        loop.call_at_nobodys(loop.now + network.delay(), self._answer, answered, result, error)

    def _answer(self, answered: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if self._network.is_silent(STORE, self._node):
            self._wait(answered, lambda: self._answer(answered, result, error))
        elif not answered.done():
            answered.set_result(result) if error is None else answered.set_exception(error)

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """See Backend."""
        return await self._ask(lambda: self._backend.get(keys))

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """See Backend."""
        return await self._ask(lambda: self._backend.range(begin, end, limit, newest_first=newest_first))

    async def commit(self, changes: Changes) -> None:
        """See Backend."""
        await self._ask(lambda: self._backend.commit(changes), commits=True)

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """See Backend."""
        return await self._ask(lambda: self._backend.acquire(node, seconds, told))

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """See Backend."""
        return await self._ask(lambda: self._backend.renew(lease, seconds, told, number))

    async def release(self, lease: Lease) -> None:
        """See Backend."""
        await self._ask(lambda: self._backend.release(lease))

    async def leases(self) -> Sequence[LiveLease]:
        """See Backend."""
        return await self._ask(self._backend.leases)

    async def bury(self, lease: Lease) -> bool:
        """See Backend."""
        return await self._ask(lambda: self._backend.bury(lease))

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Backend."""
        return await self._ask(lambda: self._backend.take_once(key, seconds))

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Backend."""
        return await self._ask(lambda: self._backend.add_up(counts, seconds))

    async def open(self) -> None:
        """See Backend."""

    async def close(self) -> None:
        """See Backend."""


class ProcessHost(Host):
    """A `Host` whose thread is a process beside that of the server: either may be stopped alone."""

    lives = True

    def __init__(self, server: Process, thread: Process) -> None:
        self._server = server
        self._thread = thread
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Work[None]) -> None:
        """See Host."""
        self._begin(work)

    async def ask(self, work: Work[T]) -> T:
        """See Host."""
        task = self._begin(checked(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            raise

    def tell(self, call: Callable[[], None]) -> None:
        """See Host."""
        self._server.soon(call)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See Host."""
        asyncio.get_running_loop().call_later(seconds, call)

    def finish(self, work: Work[None], seconds: float) -> None:
        """See Host. It does not block: who calls it waits until there is nothing to do any more."""
        self._begin(work)

    async def settled(self) -> None:
        """Wait until all is done that was begun."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, work: Work[T]) -> asyncio.Task[T]:
        task = self._thread.run(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _give_up(answered: asyncio.Future[Any]) -> None:
    if not answered.done():
        answered.set_exception(Away("the store does not answer"))
