"""Fetching from the public network and from nowhere else: names, addresses, redirects, slow and endless hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpcore2
import pytest

from realtime.runs.public_fetch import BadUrl, FetchError, FetchLimits, PublicFetcher, TooLarge, is_public, resolve

PUBLIC = "93.184.216.34"
LIMITS = FetchLimits(max_bytes=1000, max_redirects=2, connect_seconds=5, total_seconds=5)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "not an address", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_what_is(address: str) -> None:
    assert is_public(address)


class Internet(httpcore2.AsyncNetworkBackend):
    """A network whose names are ours and whose public addresses all lead to one server here."""

    def __init__(self, port: int, names: dict[str, list[str]]) -> None:
        self._port = port
        self._names = names
        self._real = httpcore2.AnyIOBackend()
        self.connected: list[str] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        if host not in self._names:
            raise OSError("no such host")
        return self._names[host]

    async def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        self.connected.append(host)
        if host == "1.0.0.1":
            raise httpcore2.ConnectError("refused")
        return await self._real.connect_tcp("127.0.0.1", self._port, *rest, **options)


Serve = Callable[[bytes, asyncio.StreamWriter], None]


@asynccontextmanager
async def internet(
    serve: Serve, limits: FetchLimits = LIMITS, **names: list[str]
) -> AsyncIterator[tuple[PublicFetcher, Internet]]:
    """A fetcher in a network where `serve` answers the head of each request; it need not end its answer."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        serve(await reader.readuntil(b"\r\n\r\n"), writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    hosts = {f"{name}.test": addresses for name, addresses in names.items()} or {"a.test": [PUBLIC]}
    network = Internet(server.sockets[0].getsockname()[1], hosts)
    try:
        yield PublicFetcher(limits, network.resolve, network), network
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


def always(answer: bytes) -> Serve:
    return lambda _, writer: writer.write(answer)


async def test_the_connection_goes_to_the_address_that_was_checked_and_asks_for_the_name() -> None:
    heads: list[bytes] = []

    def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(OK)

    async with internet(serve) as (fetcher, network):
        assert await fetcher.fetch("http://a.test:8080/x.png?sig=1") == b"hi"
    assert network.connected == [PUBLIC]
    assert heads[0].startswith(b"GET /x.png?sig=1 HTTP/1.1\r\nHost: a.test:8080\r\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    """Also when only one of its addresses does: the next lookup might give that one alone."""
    async with internet(always(OK), a=[PUBLIC, address]) as (fetcher, network):
        with pytest.raises(BadUrl, match="not on the public network"):
            await fetcher.fetch("http://a.test/")
        assert network.connected == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0", "[::1]", "[::ffff:7f00:1]",
             "localhost", "[fe80::1]", "169.254.169.254"],
)  # fmt: skip
async def test_odd_spellings_of_loopback_reach_the_same_check(host: str) -> None:
    """With the system's own resolver. Nothing listens for the fetch to reach."""
    connected: list[str] = []

    class Nowhere(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(self, host: str, *rest: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
            connected.append(host)
            raise AssertionError("connected")

    with pytest.raises(FetchError):
        await PublicFetcher(LIMITS, resolve, Nowhere()).fetch(f"http://{host}/")
    assert connected == []


@pytest.mark.parametrize(
    "target", ["http://inside.test/", "//inside.test/", "http://127.0.0.1:1/", "file:///etc/passwd", "ftp://b.test/",
               "http://user:secret@b.test/", "gopher://b.test", "http://b.test:99999/"],
)  # fmt: skip
async def test_each_hop_is_checked(target: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    names: dict[str, Any] = {"a": [PUBLIC], "b": [PUBLIC], "inside": ["10.0.0.1"]}
    async with internet(always(answer), **names) as (fetcher, network):
        with pytest.raises(FetchError):
            await fetcher.fetch("http://a.test/")
        assert network.connected == [PUBLIC]


async def test_redirects_are_followed_as_far_as_allowed() -> None:
    left = 2

    def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        left -= 1
        writer.write(OK if left < 0 else b"HTTP/1.1 307 x\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")

    async with internet(serve) as (fetcher, _):
        assert await fetcher.fetch("http://a.test/") == b"hi"
        left = 3
        with pytest.raises(FetchError, match="more than 2 times"):
            await fetcher.fetch("http://a.test/")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000,
               b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"],
)  # fmt: skip
async def test_a_body_is_read_as_far_as_it_may_be_large(answer: bytes) -> None:
    async with internet(always(answer)) as (fetcher, _):
        with pytest.raises(TooLarge):
            await fetcher.fetch("http://a.test/")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
async def test_a_host_that_never_ends_is_left(answer: bytes) -> None:
    """The only clock is the fetcher's own limit, which is short here."""
    limits = FetchLimits(max_bytes=1000, max_redirects=2, connect_seconds=5, total_seconds=0.05)
    async with internet(always(answer), limits) as (fetcher, _):
        with pytest.raises(FetchError, match="too long"):
            await fetcher.fetch("http://a.test/")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://unknown.test/", "can't be found"),
        ("http://" + "a" * 300 + ".test/", "URL|found"),
        ("http://a.test:99999/", "port"),
        ("ftp://a.test/", "http://"),
        ("http://user:secret@a.test/", "password"),
    ],
)
async def test_what_can_not_be_fetched(url: str, reason: str) -> None:
    async with internet(always(OK)) as (fetcher, network):
        with pytest.raises(FetchError, match=reason) as caught:
            await fetcher.fetch(url)
        assert "secret" not in str(caught.value)
        assert network.connected == []


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-x\r\n\r\n"])
async def test_an_answer_that_is_no_file(answer: bytes) -> None:
    async with internet(always(answer)) as (fetcher, _):
        with pytest.raises(FetchError, match=r"404|speak HTTP"):
            await fetcher.fetch("http://a.test/")


async def test_the_next_address_is_tried() -> None:
    async with internet(always(OK), a=["1.0.0.1", PUBLIC]) as (fetcher, network):
        assert await fetcher.fetch("http://a.test/") == b"hi"
    assert network.connected == ["1.0.0.1", PUBLIC]
