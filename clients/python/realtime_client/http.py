"""HTTP beside the socket: the same server, the same key. The standard library does it, in a thread."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from .dial import Dialer
from .errors import URL_HINT, ConnectionLost, ProtocolError, ServerError

_MAX_BYTES = 64 * 2**20
_SCHEMES = {"ws": "http", "wss": "https"}
Json = dict[str, Any]
Page = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Http:
    """Requests below the base of the socket's URL."""

    def __init__(self, dialer: Dialer, timeout_seconds: float = 60.0) -> None:
        self._dialer = dialer
        self._timeout_seconds = timeout_seconds

    async def get(self, parts: Sequence[str], query: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON. Raises ServerError when it is an error, ConnectionLost when there is none."""
        return await self._request("GET", parts, query)

    async def post(self, parts: Sequence[str], body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Like `get`."""
        return await self._request("POST", parts, query, body)

    async def delete(self, parts: Sequence[str]) -> Any:
        """Like `get`."""
        return await self._request("DELETE", parts)

    async def _request(
        self, method: str, parts: Sequence[str], query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        url = f"{self._base()}/{'/'.join(quote(part, safe='') for part in parts)}"
        if members := _members(query or {}):
            url += f"?{urlencode(members)}"
        headers = {**await self._dialer.headers(), "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(url, data, headers, method=method)
        return await asyncio.to_thread(self._exchange, request)

    def _base(self) -> str:
        split = urlsplit(self._dialer.url)
        if split.scheme not in _SCHEMES or not split.netloc:
            raise ConnectionLost(f"{self._dialer.url} is no URL of a WebSocket: {URL_HINT}", retry=False)
        path = split.path.rstrip("/").removesuffix("/responses")
        return f"{_SCHEMES[split.scheme]}://{split.netloc}{path}"

    def _exchange(self, request: urllib.request.Request) -> Any:
        try:
            with self._opener().open(request, timeout=self._timeout_seconds) as reply:
                return _parsed(_read(reply))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, _read(error), request.full_url) from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost(f"no answer from {request.host}: {error}", retry=True) from error

    def _opener(self) -> urllib.request.OpenerDirector:
        """Follows no redirect: the key is for this server."""
        options = self._dialer.options
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if options.get("ssl") is not None:
            handlers.append(urllib.request.HTTPSHandler(context=options["ssl"]))
        if (proxy := options.get("proxy", True)) is not True:
            handlers.append(urllib.request.ProxyHandler({} if proxy is None else {"http": proxy, "https": proxy}))
        return urllib.request.build_opener(*handlers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


async def pages(fetch: Page, query: Mapping[str, Any]) -> AsyncIterator[Any]:
    """All entries of a list, fetched as they are read."""
    while True:
        page = await fetch(query)
        for entry in page["data"]:
            yield entry
        if not page.get("has_more") or not page["data"]:
            return
        query = {**query, "after": page["last_id"]}


def _members(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for name, value in query.items():
        if isinstance(value, Mapping):
            out += [(f"{name}[{key}]", str(one)) for key, one in value.items()]
        elif isinstance(value, list | tuple):
            out += [(name, str(one)) for one in value]
        elif value is not None:
            out.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return out


def _read(reply: IO[bytes]) -> bytes:
    data = reply.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ProtocolError(f"an answer of more than {_MAX_BYTES} bytes")
    return data


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {data[:80]!r}") from error


def _refusal(status: int, data: bytes, url: str) -> ServerError:
    """The server's error, or a proxy's answer."""
    try:
        error = json.loads(data)["error"]
        if not isinstance(error, dict):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError):
        error = {"code": None, "message": f"HTTP {status} from {url}"}
    return ServerError.of({"status": status, "error": error})
