"""A node as a process: the whole server, started as production starts it, that may be killed, stopped and drained."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from realtime.engine.backoff import Backoff
from realtime.engine.scripted import Script, ScriptedEngine
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.cluster_settings import Node, with_shared_key
from realtime.server.gateway import Gateway
from realtime.server.process import uvicorn_config
from realtime.settings.fields import Settings
from realtime.store.cluster.membership import CannotJoin
from realtime.store.cluster.stores import Opened, put_together
from realtime.store.packed.bounds import bounds_of, flush_ms
from tests.support.server import QuietServer

from .network import Listener
from .store import ProcessHost, Way
from .world import World

SECRET = b"the secret of the nodes in a test"
TICK_SECONDS = 0.03


class SimulatedNode:
    """See the module. `name`: of the node; each start of it is one of these."""

    def __init__(
        self, world: World, name: str, port: int, settings: Settings, script: Script,
        engine_options: dict[str, Any],
    ) -> None:  # fmt: skip
        self.name = name
        self.port = port
        self.gateway: Gateway
        self.opened: Opened
        self.ended = False  # by itself
        self.process = world.process(name)
        self.way = Way(world.backend, world.network, name)
        self._world = world
        self._thread = world.process(name)
        self._host = ProcessHost(self.process, self._thread)
        self._script = script
        self._engine_options = engine_options
        self._settings = msgspec.structs.replace(settings, engine="scripted")
        self._server: QuietServer
        self._draining: asyncio.Task[None] | None = None
        self.life = self.process.run(self._live(), f"node {name}")

    @property
    def up(self) -> bool:
        """Whether it is there, and does something."""
        return not self.process.dead and not self.process.stopped

    @property
    def serves(self) -> bool:
        """Whether it takes new work."""
        cluster = self.gateway.cluster if hasattr(self, "gateway") else None
        return cluster is not None and self.up and self._draining is None and cluster.membership.holds()

    @property
    def running(self) -> list[str]:
        """The responses that are not over here."""
        return list(self.gateway.service.registry.running) if hasattr(self, "gateway") and self.up else []

    @property
    def num_running(self) -> int:
        """How many responses are not over here."""
        return len(self.running)

    @property
    def num_others(self) -> int:
        """How many other nodes it knows that serve."""
        cluster = self.gateway.cluster
        assert cluster is not None
        return sum(peer.state == "serving" for peer in cluster.membership.peers().values())

    @property
    def url(self) -> str:
        """Where the socket is."""
        return f"ws://127.0.0.1:{self.port}/v1/responses"

    # -- what happens to it

    def kill(self) -> None:
        """End it at once."""
        self._thread.dead = True
        self._world.network.kill(self.process)

    def stop(self, *, all_of_it: bool = True) -> None:
        """Have it do nothing for a while; else it is only its event loop that hangs, and the lease is renewed."""
        self.process.stop()
        if all_of_it:
            self._thread.stop()

    def go_on(self) -> None:
        """Have it wake up."""
        self._thread.go_on()
        self.process.go_on()

    def shift_clock(self, seconds: float) -> None:
        """Put its clocks back, or forward."""
        self.process.lag += seconds
        self._thread.lag = self.process.lag

    def drain(self) -> None:
        """Have it go down as at SIGTERM."""
        if self._draining is None and not self.process.dead:
            self._draining = self.process.run(self._drain(), "drain")

    # -- its life

    async def _live(self) -> None:
        loop, name = self._world.loop, self.name
        node = Node(name, f"ws://127.0.0.1:{self.port}", SECRET, True)
        server_settings = with_shared_key(self._settings.server, node)
        settings = msgspec.structs.replace(self._settings, server=server_settings)
        self.opened = put_together(
            self.way, self._host, name, node.url, bounds_of(settings.responses),
            flush_seconds=flush_ms(settings.store) / 1e3, clock=lambda: loop.now - self.process.lag,
            wall_ns=lambda: int((loop.now - self.process.lag) * 1e9) + 1_800_000_000 * 10**9,
        )  # fmt: skip
        make: Callable[[], Any] = lambda: ScriptedEngine(  # noqa: E731
            self._script, tick_seconds=TICK_SECONDS, name="starter", **self._engine_options
        )
        engine = SupervisedEngine(make, Backoff(first_seconds=0, jitter=0))
        self.gateway = gateway = Gateway(settings, engine, self.opened.stores, node=node)
        self._server = server = QuietServer(uvicorn_config(settings, gateway))
        try:
            await gateway.recover()
            starting = asyncio.create_task(engine.start())
            await server.serve(sockets=[Listener(self.port)])  # type: ignore[list-item]
            await starting
            await gateway.leave_off()
            gateway.close_stores()
            await engine.shutdown()
            await self._host.settled()
        except CannotJoin:
            pass
        self.ended = True
        self.kill()

    async def _drain(self) -> None:
        with contextlib.suppress(AttributeError):  # it is being started
            await self.gateway.drain()
        self._server.stopped.set()
