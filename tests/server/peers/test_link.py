"""A node that says nothing, or nonsense, or goes away costs who asks it a typed error, and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.http11 import Request, Response

from realtime.server.cluster_settings import Node
from realtime.server.peers import handshake, link, messages
from realtime.server.peers.link import Link
from realtime.server.peers.messages import Challenge, Done, Ended, Entries, Hello, Look, Settle
from realtime.store.cluster.membership import Peer
from realtime.wire.errors import ErrorCode, WireError
from tests.support.patience import SECONDS

SECRET = b"s" * 32
ME = Node("b", "ws://127.0.0.1:1", SECRET, True)
Behaviour = Callable[[ServerConnection], Awaitable[None]]


async def prove(socket: ServerConnection) -> None:
    """Do as a node does until it is believed."""
    challenge = Challenge("a", b"n" * messages.NONCE_BYTES)
    await socket.send(messages.encode([challenge]))
    frame = await socket.recv()
    assert isinstance(frame, bytes)
    (hello,) = messages.decode_asked(frame)
    assert isinstance(hello, Hello)
    handshake.check_hello(SECRET, challenge, hello, hello.url)
    await socket.send(messages.encode([handshake.welcome(SECRET, challenge, hello)]))


@contextlib.asynccontextmanager
async def linked(behaviour: Behaviour) -> AsyncIterator[Link]:
    """A link to a node that behaves like this."""
    async with serve(behaviour, "127.0.0.1", 0, subprotocols=[messages.SUBPROTOCOL]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        made = Link(ME, lambda: 1, Peer("a", 1, f"ws://127.0.0.1:{port}", "serving", 0), 1 << 16)
        try:
            yield made
        finally:
            await made.close()


async def silent(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def nonsense(socket: ServerConnection) -> None:
    await socket.send(b"\xff\xff")
    await socket.wait_closed()


async def text(socket: ServerConnection) -> None:
    await socket.send("hello")
    await socket.wait_closed()


async def another(socket: ServerConnection) -> None:
    await socket.send(messages.encode([Challenge("c", b"n" * messages.NONCE_BYTES)]))
    await socket.wait_closed()


async def silent_when_asked(socket: ServerConnection) -> None:
    await prove(socket)
    await socket.wait_closed()


async def nonsense_when_asked(socket: ServerConnection) -> None:
    await prove(socket)
    await socket.recv()
    await socket.send(messages.encode([["what", 1]]))
    await socket.wait_closed()


async def gone_when_asked(socket: ServerConnection) -> None:
    await prove(socket)
    await socket.recv()
    socket.transport.abort()


async def answers_others(socket: ServerConnection) -> None:
    """Of what nobody has asked, or asks any more."""
    await prove(socket)
    await socket.recv()
    await socket.send(messages.encode([Done(77, "r"), Entries(5, 0, [b"x"]), Ended(5)]))
    await socket.wait_closed()


@pytest.mark.parametrize(
    "behaviour",
    [silent, nonsense, text, another, silent_when_asked, nonsense_when_asked, gone_when_asked, answers_others],
)
async def test_who_asks_is_told_that_it_can_not_be_reached(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(link, "CALL_SECONDS", 2.0)
    async with linked(behaviour) as made, asyncio.timeout(120):
        for _ in range(2):  # the second at once: it is not tried again yet, or it is as before
            with pytest.raises(WireError) as caught:
                await made.call(lambda number: Settle(number, "resp_a"))
            assert caught.value.code is ErrorCode.NODE_UNAVAILABLE
            assert caught.value.retry_after


async def test_what_is_too_big_for_the_other_node_is_not_sent() -> None:
    async with linked(silent_when_asked) as made, asyncio.timeout(120):
        with pytest.raises(WireError) as caught:
            await made.call(lambda number: Settle(number, "x" * (1 << 17)))
        assert caught.value.code is ErrorCode.REQUEST_TOO_LARGE


async def test_nobody_sends_us_on() -> None:
    asked = asyncio.Event()

    async def elsewhere(socket: ServerConnection) -> None:
        asked.set()

    async with serve(elsewhere, "127.0.0.1", 0) as other:
        port = next(iter(other.sockets)).getsockname()[1]

        def send_on(connection: ServerConnection, request: Request) -> Response:
            return Response(302, "Found", Headers(Location=f"ws://127.0.0.1:{port}/"))

        async with serve(silent, "127.0.0.1", 0, process_request=send_on) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            made = Link(ME, lambda: 1, Peer("a", 1, url, "serving", 0), 1 << 16)
            with pytest.raises(WireError):
                await made.call(lambda number: Settle(number, "x"))
            await made.close()
    assert not asked.is_set()


async def test_who_has_proved_nothing_is_not_heard_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins a message that is as long as a node's may be: the connection is cut, long before its time is over."""
    monkeypatch.setattr(link, "CONNECT_SECONDS", 3600.0)
    cut = asyncio.Event()

    async def floods(socket: ServerConnection) -> None:
        socket.transport.write(b"\x82\x7f" + (200 << 20).to_bytes(8, "big"))
        while not socket.transport.is_closing():
            if not socket.transport.get_write_buffer_size():
                socket.transport.write(b"x" * 4096)
            await asyncio.sleep(0)
        cut.set()

    async with linked(floods) as made, asyncio.timeout(SECONDS):
        with pytest.raises(WireError) as caught:
            await made.call(lambda number: Settle(number, "resp_a"))
        assert caught.value.code is ErrorCode.NODE_UNAVAILABLE
        await cut.wait()


async def test_who_has_proved_itself_may_say_much() -> None:
    async def talks(socket: ServerConnection) -> None:
        await prove(socket)
        await socket.recv()
        await socket.send(messages.encode([Done(1, "resp_a", b"x" * (1 << 20))]))
        await socket.wait_closed()

    async with linked(talks) as made, asyncio.timeout(SECONDS):
        answer = await made.call(lambda number: Settle(number, "resp_a"))
        assert isinstance(answer, Done)
        assert len(answer.response) == 1 << 20


async def newer_than_we(socket: ServerConnection) -> None:
    await prove(socket)
    await socket.recv()
    await socket.send(messages.encode([[99, 1, "an answer of a later version"], [98, "and something unasked"]]))
    await socket.recv()
    await socket.send(messages.encode([Done(2, "r")]))
    await socket.wait_closed()


async def test_an_answer_that_is_not_known_costs_its_call_and_not_the_connection() -> None:
    async with linked(newer_than_we) as link:
        with pytest.raises(WireError) as refused:
            await link.call(lambda number: messages.Settle(number, "r"))
        assert refused.value.code is ErrorCode.NODE_UNAVAILABLE
        assert await link.call(lambda number: messages.Settle(number, "r")) == Done(2, "r")


async def test_who_tells_something_while_the_connection_is_lost_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain tells all others to look for what it leaves: one that is away must not end it."""

    async def listens(socket: ServerConnection) -> None:
        await prove(socket)
        await socket.wait_closed()

    async def lost(message: bytes) -> None:
        raise ConnectionClosedError(None, None)

    async with linked(listens) as made, asyncio.timeout(SECONDS):
        await made.tell(Look())
        assert made._socket is not None
        monkeypatch.setattr(made._socket.connection, "send", lost)
        with pytest.raises(WireError) as caught:
            await made.tell(Look())
        assert caught.value.code is ErrorCode.NODE_UNAVAILABLE
