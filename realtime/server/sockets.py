"""The WebSocket door: it admits a client's socket, serves it from the handshake to its end, and has all that are open.

`app` routes to it; `gateway` tells it when the server ends. What a client says on its socket is the business of
`connection`, and of the shell around that (`websocket`).
"""

from __future__ import annotations

import logging
import time

from starlette.websockets import WebSocket

from realtime.connection.profiles import ConnectionLimits, Profile, select_subprotocol
from realtime.connection.protocol import Connection
from realtime.observability.observer import Observer
from realtime.observability.origin import Origin
from realtime.service.principal import Principal
from realtime.service.service import Service
from realtime.wire import events
from realtime.wire.errors import WireError
from realtime.wire.ids import new_id

from .admission import Admission
from .flusher import Pace
from .http.replies import handshake_refusal
from .large_messages import LargeMessages
from .websocket import WebSocketShell
from .websocket_transport import EXTENSION

logger = logging.getLogger("realtime.server")


class Sockets:
    """The clients' sockets. `shells`: of those that are open, with the names of their profiles."""

    def __init__(
        self, limits: ConnectionLimits, model_name: str, admission: Admission, service: Service, observer: Observer,
        pace: Pace, large_messages: LargeMessages,
    ) -> None:  # fmt: skip
        """limits: of each connection. model_name: the one that a client is greeted with."""
        self._limits = limits
        self._model_name = model_name
        self._admission = admission
        self._service = service
        self._observer = observer
        self._pace = pace
        self._large_messages = large_messages
        self._drained: tuple[float, float | None] | None = None  # what clients were told of the server's end
        self.shells: dict[WebSocketShell, str] = {}

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket from the handshake to its end."""
        try:
            principal = self._admission.admit_socket(websocket)
        except WireError as error:
            self._observer.refused("websocket", error.spec.code)
            await websocket.send_denial_response(handshake_refusal(error))
            return
        with self._admission.connection(principal):  # from here on, so that handshakes on their way are counted
            await self._serve(websocket, principal)

    async def _serve(self, websocket: WebSocket, principal: Principal) -> None:
        """Serve an admitted socket to its end."""
        subprotocol = select_subprotocol(websocket.scope["subprotocols"])
        name = new_id("sess")
        await websocket.accept(subprotocol, [(b"x-request-id", name.encode())])
        profile = Profile.of(subprotocol)
        admission = self._admission
        shell = WebSocketShell(
            self._new_connection(profile, principal, name, websocket.query_params.get("model")),
            websocket.scope["extensions"][EXTENSION]["sink"],
            self._service,
            principal,
            name,
            self._large_messages,
            origin=Origin.of(name, websocket.headers),
            observer=self._observer,
            identify=admission.owner_of if principal.grant is None else admission.holder_of,
            pace=self._pace,
        )
        began_at, spoken = time.monotonic(), profile.name.lower()
        logger.debug("connected session=%s profile=%s tenant=%s", name, spoken, principal.tenant)
        with admission.revocation.watching(shell):
            self.shells[shell] = spoken
            if self._drained is not None:  # it came between the beginning of the drain and here
                shell.drain(*self._drained)
            try:
                await shell.run(websocket.receive)
            finally:
                del self.shells[shell]
                self._observer.connection_closed(
                    name, spoken, principal.tenant, shell.close_code, time.monotonic() - began_at, shell.num_created
                )

    def _new_connection(
        self, profile: Profile, principal: Principal, session_id: str, default_model: str | None
    ) -> Connection:
        limits, now = self._limits, time.monotonic()
        connection = Connection(
            profile,
            limits,
            tenant=principal.tenant,
            expires_at=now + limits.lifetime_seconds,
            default_model=default_model,
            role=principal.grant.role if principal.grant is not None else None,
        )
        connection.open(events.Session(id=session_id, model=self._model_name, limits=limits.for_client()), now)
        return connection

    # -- the end

    def drain(self, grace_seconds: float, resume_after_seconds: float | None) -> None:
        """Tell every client that the server ends, also one whose handshake is on its way. See Connection.drain."""
        self._drained = grace_seconds, resume_after_seconds
        for shell in list(self.shells):
            shell.drain(grace_seconds, resume_after_seconds)

    def leave_off(self) -> None:
        """Leave the responses that are read and have no end yet to the next server."""
        for shell in list(self.shells):
            shell.leave_off()

    def send_away(self) -> None:
        """Close the sockets that are open now, so that their clients come back, here or elsewhere."""
        for shell in list(self.shells):
            shell.drain(0)
            shell.leave_off()
