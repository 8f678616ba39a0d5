"""A check of the path between clients and the server: a visit to a public URL, through every proxy on the way."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from urllib.parse import SplitResult, urlsplit

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from realtime.settings.fields import ConnectionSettings

from .finding import Finding

_NATIVE = Subprotocol("realtime.v1")
_SECONDS = 10.0
_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_UPGRADE = "let the proxy pass `Upgrade` and `Connection` on: deploy/proxies has configurations"


async def visit(
    url: str, key: str | None, connections: ConnectionSettings, idle_seconds: float
) -> AsyncIterator[Finding]:
    """Ask for `/ready`, open a socket, and leave it idle. key: an API key. idle_seconds: for how long."""
    parts = _parts(url)
    if parts is None:  # it may hold a password, so it is not shown
        yield Finding("public url", "error", "what was given is none", "give it as https://chat.example.com")
        return
    base = f"{_SCHEMES[parts.scheme]}://{parts.netloc.rpartition('@')[2]}"
    answered = await _ready(base)
    yield answered
    if answered.level != "error":
        async for finding in _socket(base, parts, key, connections, idle_seconds):
            yield finding


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL; None: it is not a URL of a server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if good else None


async def _ready(base: str) -> Finding:
    """Ask for `/ready` and read only the head of the answer: its sender is not known, nor its length."""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            httpx2.AsyncClient(timeout=_SECONDS, trust_env=False) as client,
            client.stream("GET", f"{base}/ready") as answer,
        ):
            pass
    except httpx2.ConnectError as error:
        if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error):
            text = f"{base}: its certificate is not trusted ({_first_line(error)})"
            return Finding("public url", "error", text, "clients refuse it too: get one for this name, with its chain")
        return Finding(
            "public url", "error", f"{base} can't be reached ({_first_line(error)})", "is the proxy running?"
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        return Finding(
            "public url", "error", f"{base} does not answer ({type(error).__name__})", "is the proxy running?"
        )
    if answer.is_redirect:
        text = f"{base} redirects to {_printable(answer.headers.get('location', '?'))}"
        return Finding(
            "public url", "error", text, "clients do not follow, as they bring a key: give the URL it leads to"
        )
    if answer.status_code not in (200, 503) or "json" not in answer.headers.get("content-type", ""):
        text = f"{base}/ready answers {answer.status_code}, and not as this server does"
        return Finding("public url", "error", text, "the proxy has to send all paths to the server")
    if answer.status_code == 503:
        return Finding("public url", "warning", f"{base}/ready answers 503: the server behind it is not ready")
    return Finding("public url", "ok", f"{base} leads to a server that is ready")


async def _socket(
    base: str, parts: SplitResult, key: str | None, connections: ConnectionSettings, idle_seconds: float
) -> AsyncIterator[Finding]:
    path = parts.path if parts.path.endswith("/responses") else "/v1/responses"
    url = base.replace("http", "ws", 1) + path
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        socket = await connect(
            url,
            additional_headers=headers,
            subprotocols=[_NATIVE],
            open_timeout=_SECONDS,
            ping_interval=None,
            proxy=None,
        )
    except InvalidStatus as refused:
        yield _refused(refused.response.status_code)
        return
    except (InvalidHandshake, InvalidURI, OSError, TimeoutError) as error:
        yield Finding("sockets", "error", f"{url} opens none ({_first_line(error)})", _UPGRADE)
        return
    async with socket:
        yield Finding("sockets", "ok", f"{url} opens one")
        yield await _idle(socket.wait_closed(), idle_seconds, connections.ping_interval_seconds)


async def _idle(closed: object, idle_seconds: float, ping_seconds: float) -> Finding:
    began = time.monotonic()
    try:
        await asyncio.wait_for(closed, idle_seconds)  # type: ignore[arg-type]
    except TimeoutError:
        return Finding("idle sockets", "ok", f"one was left alone for {idle_seconds:g} s and is still open")
    except ConnectionClosed:
        pass
    seconds = time.monotonic() - began
    text = f"one that says nothing is closed after {seconds:.0f} s; the server pings every {ping_seconds:g} s"
    advice = "give the proxy a longer limit for idle connections, or the server a shorter --ping-interval-seconds"
    return Finding("idle sockets", "error", text, advice)


def _refused(status: int) -> Finding:
    if status == 401:
        text = "a socket is asked for a key, and REALTIME_API_KEY has none that is valid"
        return Finding("sockets", "note", text, "set REALTIME_API_KEY to look further")
    if status in (200, 400, 404, 405, 426, 501):
        text = f"the upgrade to a WebSocket is answered with {status}: it does not come through"
        return Finding("sockets", "error", text, _UPGRADE)
    return Finding("sockets", "error", f"the upgrade to a WebSocket is answered with {status}", "see the proxy's log")


def _first_line(error: BaseException) -> str:
    return _printable((str(error).splitlines() or [type(error).__name__])[0])


def _printable(text: str) -> str:
    """Remove control characters, which a terminal would obey, from a stranger's text."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
