"""Admission: who may come in at the doors, and how many at once.

The WebSocket door and the HTTP door call it before they do anything else for a client. They also register here who is
inside, so that a drain can wait until nobody is. Refusals are `WireError`s. The service decides what a client may do
once it is inside.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from starlette.requests import HTTPConnection

from realtime.service.principal import LOCAL, Principal
from realtime.service.tenant_share import places_of
from realtime.settings.fields import Settings
from realtime.wire.errors import ErrorCode, WireError

from .auth import authenticate
from .keys import KeyRing
from .origins import is_loopback, origin_allowed
from .revocation import Revocation
from .tenant_limits import LimitsByTenant
from .tickets import Tickets

_RETRY_SECONDS = 5.0
_MAX_LAG_SECONDS = 2.0  # clients give a handshake five: one that waited longer than that was for nothing
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")  # a proxy says that it is not the client
_NO_LISTING = (
    "Without API keys, lists are for clients on the server's own machine: give the server keys, or set `listing` to "
    "`open`."
)

_NO_METRICS = (
    "Without API keys, metrics are for clients on the server's own machine: give the server keys, or a listener for "
    "metrics with `metrics_host` and `metrics_port`."
)


class Admission:
    """Admission at all doors. `revocation` ends what is open when its key is removed. `limits`: of each tenant.

    `draining`: sockets are refused; requests are not, because the service refuses new work in them. `lag`: the seconds
    by which the event loop is late.
    """

    def __init__(self, settings: Settings, sealing_keys: Sequence[bytes] = (), config: Path | None = None) -> None:
        """sealing_keys: the keys from which the tickets' signing keys are derived. config: the file of settings, whose
        limits are followed. Raises KeysError: a server that is configured to ask for keys does not start without them.
        """
        keys = settings.server.api_keys_file
        self._ring = KeyRing(Path(keys)) if keys else None
        self.limits = LimitsByTenant(self._ring, settings.scheduling.tenants, config)
        self.tickets = Tickets(sealing_keys, self._ring)
        self.revocation = Revocation(self._ring)
        self._allowed_origins = settings.server.allowed_origins
        self._listing = settings.server.listing
        self._max_inside = settings.connections.max_connections  # sockets and requests together
        self._max_tenant_share = settings.responses.max_tenant_share
        self._inside_of: Counter[str] = Counter()  # tenant -> how many of these are its
        self.draining = False
        self.lag: Callable[[], float] = lambda: 0.0
        self.num_connections = 0  # open sockets
        self.num_requests = 0  # over HTTP, being answered
        self._empty = asyncio.Event()
        self._empty.set()

    def admit_socket(self, handshake: HTTPConnection) -> Principal:
        """Return the principal who opens a socket. Raises WireError."""
        principal = self._identify(handshake)
        if self.draining:
            raise WireError(ErrorCode.SERVER_DRAINING, "The server is restarting.", retry_after=_RETRY_SECONDS)
        self._check_room(self._num_inside + 1, principal)
        self._check_pace()
        return principal

    def admit_request(self, request: HTTPConnection) -> Principal:
        """Return the principal of a request, which counts as inside already (see `request`), and as its tenant's from
        now on (`of_tenant`). Raises WireError.
        """
        principal = self._identify(request)
        self._check_room(self._num_inside, principal)
        return principal

    def origin_allowed(self, connection: HTTPConnection) -> bool:
        """Return whether pages of this request's origin are allowed. A request that no page sends is."""
        origin, host = connection.headers.get("origin"), connection.headers.get("host")
        return origin_allowed(origin, host, self._allowed_origins, has_keys=self._ring is not None)

    def check_listing(self, connection: HTTPConnection) -> None:
        """Refuse to list anything for a client that shows no key and may be anybody. Raises WireError."""
        if self._ring is None and self._listing != "open" and not _is_local(connection):
            raise WireError(ErrorCode.NOT_PERMITTED, _NO_LISTING)

    def check_scrape(self, connection: HTTPConnection) -> None:
        """Refuse the metrics to a client on another machine that shows no key. Raises WireError."""
        if _is_local(connection) and self.origin_allowed(connection):
            return
        if self._ring is None:
            raise WireError(ErrorCode.NOT_PERMITTED, _NO_METRICS)
        self._identify(connection).check_owner()

    def owner_of(self, key: str) -> Principal | None:
        """Return the owner of this API key; None: nobody."""
        return self._ring.find(key) if self._ring is not None else LOCAL

    def holder_of(self, key: str) -> Principal | None:
        """Return the owner of this API key, for a client that came with less than a key; None: nobody, or there are no
        keys.
        """
        return self._ring.find(key) if self._ring is not None else None

    def tenant_share(self) -> float:
        """Return the part of the places that one tenant may have: all of them while there is only one tenant."""
        return self._max_tenant_share if self._ring is not None and self._ring.num_keys > 1 else 1.0

    @contextlib.contextmanager
    def of_tenant(self, principal: Principal) -> Iterator[None]:
        """Count a socket or request as this tenant's."""
        self._inside_of[principal.tenant] += 1
        try:
            yield
        finally:
            self._inside_of[principal.tenant] -= 1
            if not self._inside_of[principal.tenant]:
                del self._inside_of[principal.tenant]

    @contextlib.contextmanager
    def connection(self, principal: Principal) -> Iterator[None]:
        """Count a socket as inside, from its admission to its end."""
        self.num_connections += 1
        self._empty.clear()
        try:
            with self.of_tenant(principal):
                yield
        finally:
            self.num_connections -= 1
            self._left()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as inside, from its headers to the last byte of its answer, refusals included."""
        self.num_requests += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.num_requests -= 1
            self._left()

    async def wait_empty(self) -> None:
        """Wait until no socket is open and no request is being answered."""
        await self._empty.wait()

    @property
    def _num_inside(self) -> int:
        return self.num_connections + self.num_requests

    def _left(self) -> None:
        if not self._num_inside:
            self._empty.set()

    def _check_room(self, num_inside: int, principal: Principal) -> None:
        share = self.tenant_share()
        if share < 1 and self._inside_of[principal.tenant] >= places_of(share, self._max_inside):
            text = "This API key has as many connections as one key may have: close some, or try again later."
            raise WireError(ErrorCode.TOO_MANY_QUEUED, text, retry_after=_RETRY_SECONDS)
        if num_inside > self._max_inside:
            text = "The server has reached its limit of connections: try again later."
            raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=_RETRY_SECONDS)

    def _check_pace(self) -> None:
        """Refuse a socket while earlier ones take all the time: they come by thousands when another node is lost."""
        if self.lag() > _MAX_LAG_SECONDS:
            text = "The server is behind with its work: connect again a little later."
            raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=_RETRY_SECONDS)

    def _identify(self, connection: HTTPConnection) -> Principal:
        if not self.origin_allowed(connection):
            text = "Pages of this origin may not connect; the server's setting `allowed_origins` decides."
            raise WireError(ErrorCode.ORIGIN_NOT_ALLOWED, text)
        subprotocols = connection.scope.get("subprotocols", ())
        return authenticate(self._ring, connection.headers, subprotocols, tickets=self.tickets)


def _is_local(connection: HTTPConnection) -> bool:
    """Return whether a client is on this machine, and not a proxy for another."""
    client = connection.client
    forwarded = any(name in connection.headers for name in _FORWARDED)
    return client is not None and is_loopback(client.host) and not forwarded
