"""The link to one other node, over which this node asks it. Opened when first needed, and again after it is lost.

One socket carries all calls and follows. Every failure is a `WireError` that may be retried. Pings find a node that
does not answer, and no call waits longer than `CALL_SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Literal, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from realtime.observability.cluster_metrics import ClusterMetrics
from realtime.service.directory import node_unavailable
from realtime.store.cluster.membership import Peer
from realtime.wire.errors import ErrorCode, WireError

from ..cluster_settings import Node
from . import handshake
from .messages import (
    NONCE_BYTES,
    PATH,
    SUBPROTOCOL,
    Answer,
    Answered,
    Asked,
    Began,
    Challenge,
    Done,
    Ended,
    Entries,
    Forgot,
    Garbage,
    Listed,
    Refused,
    Unknown,
    Welcome,
    decode_answered,
    encode,
    error_of,
    kind_of,
)

logger = logging.getLogger("realtime.cluster")

CONNECT_SECONDS = 3.0
CALL_SECONDS = 30.0
_PING_SECONDS = 2.0
_PONG_SECONDS = 4.0
_AGAIN_SECONDS = 0.3  # after a connection that failed, before the next one is tried
_MAX_CALLS = 4096
_MAX_UNPROVED_BYTES = 8192  # that are read of the other side before it has proved anything, its handshake included
_MAX_FRAME_BYTES = 256 * 1024 * 1024  # of what comes: an event shows all that its request set

Replied = Done | Answer | Began | Listed | Forgot
Over = Literal["left", "slow", "lost"]
"""Why the events of a follow stop before the response is over: its node leaves it, they are gone, the node is gone."""


class _Unproved(ClientConnection):
    """A connection on which a stranger is heard out only so far. `num_bytes_left`: None once it has proved itself."""

    num_bytes_left: int | None = _MAX_UNPROVED_BYTES

    def data_received(self, data: bytes) -> None:
        """See the library."""
        if self.num_bytes_left is not None:
            self.num_bytes_left -= len(data)
            if self.num_bytes_left < 0:
                self.transport.abort()
                return
        super().data_received(data)


_REFUSALS = (handshake.NotProved, Garbage, ConnectionClosed)
_NO_CONNECTION = (OSError, TimeoutError, WebSocketException, handshake.NotProved, Garbage)


class _Straight(connect):
    """A connection to this address and no other: the other side may not redirect us before it has proved
    its identity.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the error, so that no redirect is followed. Overrides the library's method."""
        return exc


class Feed(Protocol):
    """A receiver of the events of a follow."""

    def entries(self, first: int, entries: list[bytes]) -> None:
        """Take events."""

    def end(self, why: Over) -> None:
        """Note that no more events come."""


