"""Transports for OpenAI's SDK that carry `responses.create` over the socket. An answer survives a cut connection; one
that is left, or whose caller is cancelled, is cancelled at the server. Everything else goes over HTTP as before.

    client = AsyncOpenAI(base_url=transport.base_url, http_client=httpx2.AsyncClient(transport=transport))

Every framework that takes a client of the SDK, or its `http_client`, gains that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx2

from .. import sync
from ..errors import ConnectionLost, RealtimeError, ResponseFailed, ServerError
from ..response import Response
from .connection import Connection

_STATUS_OF_A_REFUSAL = 400


class AsyncTransport(httpx2.AsyncBaseTransport):
    """A transport for `httpx2.AsyncClient`. `url` and `options`: as of `realtime_client.connect`."""

    def __init__(self, url: str, *, api_key: str | None = None, **options: Any) -> None:
        self._connection = Connection(url, api_key=api_key, **options)
        self._http = httpx2.AsyncHTTPTransport()
        self.base_url = self._connection.base_url

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the server would over HTTP."""
        if not _is_create(request):
            return await self._http.handle_async_request(request)
        body = json.loads(await request.aread())
        streams, seconds = body.pop("stream", False), _patience(request)
        try:
            async with asyncio.timeout(seconds):
                client = await self._connection.client()
                response = await client.create(**body)
            if streams:
                return httpx2.Response(200, headers=_STREAM, stream=_AsyncEvents(response, seconds))
            async with response, asyncio.timeout(seconds):
                return httpx2.Response(200, json=await response.result())
        except (RealtimeError, TimeoutError) as error:
            return _refusal(error, request)

    async def aclose(self) -> None:
        """Close the socket, too."""
        await self._connection.aclose()
        await self._http.aclose()


class Transport(httpx2.BaseTransport):
    """A transport for `httpx2.Client`, for callers without asyncio."""

    def __init__(self, url: str, *, api_key: str | None = None, **options: Any) -> None:
        self._make = functools.partial(sync.connect, url, api_key=api_key, **options)
        self._client: sync.Client | None = None
        self._opening = threading.Lock()
        self._http = httpx2.HTTPTransport()
        self.base_url = Connection(url).base_url

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the server would over HTTP."""
        if not _is_create(request):
            return self._http.handle_request(request)
        body = json.loads(request.read())
        streams = body.pop("stream", False)
        try:
            with self._opening:
                if self._client is None:
                    self._client = self._make().__enter__()
            response = self._client.create(**body)
            if streams:
                return httpx2.Response(200, headers=_STREAM, stream=_Events(response))
            with response:
                return httpx2.Response(200, json=response.result())
        except RealtimeError as error:
            return _refusal(error, request)

    def close(self) -> None:
        """Close the socket, too."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
        self._http.close()


class _AsyncEvents(httpx2.AsyncByteStream):
    """The events as they would be on the wire. Closing it stops an answer that is not over."""

    def __init__(self, response: Response, seconds: float | None) -> None:
        self._response = response
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                async with asyncio.timeout(self._seconds):
                    event = await anext(self._response, None)
                if event is None:
                    return
                yield _encoded(event)
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no event within {self._seconds:g} s") from error
        except RealtimeError as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Stop the answer. The stop is on its way when this returns: nothing is awaited, which a cancelled scope could
        hold up.
        """
        await self._response.__aexit__(None, None, None)


class _Events(httpx2.SyncByteStream):
    """The events as they would be on the wire, blocking."""

    def __init__(self, response: sync.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            for event in self._response:
                yield _encoded(event)
        except RealtimeError as error:
            raise httpx2.ReadError(str(error)) from error

    def close(self) -> None:
        """Stop an answer that is not over."""
        with contextlib.suppress(RuntimeError):  # the transport was closed before, and the answer with it
            self._response.__exit__(None, None, None)


# The client has tried again already, for as long as its policy says.
_NO_RETRY = {"x-should-retry": "false"}
_STREAM = {"content-type": "text/event-stream", **_NO_RETRY}


def _is_create(request: httpx2.Request) -> bool:
    return request.method == "POST" and request.url.path.rstrip("/").endswith("/responses")


def _patience(request: httpx2.Request) -> float | None:
    """Return httpx's read timeout: the longest time in which nothing may come."""
    timeout: Mapping[str, float | None] = request.extensions.get("timeout", {})
    return timeout.get("read")


def _encoded(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _refusal(error: Exception, request: httpx2.Request) -> httpx2.Response:
    """Return the error as an HTTP answer, from which the SDK makes its own errors."""
    if isinstance(error, ResponseFailed):
        return httpx2.Response(200, json=error.response)
    if isinstance(error, ServerError):
        said = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
        return httpx2.Response(error.status or _STATUS_OF_A_REFUSAL, headers=_NO_RETRY, json={"error": said})
    if isinstance(error, ConnectionLost) and error.status is not None:  # a refused handshake: a wrong key, say
        said = {"message": str(error), "type": None, "param": None, "code": None}
        return httpx2.Response(error.status, headers=_NO_RETRY, json={"error": said})
    kind = httpx2.ReadTimeout if isinstance(error, TimeoutError) else httpx2.ConnectError
    raise kind(str(error), request=request) from error
