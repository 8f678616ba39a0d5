"""The gateway: assembles what all doors share, opens sockets, and ends everything in order.

`process` makes one, `app` gives it to the doors. It decides nothing about clients: `admission` says who may come in,
the service what they may do.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.websockets import WebSocket

from realtime.connection.profiles import ConnectionLimits, Profile, select_subprotocol
from realtime.connection.protocol import Connection
from realtime.context.encrypted import Cipher
from realtime.dialects.base import Dialect
from realtime.dialects.choose import choose_dialect
from realtime.dialects.harmony.dialect import Encoding
from realtime.engine.base import EngineError, Loaded
from realtime.engine.supervisor import EngineState, SupervisedEngine
from realtime.observability.exposition import Exposition, process_metrics
from realtime.observability.observer import Observer
from realtime.observability.origin import Origin
from realtime.service.prefix_salts import PrefixSalts
from realtime.service.principal import Principal
from realtime.service.service import Service
from realtime.settings.fields import ServerSettings, Settings
from realtime.store.base import Stores
from realtime.store.cluster.membership import Membership
from realtime.store.memory import memory_stores
from realtime.wire import events
from realtime.wire.errors import WireError
from realtime.wire.ids import new_id

from .admission import Admission
from .cluster import Cluster
from .cluster_settings import Node
from .encryption_keys import encryption_keys
from .families import family_choice
from .flusher import Pace
from .http.replies import handshake_refusal
from .large_messages import LargeMessages
from .momentary import Momentary
from .peers.messages import Answer, Ask
from .websocket import WebSocketShell
from .websocket_transport import EXTENSION

logger = logging.getLogger("realtime.server")


class Gateway:
    """The parts that all doors share: the settings, the engine, the service, admission, the open sockets."""

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
        self._family = family_choice(settings.vllm)
        self.observer = observer or Observer(settings.vllm.name)
        self._stores = stores or memory_stores(settings.responses)
        sealing_keys = encryption_keys(settings.server)
        self.admission = Admission(settings, sealing_keys, config)
        self.service = Service(
            engine,
            self._make_dialect,
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
        self._shells: dict[WebSocketShell, str] = {}  # with the names of their profiles
        self.exposition = self._exposition(self.observer)
        self._limits = ConnectionLimits.of(settings.connections)
        self.message_limits = self._limits.message
        self.large_messages = LargeMessages()
        self.pace = Pace()
        self.cluster = self._cluster(node, self._stores.membership)
        self.answer_for_others: Callable[[Ask], Awaitable[Answer]] | None = None  # set by the application

    def _exposition(self, observer: Observer) -> Exposition:
        now = Momentary(self.service, self.engine, self.admission, self._shells.values, observer.engine)
        return Exposition([now, observer.engine, observer.fleet, observer.cluster, observer.service], process_metrics())

    def _cluster(self, node: Node | None, membership: Membership | None) -> Cluster | None:
        if node is None or membership is None:
            return None
        return Cluster(
            node, membership, self.service, self.settings.responses, self.message_limits,
            max_bytes=self.settings.connections.max_message_bytes, serves=lambda: self._trouble() is None,
            engine=lambda: loaded.fingerprint if (loaded := self.engine.loaded) is not None else "",
            model_name=self.model_name, answer=self._answer_for_others, lost=self._leave_clients,
            limits_of=self.admission.limits.of, metrics=self.observer.cluster,
        )  # fmt: skip

    async def _answer_for_others(self, ask: Ask) -> Answer:
        assert self.answer_for_others is not None
        return await self.answer_for_others(ask)

    @property
    def model_name(self) -> str:
        """The name that clients use for the served model; known before the engine serves."""
        return self.settings.vllm.name

    # -- the socket

    async def websocket(self, websocket: WebSocket) -> None:
        """Serve one socket from the handshake to its end."""
        try:
            principal = self.admission.admit_socket(websocket)
        except WireError as error:
            self.observer.refused("websocket", error.spec.code)
            await websocket.send_denial_response(handshake_refusal(error))
            return
        with self.admission.connection(principal):  # from here on, so that handshakes on their way are counted
            await self._serve(websocket, principal)

    async def _serve(self, websocket: WebSocket, principal: Principal) -> None:
        """Serve an admitted socket to its end."""
        subprotocol = select_subprotocol(websocket.scope["subprotocols"])
        name = new_id("sess")
        await websocket.accept(subprotocol, [(b"x-request-id", name.encode())])
        profile = Profile.of(subprotocol)
        connection = self._new_connection(profile, principal, name, websocket.query_params.get("model"))
        sink = websocket.scope["extensions"][EXTENSION]["sink"]
        shell = WebSocketShell(
            connection,
            sink,
            self.service,
            principal,
            name,
            self.large_messages,
            origin=Origin.of(name, websocket.headers),
            observer=self.observer,
            identify=self.admission.owner_of if principal.grant is None else self.admission.holder_of,
            pace=self.pace,
        )
        began_at, spoken = time.monotonic(), profile.name.lower()
        logger.debug("connected session=%s profile=%s tenant=%s", name, spoken, principal.tenant)
        with self.admission.revocation.watching(shell):
            self._shells[shell] = spoken
            if self.admission.draining:  # it came between the beginning of the drain and here
                shell.drain(self.settings.server.drain_seconds, self.engine.status.start_seconds)
            try:
                await shell.run(websocket.receive)
            finally:
                del self._shells[shell]
                self.observer.connection_closed(
                    name, spoken, principal.tenant, shell.close_code, time.monotonic() - began_at, shell.num_created
                )

    def _new_connection(
        self, profile: Profile, principal: Principal, session_id: str, default_model: str | None
    ) -> Connection:
        limits, now = self._limits, time.monotonic()
        expires_at = now + limits.lifetime_seconds
        connection = Connection(
            profile,
            limits,
            tenant=principal.tenant,
            expires_at=expires_at,
            default_model=default_model,
            role=principal.grant.role if principal.grant is not None else None,
        )
        connection.open(events.Session(id=session_id, model=self.model_name, limits=limits.for_client()), now)
        return connection

    def _make_dialect(self, loaded: Loaded) -> Dialect:
        """Make the dialect of a loaded model. Raises EngineError."""
        options = self.settings.vllm
        dialect = choose_dialect(
            loaded,
            options.dialect,
            load_encoding=lambda: _load_harmony(options.harmony_vocabulary),
            today=lambda: time.strftime("%Y-%m-%d"),
            family=self._family,
        )
        holds = [name for name in ("auto", "forced") if getattr(dialect.holds, name)]
        logger.info("family=%s holds=%s", dialect.name, ",".join(holds) or "nothing")
        return dialect

    def _trouble(self) -> str | None:
        status = self.engine.status
        if status.state is EngineState.READY:
            return None
        return f"The engine is {status.state.value}: try again in a few seconds."

    # -- the end

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

    def close_stores(self) -> None:
        """Commit everything and close. Blocks for as long as that takes; nothing may be called after it."""
        self._stores.close()

    async def drain(self) -> None:
        """Refuse new work, let running responses finish and be delivered, and close each connection when it is done."""
        grace = self.settings.server.drain_seconds
        self.admission.draining = True
        hands_on = self.cluster is not None and self.cluster.others_serve
        if self.cluster is not None:
            self.cluster.drain()
        logger.info("draining %s (a second signal ends at once)", self._left())
        for shell in list(self._shells):
            shell.drain(grace, None if hands_on else self.engine.status.start_seconds)
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
        for shell in list(self._shells):
            shell.drain(0, self.engine.status.start_seconds)
        await self.leave_off()
        await self.admission.wait_empty()

    async def leave_off(self) -> None:
        """End running responses, or leave them to the next process, or to other nodes."""
        await self.service.shutdown(leave=True)
        for shell in list(self._shells):
            shell.leave_off()
        if self.cluster is not None:
            await self.cluster.leave()

    async def _leave_clients(self) -> None:
        """Close the clients' connections, so that they come back, here or elsewhere."""
        for shell in list(self._shells):
            shell.drain(0)
            shell.leave_off()

    def _left(self) -> str:
        return f"responses={self.service.num_running} connections={self.admission.num_connections}"


def _prefix_salts(settings: ServerSettings) -> PrefixSalts | None:
    """Make the salts that keep tenants apart in the engine's cache, if there are several. The cache ends with the
    process, so the secret may too.
    """
    if settings.api_keys_file is None or settings.share_prefix_cache:
        return None
    return PrefixSalts(secrets.token_bytes(32))


def _load_harmony(vocabulary: str | None) -> Encoding:
    """Import the Harmony library, which takes time, and load its vocabulary. Raises EngineError."""
    from realtime.dialects.harmony import library

    try:
        return library.load(vocabulary)
    except library.NoVocabulary as error:
        raise EngineError(str(error)) from error
