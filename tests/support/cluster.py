"""Several nodes in the test's own event loop, with real sockets between them, on one store in memory.

The engines tick by `step()`. `Member.kill` leaves what a process leaves that is killed: connections that are cut, what
was committed by then, and a lease that is over (nobody waits for that).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from realtime.engine.backoff import Backoff
from realtime.engine.base import Engine
from realtime.engine.scripted import Script, ScriptedEngine
from realtime.engine.supervisor import SupervisedEngine
from realtime.observability.observer import Observer
from realtime.server.cluster_settings import Node, with_shared_key
from realtime.server.gateway import Gateway
from realtime.settings.fields import Settings
from realtime.store.cluster.backend import Lease
from realtime.store.cluster.node import LeaseTimes
from realtime.store.cluster.stores import Opened, open_cluster
from realtime.store.packed.bounds import bounds_of
from tests.support.memory_backend import MemoryBackend

from .server import QuietServer, Running, listening
from .steps import until

T = TypeVar("T")

SECRET = b"the secret of the nodes in a test"
TIMES = LeaseTimes(live=30, renew=0.05, margin=1)  # no lease ends because the machine is slow


class Member(Running):
    """A node that listens."""

    def __init__(
        self, gateway: Gateway, engines: list[ScriptedEngine], server: QuietServer, port: int, opened: Opened,
        backend: MemoryBackend,
    ) -> None:  # fmt: skip
        super().__init__(gateway, engines, server, port)
        assert gateway.cluster is not None
        self.cluster = gateway.cluster
        self.name = self.cluster.me.name
        self.server = server
        self.opened = opened
        self.backend = backend
        self.dead = False

    @property
    def running(self) -> list[str]:
        """The responses that run here."""
        return list(self.gateway.service.registry.running)

    async def lose_lease(self) -> None:
        """End its lease, as if it could not have been renewed."""
        await self.backend.release(Lease(self.name, self.cluster.membership.epoch))

    async def kill(self, *, lease_ends: bool = True) -> None:
        """End it as a process ends that is killed. lease_ends: at once, and not when the test has it end."""
        self.dead = True
        self.opened.node.submit = lambda batch, done: None  # type: ignore[method-assign]
        self.cluster.membership.on_lost.clear()
        for task in list(self.cluster._tasks):
            task.cancel()
        for server in self.server.servers:
            server.close()
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()
        for node in self.cluster.nodes._nodes.values():
            if node._link._socket is not None:
                node._link._socket.connection.transport.abort()
        if lease_ends:
            await self.lose_lease()


class Nodes:
    """All of them."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)

    def __iter__(self) -> Any:
        return iter(self.members)

    def step(self, ticks: int = 1) -> bool:
        """Let all engines make a step. Return False, for conditions that wait for what comes of it."""
        for member in self.members:
            if not member.dead and member.gateway.engine.loaded is not None:
                member.engine.step(ticks)
        return False

    async def while_stepping(self, work: Coroutine[Any, Any, T]) -> T:
        """Let all engines go on until something is done; return what comes of it."""
        task = asyncio.create_task(work)
        async with asyncio.timeout(120):  # guards against hanging only
            while not task.done():
                self.step()
                await asyncio.sleep(0.001)
        return task.result()

    async def know_each_other(self) -> None:
        """Wait until each knows the others that live, and that they serve."""
        live = [member for member in self.members if not member.dead]

        def known() -> bool:
            return all(
                {peer.node for peer in one.cluster.membership.peers().values() if peer.state == "serving"}
                == {other.name for other in live if other is not one}
                for one in live
            )

        for member in live:
            member.cluster._announce()
        await until(known, "nodes that know each other")

    async def settle(self) -> None:
        """Wait until everything is committed."""
        await until(lambda: all(m.opened.commits.settled for m in self.members if not m.dead), "commits")

    async def owner(self, response_id: str) -> Member:
        """Wait until a response runs at a node that lives; return it."""
        live = [member for member in self.members if not member.dead]
        await until(lambda: any(response_id in member.running for member in live), "a new owner")
        return next(member for member in live if response_id in member.running)


@contextlib.asynccontextmanager
async def member(
    backend: MemoryBackend, name: str, script: Script | None = None, settings: Settings | None = None, *,
    secret: bytes = SECRET, shared: bool = True, advertise: str | None = None, tick_seconds: float | None = None,
    times: LeaseTimes = TIMES, make_engine: Callable[[], Engine] | None = None, model: str = "starter",
    **engine_options: Any,
) -> AsyncIterator[Member]:  # fmt: skip
    """Start a node, and end it if it was not killed.

    make_engine: of one whose engine is not scripted. model: no other one can go on with a scripted one's answers.
    """
    settings = msgspec.structs.replace(settings or Settings(), engine="scripted")
    engines: list[ScriptedEngine] = []

    def make() -> ScriptedEngine:
        engines.append(ScriptedEngine(script, tick_seconds=tick_seconds, name=model, **engine_options))
        return engines[-1]

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    node = Node(name, advertise or f"ws://127.0.0.1:{port}", secret, shared)
    settings = msgspec.structs.replace(settings, server=with_shared_key(settings.server, node))
    observer, bounds = Observer(), bounds_of(settings.responses)
    opened = open_cluster(
        backend, name, node.url, bounds, settings.store, times=times, told=observer.cluster.round_trip
    )  # fmt: skip
    engine = SupervisedEngine(make_engine or make, Backoff(first_seconds=0, jitter=0))
    gateway = Gateway(settings, engine, opened.stores, observer, node=node)
    try:
        async with listening(settings, gateway, listener=listener) as (server, _):
            await gateway.recover()
            here = Member(gateway, engines, server, port, opened, backend)
            try:
                yield here
            finally:
                if here.dead:
                    await gateway.service.shutdown()
                    await here.cluster.nodes.close()
                else:
                    await gateway.leave_off()
    finally:
        await asyncio.to_thread(opened.stores.close)


@contextlib.asynccontextmanager
async def nodes(
    *names: str, script: Script | None = None, settings: Settings | None = None,
    engines: Sequence[Callable[[], Engine] | None] | None = None, **options: Any,
) -> AsyncIterator[Nodes]:  # fmt: skip
    """Start nodes that know each other. engines: what makes each one's, if they are not scripted."""
    backend = MemoryBackend()
    async with contextlib.AsyncExitStack() as stack:
        members = [
            await stack.enter_async_context(member(backend, name, script, settings, make_engine=make, **options))
            for name, make in zip(names, engines or [None] * len(names), strict=True)
        ]
        found = Nodes(members)
        await found.know_each_other()
        yield found
