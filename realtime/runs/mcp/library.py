"""The MCP library, which takes a second to import and is wanted by few, with a client of HTTP that is bounded.

That client takes no more bytes than it is told, no compressed ones, and nothing from the environment.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import httpx2

Answered = Callable[[int], None]
"""Called with the status of each answer."""


class Library(msgspec.Struct, frozen=True):
    """The parts of the library that are used. http_client: takes headers, the size limit of a body, and a timeout."""

    client: Any
    transport: Any
    http_client: Callable[[dict[str, str], int, float, Answered], httpx2.AsyncClient]
    error: type[Exception]
    http_error: type[Exception]


@cache
def load() -> Library:
    """Import the library. Call it when the server starts, if MCP is on."""
    import httpx2
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.exceptions import MCPError

    for name in ("httpx2", "mcp"):  # they log addresses and what servers say; failures are logged here
        logging.getLogger(name).setLevel(logging.CRITICAL)
    new_transport = _bounded_transport()

    def http_client(headers: dict[str, str], max_bytes: int, timeout: float, answered: Answered) -> httpx2.AsyncClient:
        headers = {**headers, "accept-encoding": "identity"}
        transport = new_transport(max_bytes, answered)
        return httpx2.AsyncClient(headers=headers, transport=transport, timeout=timeout, trust_env=False)

    return Library(Client, streamable_http_client, http_client, MCPError, httpx2.HTTPError)


def _bounded_transport() -> Callable[[int, Answered], httpx2.AsyncHTTPTransport]:
    """Define the transport, which needs the library: a body has a size limit and is not compressed."""
    import httpx2

    trusted = ssl.create_default_context()

    class Bounded(httpx2.AsyncByteStream):
        """A body with a size limit."""

        def __init__(self, stream: httpx2.AsyncByteStream, max_bytes: int) -> None:
            self._stream, self._left = stream, max_bytes

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                self._left -= len(chunk)
                if self._left < 0:
                    raise httpx2.ReadError("the answer is too long")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Transport(httpx2.AsyncHTTPTransport):
        def __init__(self, max_bytes: int, answered: Answered) -> None:
            super().__init__(verify=trusted, trust_env=False)
            self._max_bytes = max_bytes
            self._answered = answered

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            self._answered(response.status_code)
            if response.headers.get("content-encoding", "identity").lower() != "identity":  # may hold a thousandfold
                await response.aclose()
                raise httpx2.DecodingError("a compressed answer")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Bounded(response.stream, self._max_bytes)
            return response

    return Transport
