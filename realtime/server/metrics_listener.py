"""A separate listener for `/metrics`, for a monitoring network or a sidecar.

It serves nothing else and asks for no key, so its address decides who may read. The metrics have no tenants in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from realtime.observability.exposition import CONTENT_TYPE, Exposition

from .http.transport import StreamProtocol
from .http.waiting import Waiting

_MAX_CONNECTIONS = 16  # with which uvicorn answers 503


class MetricsListener:
    """A server on a listening socket, from `start` to `close`."""

    def __init__(self, exposition: Exposition, listening: socket.socket) -> None:
        http_protocol: Any = partial(StreamProtocol, waiting=Waiting(_MAX_CONNECTIONS - 2))
        config = uvicorn.Config(
            metrics_app(exposition),
            loop="none",
            http=http_protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._listening = listening
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve in a task."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listening]), name="metrics-listener")

    async def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the other server."""
        yield


def metrics_app(exposition: Exposition) -> ASGIApp:
    """Return an application that answers `GET /metrics`, and nothing else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD")
        body = await exposition.text() if found else b"There is /metrics here, and nothing else.\n"
        kind = CONTENT_TYPE if found else "text/plain"
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app
