"""The gateway: assembles what all doors share, and ends everything in order.

`process` makes one, `app` gives it to the doors. It decides nothing about clients: `admission` says who may come in,
the service what they may do.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path

from realtime.connection.profiles import ConnectionLimits
from realtime.context.encrypted import Cipher
from realtime.engine.supervisor import EngineState, SupervisedEngine
from realtime.observability.exposition import Exposition, process_metrics
from realtime.observability.observer import Observer
from realtime.service.prefix_salts import PrefixSalts
from realtime.service.service import Service
from realtime.settings.fields import ServerSettings, Settings
from realtime.store.base import Stores
from realtime.store.cluster.membership import Membership
from realtime.store.memory.stores import memory_stores

from .admission import Admission
from .cluster import Cluster
from .cluster_settings import Node
from .dialects import dialect_maker
from .encryption_keys import encryption_keys
from .flusher import Pace
from .gauges import Gauges
from .large_messages import LargeMessages
from .sockets import Sockets

logger = logging.getLogger("realtime.server")


class Gateway:
    """The parts that all doors share: the settings, the engine, the service, admission, the clients' sockets."""

    def __init__(
        self,
        settings: Settings,
        engine: SupervisedEngine,
        stores: Stores | None = None,
        observer: Observer | None = None,
        config: Path | None = None,
        node: Node | None = None,
    ) -> None:
        """stores: in memory if not given. observer: the engine's, too. config: see Admission. node: this one, in the
        cluster whose stores these are. Raises SettingsError for an unknown family of models.
        """
        self.settings = settings
        self.engine = engine
        self.observer = observer or Observer(settings.vllm.name)
        self._stores = stores or memory_stores(settings.responses)
        sealing_keys = encryption_keys(settings.server)
        self.admission = Admission(settings, sealing_keys, config)
        self.service = Service(
            engine,
            dialect_maker(settings.vllm),
            settings.responses,
            self._stores,
            trouble=self._trouble,
            cipher=Cipher(*sealing_keys),
            salts=_prefix_salts(settings.server),
            after_commit=settings.store.deliver == "after_commit",
            tenant_share=self.admission.tenant_share,
            limits_of=self.admission.limits.of,
            scheduling=settings.scheduling,
            mcp=settings.mcp,
            image_settings=settings.images,
            limits=settings.limits,
            observer=self.observer,
        )
        limits = ConnectionLimits.of(settings.connections)
        self.message_limits = limits.message
        self.large_messages = LargeMessages()
        self.pace = Pace()
        self.sockets = Sockets(
            limits, self.model_name, self.admission, self.service, self.observer, self.pace, self.large_messages
        )
        self.exposition = self._exposition(self.observer)
        self.cluster = self._cluster(node, self._stores.membership)

    def _exposition(self, observer: Observer) -> Exposition:
        profiles = self.sockets.shells.values
        now = Gauges(self.service, self.engine, self.admission, profiles, observer.engine)
        return Exposition([now, observer.engine, observer.fleet, observer.cluster, observer.service], process_metrics())

    def _cluster(self, node: Node | None, membership: Membership | None) -> Cluster | None:
        if node is None or membership is None:
            return None
        return Cluster(
            node, membership, self.service, self.settings.responses, self.message_limits,
            max_bytes=self.settings.connections.max_message_bytes, serves=lambda: self._trouble() is None,
            engine=lambda: loaded.fingerprint if (loaded := self.engine.loaded) is not None else "",
            model_name=self.model_name, send_away=self.sockets.send_away,
            limits_of=self.admission.limits.of, metrics=self.observer.cluster,
        )  # fmt: skip

    @property
    def model_name(self) -> str:
        """The name that clients use for the served model; known before the engine serves."""
        return self.settings.vllm.name

    def _trouble(self) -> str | None:
        status = self.engine.status
        if status.state is EngineState.READY:
            return None
        return f"The engine is {status.state.value}: try again in a few seconds."

    async def recover(self) -> None:
        """Continue the responses that ran when the last process ended, or end them; in a cluster, join it. Raises
        WireError when the store can't be read, and CannotJoin.
        """
        if self.cluster is not None:
            await self.cluster.start()
            return
        recovered = await self.service.restart.recover(self.model_name)
        if recovered.num_going_on:
            logger.info("responses go on when the engine serves: %d", recovered.num_going_on)
        if recovered.num_ended:
            logger.warning("responses ended that ran when the server died: %d", recovered.num_ended)

    # -- the end

    async def drain(self) -> None:
        """Refuse new work, let running responses finish and be delivered, and close each connection when it is done."""
        grace = self.settings.server.drain_seconds
        self.admission.draining = True
        hands_on = self.cluster is not None and self.cluster.others_serve
        if self.cluster is not None:
            self.cluster.drain()
        logger.info("draining %s (a second signal ends at once)", self._left())
        self.sockets.drain(grace, None if hands_on else self.engine.status.start_seconds)
        try:
            async with asyncio.timeout(grace):
                await self.service.drain(to_others=hands_on)
                if hands_on:
                    await self.leave_off()
                await self.admission.wait_empty()
        except TimeoutError:
            logger.warning("grace over %s", self._left())
        await self.leave_off()

    async def end(self) -> None:
        """End running responses now. Returns when their last events are written and every connection is closed."""
        self.admission.draining = True
        self.sockets.drain(0, self.engine.status.start_seconds)
        await self.leave_off()
        await self.admission.wait_empty()

    async def leave_off(self) -> None:
        """End running responses, or leave them to the next process, or to other nodes."""
        await self.service.shutdown(leave=True)
        self.sockets.leave_off()
        if self.cluster is not None:
            await self.cluster.leave()

    def close_stores(self) -> None:
        """Commit everything and close. Blocks for as long as that takes; nothing may be called after it."""
        self._stores.close()

    def _left(self) -> str:
        return f"responses={self.service.num_running} connections={self.admission.num_connections}"


def _prefix_salts(settings: ServerSettings) -> PrefixSalts | None:
    """Make the salts that keep tenants apart in the engine's cache, if there are several. The cache ends with the
    process, so the secret may too.
    """
    if settings.api_keys_file is None or settings.share_prefix_cache:
        return None
    return PrefixSalts(secrets.token_bytes(32))
