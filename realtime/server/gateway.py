"""What all doors share - the service, the keys, the open sockets - and the WebSocket door's handshake."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from realtime.connection.lanes import ConnectionLimits
from realtime.connection.protocol import Connection, Profile
from realtime.context.encrypted import Cipher
from realtime.dialects.base import Dialect, Sight
from realtime.dialects.chat import ChatDialect
from realtime.dialects.harmony.dialect import HarmonyDialect
from realtime.engine.base import Engine, EngineError
from realtime.engine.supervisor import EngineState, SupervisedEngine
from realtime.service.principal import LOCAL, Principal
from realtime.service.service import Service
from realtime.settings.fields import Settings
from realtime.wire import codec, events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.ids import new_id

from .auth import (
    AuthFailure,
    AuthProblem,
    KeyRing,
    authenticate,
    origin_allowed,
    select_subprotocol,
)
from .encryption_keys import encryption_keys
from .http.replies import error_reply
from .websocket import WebSocketShell
from .websocket_transport import EXTENSION

logger = logging.getLogger("realtime.server")

HARMONY_MODELS = frozenset({"gpt_oss"})
NATIVE_SUBPROTOCOL = "realtime.v1"


class Gateway:
    """What all doors share: the service, the keys, the open sockets."""

    def __init__(self, settings: Settings, engine: SupervisedEngine) -> None:
        self.settings = settings
        self.engine = engine
        self.draining = False
        self.service = Service(
            engine,
            self._make_dialect,
            settings.responses,
            trouble=self._trouble,
            cipher=Cipher(*encryption_keys(settings.server)),
            mcp=settings.mcp,
            image_settings=settings.images,
        )
        keys = settings.server.api_keys_file
        self._ring = KeyRing(Path(keys)) if keys else None
        self.message_limits = codec.Limits(
            max_depth=settings.connections.max_json_depth, max_items=settings.connections.max_input_items
        )
        self.num_requests = 0  # over HTTP, being answered
        self._shells: set[WebSocketShell] = set()
        self._nobody = asyncio.Event()  # no socket is open and no request is being answered
        self._nobody.set()

    @property
    def num_connections(self) -> int:
        """Open sockets."""
        return len(self._shells)

    @property
    def model_name(self) -> str:
        """The name that clients use for the served model; known before the engine serves."""
        return self.settings.vllm.name

    # -- the socket

    async def websocket(self, websocket: WebSocket) -> None:
        """One socket from the handshake to its end."""
        admitted = self._admit(websocket)
        if isinstance(admitted, WireError):
            await websocket.send_denial_response(error_reply(admitted))
            return
        subprotocol = select_subprotocol(websocket.scope["subprotocols"])
        name = new_id("sess")
        await websocket.accept(subprotocol, [(b"x-request-id", name.encode())])
        profile = Profile.NATIVE if subprotocol == NATIVE_SUBPROTOCOL else Profile.PLAIN
        connection = self._new_connection(profile, name, websocket.query_params.get("model"))
        sink = websocket.scope["extensions"][EXTENSION]["sink"]
        shell = WebSocketShell(
            connection,
            sink,
            self.service,
            admitted,
            name,
            heartbeat_seconds=self.settings.connections.heartbeat_seconds,
            identify=self._ring.find if self._ring is not None else lambda key: LOCAL,
        )
        self._shells.add(shell)
        if self.draining:  # it came between the beginning of the drain and here
            shell.drain(self.settings.server.drain_seconds)
        self._nobody.clear()
        logger.debug("connected session=%s profile=%s tenant=%s", name, profile.value, admitted.tenant)
        try:
            await shell.run(websocket.receive)
        finally:
            self._shells.discard(shell)
            self._count()
            logger.debug("disconnected session=%s", name)

    def _admit(self, connection: HTTPConnection) -> Principal | WireError:
        """Who opens a socket, or why nobody does."""
        who = self._identify(connection)
        if isinstance(who, WireError):
            return who
        if self.draining:
            return WireError(ErrorCode.SERVER_DRAINING, "The server is restarting.", retry_after=5.0)
        if self.num_connections + self.num_requests >= self.settings.connections.max_connections:
            return _full()
        return who

    def _identify(self, connection: HTTPConnection) -> Principal | WireError:
        """Who asks, or why that is not accepted."""
        if not self.origin_allowed(connection):
            text = "Pages of this origin may not connect; the server's setting `allowed_origins` decides."
            return WireError(ErrorCode.ORIGIN_NOT_ALLOWED, text)
        who = authenticate(self._ring, connection.headers, connection.scope.get("subprotocols", ()))
        if isinstance(who, AuthFailure):
            missing = who.problem is AuthProblem.MISSING
            return WireError(ErrorCode.MISSING_API_KEY if missing else ErrorCode.INVALID_API_KEY, who.message)
        return who

    def origin_allowed(self, connection: HTTPConnection) -> bool:
        """Whether pages of this request's origin may ask; requests of no page may."""
        origin, host = connection.headers.get("origin"), connection.headers.get("host")
        allowed = self.settings.server.allowed_origins
        return origin_allowed(origin, host, allowed, has_keys=self._ring is not None)

    # -- requests over HTTP

    def admit_http(self, request: Request) -> Principal:
        """Who asks. Raises WireError."""
        who = self._identify(request)
        if isinstance(who, WireError):
            raise who
        if self.num_connections + self.num_requests > self.settings.connections.max_connections:
            raise _full()
        return who

    @contextlib.contextmanager
    def visiting(self) -> Iterator[None]:
        """Around each request, so that a drain waits for its answer."""
        self.num_requests += 1
        self._nobody.clear()
        try:
            yield
        finally:
            self.num_requests -= 1
            self._count()

    def _count(self) -> None:
        if not self._shells and not self.num_requests:
            self._nobody.set()

    def _new_connection(self, profile: Profile, session_id: str, default_model: str | None) -> Connection:
        settings = self.settings.connections
        limits = ConnectionLimits(
            max_in_flight=settings.max_in_flight_per_connection,
            max_streams=settings.max_streams_per_connection,
            max_queued=settings.max_queued_per_connection,
            lifetime_seconds=settings.connection_lifetime_seconds,
            max_message_bytes=settings.max_message_bytes,
            message=self.message_limits,
        )
        lifetime = settings.connection_lifetime_seconds
        connection = Connection(profile, limits, expires_at=time.monotonic() + lifetime, default_model=default_model)
        session = events.Session(
            id=session_id,
            model=self.model_name,
            limits=events.SessionLimits(
                max_message_bytes=settings.max_message_bytes,
                max_in_flight=limits.max_in_flight,
                max_streams=limits.max_streams,
                lifetime_seconds=lifetime,
            ),
        )
        connection.open(session)
        return connection

    def _make_dialect(self, engine: Engine) -> Dialect:
        """How the loaded model is spoken to. Raises EngineError."""
        options = self.settings.vllm
        if options.dialect == "harmony" or (options.dialect == "auto" and engine.model.model_type in HARMONY_MODELS):
            from realtime.dialects.harmony import library as harmony_encoding

            try:
                encoding = harmony_encoding.load(options.harmony_vocabulary)
            except harmony_encoding.NoVocabulary as error:
                raise EngineError(str(error)) from error
            return HarmonyDialect(encoding, engine.parsers, lambda: time.strftime("%Y-%m-%d"))
        model = engine.model
        sight = Sight(takes_parts=model.sees and model.image_marker is None, marker=model.image_marker)
        return ChatDialect(engine.tokenizer, engine.parsers, sight)

    def _trouble(self) -> str | None:
        status = self.engine.status
        if status.state is EngineState.READY:
            return None
        return f"The engine is {status.state.value}: try again in a few seconds."

    # -- the end

    async def drain(self) -> None:
        """Refuse new work, let what runs finish and be delivered, each connection closed when it is done."""
        grace = self.settings.server.drain_seconds
        self.draining = True
        logger.info("draining responses=%d connections=%d", self.service.num_running, self.num_connections)
        for shell in list(self._shells):
            shell.drain(grace)
        try:
            async with asyncio.timeout(grace):
                await self.service.drain()
                await self._nobody.wait()
        except TimeoutError:
            logger.warning("grace over responses=%d connections=%d", self.service.num_running, self.num_connections)
        await self.service.shutdown()


def _full() -> WireError:
    text = "The server has as many connections as it takes."
    return WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=5.0)
