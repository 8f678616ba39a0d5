"""The door of the other nodes: who does not prove to be one is sent away, and costs nothing; who is one and talks
nonsense, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State
from websockets.typing import Subprotocol

from realtime.engine.scripted import say
from realtime.server.peers import handshake, messages, strangers
from realtime.server.peers.messages import Challenge, Hello, Look, Welcome
from tests.support.cluster import SECRET, Member, member
from tests.support.memory_backend import MemoryBackend
from tests.support.server import running
from tests.support.steps import begin, resume

SCRIPT = say("a", "b")


@contextlib.asynccontextmanager
async def knocking(
    to: Member, headers: dict[str, str] | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[ClientConnection, Challenge]]:
    """A socket at the door, and what it is asked."""
    async with connect(
        f"ws://{host}:{to.port}{messages.PATH}", subprotocols=[Subprotocol(messages.SUBPROTOCOL)], proxy=None,
        compression=None, additional_headers=headers, host="127.0.0.1",
    ) as socket:  # fmt: skip
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        (challenge,) = messages.decode_answered(frame)
        assert isinstance(challenge, Challenge)
        yield socket, challenge


def hello(to: Member, challenge: Challenge, secret: bytes = SECRET, url: str | None = None) -> Hello:
    nonce = secrets.token_bytes(messages.NONCE_BYTES)
    return handshake.hello(secret, challenge, challenge.node, "z", 1, nonce, url or to.cluster.me.url)


async def closed(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(120):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


@pytest.fixture
async def node() -> AsyncIterator[Member]:
    async with member(MemoryBackend(), "a", SCRIPT) as here:
        yield here


async def test_who_has_the_secret_comes_in(node: Member) -> None:
    async with knocking(node) as (socket, challenge):
        said = hello(node, challenge)
        await socket.send(messages.encode([said]))
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        (welcome,) = messages.decode_answered(frame)
        assert isinstance(welcome, Welcome)
        handshake.check_welcome(SECRET, challenge, said, welcome)


async def test_a_door_that_is_closed_hangs_up(node: Member) -> None:
    """Else what is asked of a node without a lease would not be answered, and whoever asks would wait in vain."""
    async with knocking(node) as (socket, challenge):
        await socket.send(messages.encode([hello(node, challenge)]))
        await socket.recv()
        node.cluster.door.close()
        assert await closed(socket) == 1012


async def test_nobody_else_does(node: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    async with knocking(node) as (socket, challenge):
        recorded = messages.encode([hello(node, challenge)])
        await socket.send(recorded)
        await socket.recv()
        wrong: list[str | bytes] = [
            recorded,  # of another handshake
            messages.encode([msgspec.structs.replace(hello(node, challenge), proof=b"x")]),
            messages.encode([]),
            messages.encode([Look()]),
            messages.encode([1, 2]),
            b"",
            b"\xff" * 1000,
            "text",
        ]
        for frame in wrong:
            async with knocking(node) as (stranger, _):
                await stranger.send(frame)
                assert await closed(stranger) == 1008
        async with knocking(node) as (stranger, other):
            await stranger.send(messages.encode([hello(node, other, b"another secret")]))
            assert await closed(stranger) == 1008
        async with knocking(node) as (relay, other):  # which passes on what a node has said to it
            await relay.send(messages.encode([hello(node, other, url="wss://relay.example")]))
            assert await closed(relay) == 1008
        monkeypatch.setattr(strangers, "HANDSHAKE_SECONDS", 0.05)
        async with knocking(node) as (silent, _):
            assert await closed(silent) == 1008
        monkeypatch.setattr(strangers, "_MAX_STRANGERS", 0)
        with pytest.raises(InvalidStatus):
            async with knocking(node):
                pass


async def test_no_page_is_a_node_nor_is_whom_a_proxy_lets_through_where_there_is_no_secret(node: Member) -> None:
    """On one machine nodes do without a secret; then what they prove with is known to everybody."""
    page, proxied = {"Origin": "http://127.0.0.1"}, {"X-Forwarded-For": "203.0.113.9"}
    async with member(MemoryBackend(), "b", SCRIPT, shared=False) as bare:
        refused = [(node, page, "127.0.0.1"), (bare, page, "127.0.0.1"), (bare, proxied, "127.0.0.1")]
        refused += [(bare, {}, "chat.example.com"), (bare, {"Host": "chat.example.com"}, "127.0.0.1")]  # two hosts
        for to, headers, host in refused:
            with pytest.raises(InvalidStatus):
                async with knocking(to, headers, host):
                    pass
        for to, headers, host in [(node, proxied, "chat.example.com"), (bare, {}, "localhost"), (bare, {}, "[::1]")]:
            async with knocking(to, headers, host):
                pass


async def test_strangers_that_say_nothing_keep_no_node_out(node: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_MAX_STRANGERS", 2)
    async with knocking(node) as (first, _), knocking(node) as (second, _), knocking(node) as (socket, challenge):
        assert await closed(first) == 1008
        await socket.send(messages.encode([hello(node, challenge)]))
        assert isinstance(await socket.recv(), bytes)
        async with knocking(node) as (_, _):
            assert second.state is State.OPEN, "who came in is no stranger any more"


async def test_a_stranger_is_not_listened_to_for_long(node: Member) -> None:
    async with knocking(node) as (socket, challenge):
        long = msgspec.structs.replace(hello(node, challenge), node="z" * 100_000)
        with contextlib.suppress(ConnectionClosed):
            await socket.send(messages.encode([long]))
        assert await closed(socket) in (None, 1006)
    async with knocking(node) as (socket, challenge):
        await socket.send(messages.encode([hello(node, challenge)]))
        await socket.recv()
        await socket.send(messages.encode([messages.Settle(1, "x" * 100_000)]))
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        assert isinstance(messages.decode_answered(frame)[0], messages.Done), "a node says more"


async def test_a_node_that_talks_nonsense_is_sent_away(node: Member) -> None:
    for frame in (b"\xff", "text", messages.encode([hello(node, Challenge("a", b"n" * messages.NONCE_BYTES))])):
        async with knocking(node) as (socket, challenge):
            await socket.send(messages.encode([hello(node, challenge)]))
            await socket.recv()
            await socket.send(frame)
            assert await closed(socket) == 1008


async def test_without_a_cluster_there_is_no_door() -> None:
    async with running(SCRIPT) as server:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{server.port}{messages.PATH}", proxy=None)


async def test_who_was_connected_to_has_to_prove_it_too() -> None:
    """An address in the store may be anybody's by now: nothing is asked of who does not have the secret."""
    backend = MemoryBackend()
    async with (
        member(backend, "a", SCRIPT) as a,
        member(backend, "b", SCRIPT, secret=b"of another cluster") as b,
        a.client(native=True) as one,
        b.client(native=True) as two,
    ):
        response_id = await begin(one, on_disconnect={"policy": "continue"})
        while "a" not in b.cluster.membership.peers():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert (await resume(two, response_id))["error"]["code"] == "node_unavailable"
        assert not a.cluster.door._guests
        a.engine.step(10)


async def test_what_a_newer_node_asks_is_refused_and_the_rest_is_answered(node: Member) -> None:
    """Its follows must not end with a connection while a cluster is upgraded."""
    async with knocking(node) as (socket, challenge):
        await socket.send(messages.encode([hello(node, challenge)]))
        await socket.recv()
        await socket.send(messages.encode([[99, 7, "new"], [98], messages.Settle(8, "resp_x")]))
        answers: list[Any] = []
        while len(answers) < 2:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            answers += messages.decode_answered(frame)
        refused, done = answers
        assert (refused.number, refused.code, refused.retry_after is not None) == (7, "node_unavailable", True)
        assert done == messages.Done(8, "resp_x")
