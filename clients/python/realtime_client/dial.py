"""Dialing: open the socket. Everything that prevents that becomes a `ConnectionLost`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.typing import Subprotocol

from .errors import URL_HINT, ConnectionLost
from .policy import Policy

SUBPROTOCOL = Subprotocol("realtime.v1")
ApiKey = str | Callable[[], Awaitable[str]]
_SOCKET_DEFAULTS: dict[str, Any] = {
    "max_size": 64 * 2**20,  # a terminal event holds the whole answer
    "compression": None,
    "open_timeout": None,  # the policy has it
    "close_timeout": 5,
    "ping_interval": None,  # `keep_alive` does it
}
_PING_SECONDS = 20.0  # a dead path is noticed within 40 s, and then reconnected


class _Open(connect):
    """A socket to this server and to no other: the library would send the key wherever a redirect leads."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the error, so that no redirect is followed."""
        return exc


class Dialer:
    """A dialer of sockets to one server. `api_key` may be a function, which is called before each attempt."""

    def __init__(self, url: str, api_key: ApiKey | None, policy: Policy, options: dict[str, Any]) -> None:
        self.url = url
        self.api_key = api_key
        self.options = _SOCKET_DEFAULTS | options
        self.ping_seconds = _ping_seconds(policy)

    async def headers(self) -> dict[str, str]:
        """Return the caller's headers, with the current key. Raises ConnectionLost for a key that can't be in
        a header.
        """
        headers = dict(self.options.get("additional_headers") or {})
        if self.api_key is not None:
            key = self.api_key if isinstance(self.api_key, str) else await self.api_key()
            if not all("!" <= character <= "~" for character in key):
                raise ConnectionLost(f"no connection to {self.url}: the key can't be sent in a header", retry=False)
            headers["Authorization"] = f"Bearer {key}"
        return headers

    async def dial(self, until: float) -> ClientConnection:
        """Open a socket by that time on the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                return await self._open()
        except TimeoutError as error:
            raise ConnectionLost.timed_out(self.url) from error

    async def _open(self) -> ClientConnection:
        options = self.options | {"additional_headers": await self.headers()}
        try:
            socket = await _Open(self.url, subprotocols=[SUBPROTOCOL], **options)
        except InvalidURI as error:
            raise ConnectionLost(f"{self.url} is no URL of a WebSocket: {URL_HINT}", retry=False) from error
        except InvalidStatus as error:
            response = error.response
            wait = response.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdecimal() else None
            body = bytes(response.body) if response.body is not None else None
            raise ConnectionLost.refused(self.url, response.status_code, body, seconds) from error
        except (OSError, EOFError) as error:
            if isinstance(error, TimeoutError):
                raise
            reason = str(error) or type(error).__name__
            passes = not isinstance(error, ssl.SSLCertVerificationError)
            raise ConnectionLost(f"no connection to {self.url}: {reason}", retry=passes) from error
        except InvalidHandshake as error:
            cut = isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError)
            raise ConnectionLost(f"the handshake failed: {error}", retry=cut) from error
        except (WebSocketException, ValueError) as error:  # a proxy's, an invalid port, a key that can't be a header
            raise ConnectionLost(f"no connection to {self.url}: {error}", retry=False) from error
        if socket.subprotocol != SUBPROTOCOL:
            await socket.close()
            raise ConnectionLost(f"the server does not speak {SUBPROTOCOL}", retry=False)
        return socket


async def keep_alive(socket: ClientConnection, seconds: float, is_watched: Callable[[], bool]) -> None:
    """Send pings, and abort the socket when a pong does not come. The library's own would first wait for a close frame.

    seconds: between a pong and the next ping, and the most for the pong. is_watched: heartbeats watch it, so no ping is
    sent.
    """
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(seconds)
            if is_watched():
                continue
            try:
                async with asyncio.timeout(seconds):
                    await (await socket.ping())
            except TimeoutError:
                socket.transport.abort()
                return


def _ping_seconds(policy: Policy) -> float:
    """Return an interval as patient as heartbeats are: a path may die before the server has promised those."""
    if not policy.heartbeat_seconds:
        return _PING_SECONDS
    return min(_PING_SECONDS, policy.heartbeat_seconds * policy.max_missed_heartbeats / 2)
