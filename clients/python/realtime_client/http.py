"""HTTP next to the socket: the same server, the same key, the same patience."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from email.message import Message
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .dial import Dialer
from .errors import URL_HINT, ConnectionLost, ProtocolError, ServerError
from .exchange import Exchange
from .patience import Patience
from .policy import Policy

_SCHEMES = {"ws": "http", "wss": "https"}
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # of a proxy
Json = dict[str, Any]
Page = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Http:
    """Requests below the base of the socket's URL. A request that is refused for now is sent again, as often as on the
    socket. One that may have been carried out already is not, unless carrying it out twice is the same as once.
    """

    def __init__(self, dialer: Dialer, policy: Policy) -> None:
        self._dialer = dialer
        self._policy = policy
        self._rng = random.Random()

    async def get(self, parts: Sequence[str], query: Mapping[str, Any] | None = None) -> Any:
        """Return the answer's JSON. Raises ServerError when it is an error, ConnectionLost when there is none."""
        return await self._request("GET", parts, query)

    async def post(self, parts: Sequence[str], body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Post a body; otherwise like `get`."""
        return await self._request("POST", parts, query, body)

    async def delete(self, parts: Sequence[str]) -> Any:
        """Delete something; otherwise like `get`."""
        return await self._request("DELETE", parts)

    async def _request(
        self, method: str, parts: Sequence[str], query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        url = f"{self._base()}/{'/'.join(quote(part, safe='') for part in parts)}"
        if members := _members(query or {}):
            url += f"?{urlencode(members)}"
        data = None if body is None else json.dumps(body).encode()
        patience = Patience()
        while True:
            try:
                return await self._attempt(method, url, data)
            except (ConnectionLost, ServerError) as error:
                now = asyncio.get_running_loop().time()
                goes_on = patience.failed(now, error.retry_after, self._policy, self._rng)
                if not (error.retry and goes_on):
                    raise
                await asyncio.sleep(patience.retry_at - now)

    async def _attempt(self, method: str, url: str, data: bytes | None) -> Any:
        """Send the request once. `request_timeout_seconds` is for all of it: a peer that sends very slowly must not
        hold the caller.
        """
        is_safe, seconds = method != "POST", self._policy.request_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                headers = {**await self._dialer.headers(), "Accept": "application/json"}
                if data is not None:
                    headers["Content-Type"] = "application/json"
                request = urllib.request.Request(url, data, headers, method=method)
                status, said, answer = await Exchange(request, self._dialer.options, seconds).run()
        except TimeoutError as error:
            raise ConnectionLost(f"no answer from {url} within {seconds:g} s", retry=is_safe) from error
        except ConnectionLost as error:
            error.retry = error.retry and is_safe
            raise
        if status >= 300:
            raise _refusal(status, said, answer, url, is_safe)
        return _parsed(answer)

    def _base(self) -> str:
        try:
            split = urlsplit(self._dialer.url)
        except ValueError:
            split = urlsplit("")
        if split.scheme not in _SCHEMES or not split.netloc:
            raise ConnectionLost(f"{self._dialer.url} is no URL of a WebSocket: {URL_HINT}", retry=False)
        path = split.path.rstrip("/").removesuffix("/responses")
        return f"{_SCHEMES[split.scheme]}://{split.netloc}{path}"


async def pages(fetch: Page, query: Mapping[str, Any]) -> AsyncIterator[Any]:
    """Yield all entries of a list, fetched as they are read. Raises ProtocolError for a list that does not advance."""
    seen = {query.get("after")}
    while True:
        page = await fetch(query)
        for entry in page["data"]:
            yield entry
        if not page.get("has_more") or not page["data"]:
            return
        last = page.get("last_id")
        if not isinstance(last, str) or last in seen:
            raise ProtocolError(f"the list comes to {last!r} again")
        seen.add(last)
        query = {**query, "after": last}


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


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {data[:80]!r}") from error


def _refusal(status: int, headers: Message, data: bytes, url: str, is_safe: bool) -> ServerError:
    """Return the server's error, or a proxy's answer, as an error."""
    said = headers.get("Retry-After") or ""
    wait = float(said) if said.isdecimal() and len(said) < 10 else None
    try:
        error = {"retry_after": wait, **json.loads(data)["error"]}
        if not isinstance(error["code"], str):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError):
        retry = is_safe and status in _RETRY_STATUS
        error = {"code": None, "message": f"HTTP {status} from {url}", "retry": retry, "retry_after": wait}
    if not isinstance(error["retry_after"], int | float) or not error["retry_after"] >= 0:
        error["retry_after"] = None
    return ServerError.of({"status": status, "error": error})
