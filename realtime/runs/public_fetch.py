"""Fetching URLs that a stranger names, from the public network only.

A server that fetches URLs for its clients can be sent to places that they can't reach: itself, its neighbours, a
cloud's metadata. So every address that a name resolves to must be public, for every hop, and the connection goes to
exactly the address that was checked: a name that resolves differently a moment later changes nothing. TLS still
verifies the name. Proxies from the environment are not used: behind one, nothing here could be checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urljoin

import httpcore2
import httpx2
import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, as text."""

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SOCKET_OPTIONS = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class FetchError(Exception):
    """An error: a URL could not be fetched. The text says why, and may be shown: it names no address and no path."""


class BadUrl(FetchError):
    """An error that does not depend on the network: the URL is invalid, or leads to a place that may not be fetched."""


class TooLarge(FetchError):
    """An error: the file is larger than allowed."""


class FetchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one fetch: seconds, bytes and hops."""

    max_bytes: int
    max_redirects: int
    connect_seconds: float
    total_seconds: float


def is_public(text: str) -> bool:
    """Return whether an address, and every address embedded in it, belongs to the public network."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address to which a gateway, or the kernel, would translate this one."""
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _IPV4_COMPATIBLE or any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


async def resolve(host: str, port: int) -> list[str]:
    """Resolve a name by the system's resolver, which also reads odd spellings of addresses (`0x7f.1`, `2130706433`)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class PublicBackend(httpcore2.AsyncNetworkBackend):
    """A network backend that connects to public addresses only. The layers above it still use the name, for `Host` and
    for TLS.
    """

    def __init__(self, resolve: Resolve, inner: httpcore2.AsyncNetworkBackend) -> None:
        self._resolve = resolve
        self._inner = inner

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: _SOCKET_OPTIONS | None = None,
    ) -> httpcore2.AsyncNetworkStream:  # fmt: skip
        """Connect; see httpcore2. One address that is not public condemns the name: it is a trick or a split
        horizon.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise FetchError("its host can't be found") from None
        if not addresses or not all(map(is_public, addresses)):
            raise BadUrl("its host is not on the public network")
        trouble: Exception = FetchError("its host can't be reached")
        for address in addresses[:4]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
        raise trouble

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: _SOCKET_OPTIONS | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2."""
        raise BadUrl("it names no host")

    async def sleep(self, seconds: float) -> None:
        """See httpcore2."""
        await asyncio.sleep(seconds)


class PublicFetcher:
    """A fetcher of files, by GET. `resolve` and `network` are for tests."""

    def __init__(
        self, limits: FetchLimits, resolve: Resolve = resolve, network: httpcore2.AsyncNetworkBackend | None = None
    ) -> None:
        self._limits = limits
        self._backend = PublicBackend(resolve, network or httpcore2.AnyIOBackend())

    async def fetch(self, url: str) -> bytes:
        """Return the body of a URL. Raises FetchError."""
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                # A pool per fetch: nothing is kept open, and nobody learns from a warm connection what others fetched.
                async with httpcore2.AsyncConnectionPool(network_backend=self._backend) as pool:
                    return await self._follow(pool, url)
        except TimeoutError:
            raise FetchError("it took too long") from None
        except httpcore2.TimeoutException:
            raise FetchError("its host is too slow") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError, OSError):
            raise FetchError("its host can't be reached, or does not speak HTTP") from None

    async def _follow(self, pool: httpcore2.AsyncConnectionPool, url: str) -> bytes:
        for _ in range(self._limits.max_redirects + 1):
            target = _checked(url)
            timeout = {"connect": self._limits.connect_seconds}
            headers = [(b"Host", target.netloc), (b"Accept", b"image/*"), (b"User-Agent", b"realtime")]
            request_url = httpcore2.URL(
                scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
            )
            async with pool.stream("GET", request_url, headers=headers, extensions={"timeout": timeout}) as reply:
                if reply.status not in _REDIRECTS:
                    return await self._body(reply)
                where = {name.lower(): value for name, value in reply.headers}.get(b"location", b"")
            url = urljoin(str(target), where.decode("latin-1"))
        raise FetchError(f"it is redirected more than {self._limits.max_redirects} times")

    async def _body(self, reply: httpcore2.Response) -> bytes:
        if reply.status != 200:
            raise FetchError(f"its host answers with status {reply.status}")
        body = bytearray()
        async for chunk in reply.aiter_stream():
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise TooLarge(f"it is larger than {self._limits.max_bytes} bytes")
        return bytes(body)


def _checked(url: str) -> httpx2.URL:
    """Return the URL of a hop. Raises BadUrl."""
    try:
        target = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise BadUrl("it is no URL") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise BadUrl("it does not lead to http:// or https://")
    if target.port is not None and not 0 < target.port < 65536:
        raise BadUrl("its port is none")
    if target.userinfo:
        raise BadUrl("it holds a user name or password")
    return target
