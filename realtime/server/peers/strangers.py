"""Strangers: sockets at the nodes' door that have not proved yet that they are nodes of this cluster.

A stranger may send one small message, has a few seconds for it, and keeps nobody else out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator

from starlette.datastructures import Headers
from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.observability.instruments import Tally
from realtime.wire.errors import CloseCode

from ..cluster_settings import Node
from ..origins import is_loopback
from ..websocket_transport import EXTENSION, FrameProtocol
from . import handshake, messages
from .messages import Challenge, Garbage

logger = logging.getLogger("realtime.cluster")

HANDSHAKE_SECONDS = 5.0
_MAX_STRANGERS = 64  # sockets at once that have not proved anything yet
_MAX_HELLO_BYTES = 4096  # that a stranger may send
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


class Strangers:
    """The strangers at one node's door. `me`: this node. `refused`: counts who does not prove to be a node."""

    def __init__(self, me: Node, refused: Tally) -> None:
        self._me = me
        self._refused = refused
        self._left: dict[asyncio.Timeout, None] = {}  # the time that each has left, the oldest first

    async def admit(self, websocket: WebSocket) -> str | None:
        """Return the name of the node that connects; None: it is not one of ours, and its socket is closed."""
        known = messages.SUBPROTOCOL in websocket.scope["subprotocols"] and self._may_be_node(websocket.headers)
        if not known or not self._has_room():
            self._refused.add()
            await websocket.close(CloseCode.POLICY)
            return None
        sink: FrameProtocol = websocket.scope["extensions"][EXTENSION]["sink"]
        sink.num_bytes_left = _MAX_HELLO_BYTES
        node = await self._identify(websocket)
        sink.num_bytes_left = None
        if node is None:
            self._refused.add()
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close(CloseCode.POLICY)
        return node

    def _may_be_node(self, headers: Headers) -> bool:
        """Return whether this can be a node's handshake. A web page can't be a node. Without a configured secret,
        neither can anybody who comes through a proxy on this machine.
        """
        if "origin" in headers:
            return False
        if self._me.shared:
            return True
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        return is_loopback(name) and not any(name in headers for name in _OF_PROXIES)

    def _has_room(self) -> bool:
        """Return whether another stranger may come. The oldest stranger makes room, so a silent one keeps no
        node out.
        """
        if len(self._left) >= _MAX_STRANGERS and self._left:
            oldest = next(iter(self._left))
            del self._left[oldest]
            oldest.reschedule(0)
        return len(self._left) < _MAX_STRANGERS

    @contextlib.asynccontextmanager
    async def _for_a_while(self) -> AsyncIterator[None]:
        async with asyncio.timeout(HANDSHAKE_SECONDS) as left:
            self._left[left] = None
            try:
                yield
            finally:
                self._left.pop(left, None)

    async def _identify(self, websocket: WebSocket) -> str | None:
        """Return the name of the node that connects; None: it is not one of ours."""
        challenge = Challenge(self._me.name, secrets.token_bytes(messages.NONCE_BYTES))
        try:
            async with self._for_a_while():
                await websocket.accept(messages.SUBPROTOCOL)
                await websocket.send_bytes(messages.encode([challenge]))
                said = messages.decode_asked(await frame_of(websocket))
                if len(said) != 1 or not isinstance(said[0], messages.Hello):
                    raise Garbage
                hello = said[0]
                handshake.check_hello(self._me.secret, challenge, hello, self._me.url)
                await websocket.send_bytes(messages.encode([handshake.welcome(self._me.secret, challenge, hello)]))
        except handshake.NotProved as error:
            logger.warning("refused at the nodes' door: %s", error)
            return None
        except (Garbage, TimeoutError, WebSocketDisconnect):
            logger.warning("refused at the nodes' door: it did not say who it is")
            return None
        return hello.node


async def frame_of(websocket: WebSocket) -> bytes:
    """Return the next frame. Raises Garbage if it is text, and WebSocketDisconnect."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    data = message.get("bytes")
    if data is None:
        raise Garbage
    return bytes(data)