class Link:
    """The link to one other node. `max_bytes`: the largest message that the other node reads."""

    def __init__(
        self, me: Node, epoch: Callable[[], int], peer: Peer, max_bytes: int, metrics: ClusterMetrics | None = None
    ) -> None:
        self.peer = peer
        self._metrics = metrics or ClusterMetrics()
        self._me = me
        self._epoch = epoch
        self._max_bytes = max_bytes
        self._socket: _Socket | None = None
        self._connecting = asyncio.Lock()
        self._not_before = 0.0
        self._closed = False

    @property
    def connected(self) -> bool:
        """Return whether there is a connection."""
        return self._socket is not None and not self._socket.gone

    async def call(self, make: Callable[[int], Asked]) -> Replied:
        """Make a call, and return its answer. `make` gets the call's number. Raises WireError."""
        return await self._ask(make, None)

    async def follow(self, make: Callable[[int], Asked], feed: Feed) -> tuple[int, Began]:
        """Begin to follow. Return the number of the follow, and the answer. Raises WireError."""
        answer = await self._ask(make, feed)
        if not isinstance(answer, Began):
            raise node_unavailable()
        return answer.number, answer

    def send(self, message: Asked) -> None:
        """Send a message that has no answer, if there is a connection."""
        if self._socket is not None:
            self._socket.send(message)

    def drop(self, number: int) -> None:
        """Take no more events of a follow."""
        if self._socket is not None:
            self._socket.feeds.pop(number, None)

    async def tell(self, message: Asked) -> None:
        """Send a message that has no answer, and wait until it is sent. Raises WireError."""
        socket = await self._connected()
        try:
            await socket.connection.send(encode([message]))
        except ConnectionClosed:
            raise node_unavailable() from None

    async def why_unreachable(self) -> Exception | None:
        """Connect once, and hang up. Return why that can't be done; None: it can."""
        try:
            socket = await self._connect()
        except _NO_CONNECTION as error:
            return error
        await socket.close()
        return None

    async def close(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._socket is not None:
            await self._socket.close()

    async def _ask(self, make: Callable[[int], Asked], feed: Feed | None) -> Replied:
        kind, began, outcome = kind_of(make(0)), time.monotonic(), "unavailable"
        try:
            async with asyncio.timeout(CALL_SECONDS):
                socket = await self._connected()
                answer = await socket.ask(make, feed, self._max_bytes)
            outcome = "done"
            return answer
        except TimeoutError:
            raise node_unavailable() from None
        except WireError as error:
            outcome = "unavailable" if error.code is ErrorCode.NODE_UNAVAILABLE else "refused"
            raise
        finally:
            self._metrics.calls.add(1, kind, outcome)
            self._metrics.call_seconds.observe(time.monotonic() - began, kind)

    async def _connected(self) -> _Socket:
        async with self._connecting:
            if self._socket is None or self._socket.gone:
                if self._closed or time.monotonic() < self._not_before:
                    raise node_unavailable()
                try:
                    self._socket = await self._connect()
                except _NO_CONNECTION as error:
                    self._not_before = time.monotonic() + _AGAIN_SECONDS
                    self._metrics.links.add(1, "refused" if isinstance(error, _REFUSALS) else "failed")
                    logger.warning("node=%s not reached: %s", self.peer.node, reason_of(error))
                    raise node_unavailable() from None
        return self._socket

    async def _connect(self) -> _Socket:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await _Straight(
                self.peer.url.rstrip("/") + PATH,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                proxy=None,
                create_connection=_Unproved,
                max_size=_MAX_FRAME_BYTES,
                open_timeout=None,
                close_timeout=1,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PONG_SECONDS,
            )
            try:
                await self._prove(connection)
                assert isinstance(connection, _Unproved)
                connection.num_bytes_left = None
            except BaseException:
                connection.transport.abort()
                raise
        self._metrics.links.add(1, "opened")
        return _Socket(connection, self.peer.node, lambda: self._metrics.links.add(1, "lost"))

    async def _prove(self, connection: ClientConnection) -> None:
        challenge = await _receive(connection)
        if not isinstance(challenge, Challenge):
            raise Garbage
        secret, nonce, peer = self._me.secret, secrets.token_bytes(NONCE_BYTES), self.peer
        hello = handshake.hello(secret, challenge, peer.node, self._me.name, self._epoch(), nonce, peer.url)
        await connection.send(encode([hello]))
        welcome = await _receive(connection)
        if not isinstance(welcome, Welcome):
            raise Garbage
        handshake.check_welcome(secret, challenge, hello, welcome)


class _Socket:
    """One proved connection. `gone`: it is lost, or closed."""

    def __init__(self, connection: ClientConnection, node: str, on_lost: Callable[[], None]) -> None:
        self.connection = connection
        self.feeds: dict[int, Feed] = {}
        self.gone = False
        self._node = node
        self._on_lost = on_lost
        self._calls: dict[int, asyncio.Future[Replied]] = {}
        self._number = 0
        self._out: list[bytes] = []
        self._more = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    async def ask(self, make: Callable[[int], Asked], feed: Feed | None, max_bytes: int) -> Replied:
        if len(self._calls) >= _MAX_CALLS:
            raise node_unavailable()
        self._number += 1
        number = self._number
        answer: asyncio.Future[Replied] = asyncio.get_running_loop().create_future()
        data = encode([make(number)])
        if len(data) > max_bytes:
            text = "The request is too large to be forwarded to the node that has to answer it: send less at once."
            raise WireError(ErrorCode.REQUEST_TOO_LARGE, text)
        self._calls[number] = answer
        if feed is not None:
            self.feeds[number] = feed
        self._put(data)
        try:
            return await answer
        except BaseException:
            self.feeds.pop(number, None)
            raise
        finally:
            self._calls.pop(number, None)

    def send(self, message: Asked) -> None:
        self._put(encode([message]))

    def _put(self, data: bytes) -> None:
        if not self.gone:
            self._out.append(data)
            self._more.set()

    async def close(self) -> None:
        self._lose()
        with contextlib.suppress(Exception):
            await self.connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            while True:
                await self._more.wait()
                self._more.clear()
                out, self._out = self._out, []
                for data in out:
                    await self.connection.send(data)

    async def _read(self) -> None:
        try:
            async for frame in self.connection:
                if not isinstance(frame, bytes):
                    raise Garbage
                for message in decode_answered(frame):
                    self._take(message)
        except Garbage:
            logger.warning("node=%s sends what is none of our messages", self._node)
            self.connection.transport.abort()
        except (WebSocketException, OSError):
            pass
        except Exception:  # a bug of ours: who waits must not wait forever
            logger.exception("node=%s what it sent was not taken", self._node)
            self.connection.transport.abort()
        finally:
            if not self.gone:
                self._on_lost()
            self._lose()

    def _take(self, message: Answered | Unknown) -> None:
        match message:
            case Entries(number, first, entries):
                if (feed := self.feeds.get(number)) is not None:
                    feed.entries(first, list(entries))
            case Ended(number, too_slow):
                if (feed := self.feeds.pop(number, None)) is not None:
                    feed.end("slow" if too_slow else "left")
            case Done() | Answer() | Began() | Listed() | Forgot():
                if (answer := self._calls.get(message.number)) is not None and not answer.done():
                    answer.set_result(message)
            case Refused():
                if (answer := self._calls.get(message.number)) is not None and not answer.done():
                    answer.set_exception(error_of(message))
            case Unknown(number):
                self._give_up(number)
            case _:
                raise Garbage

    def _give_up(self, number: int | None) -> None:
        """End a call, or a follow, whose answer this version does not know."""
        if number is None:
            return
        if (answer := self._calls.get(number)) is not None and not answer.done():
            answer.set_exception(node_unavailable())
        elif (feed := self.feeds.pop(number, None)) is not None:
            feed.end("lost")

    def _lose(self) -> None:
        """Note that the connection is gone, and fail everything that waits for it."""
        if self.gone:
            return
        self.gone = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(node_unavailable())
        feeds, self.feeds = list(self.feeds.values()), {}
        for feed in feeds:
            feed.end("lost")


async def _receive(connection: ClientConnection) -> Answered | Unknown:
    """Return the one message of a frame. Raises Garbage."""
    frame = await connection.recv()
    messages = decode_answered(frame) if isinstance(frame, bytes) else []
    if len(messages) != 1:
        raise Garbage
    return messages[0]


def reason_of(error: BaseException) -> str:
    """Return why there is no connection, without anything that was sent on it."""
    if isinstance(error, handshake.NotProved):
        return str(error)
    if isinstance(error, ConnectionClosed):
        return "it hung up on the handshake, as a node does with another secret"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return "it says what no node says" if isinstance(error, Garbage) else type(error).__name__
