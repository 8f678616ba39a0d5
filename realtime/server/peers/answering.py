"""Answering: HTTP requests that clients sent to another node, which forwarded them to this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Match, Router

from realtime.wire.errors import ErrorCode, WireError

from ..http.operations import Endpoint
from ..http.transport import EXTENSION
from .messages import Answer, Ask


async def answer(router: Router, ask: Ask) -> Answer:
    """Answer a request that a client sent to another node. Raises WireError."""
    path, _, query = ask.path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": ask.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": list(ask.headers),
        "client": None,
        "server": None,
        "extensions": {EXTENSION: {"peer": _Nobody()}},
    }
    for route in router.routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            scope.update(child)
            endpoint: Endpoint = scope["endpoint"]
            request = Request(scope, _receive(ask.body))
            response = await endpoint.answer_for(request, ask.who)
            return Answer(ask.number, response.status_code, tuple(response.raw_headers), bytes(response.body))
    raise WireError(ErrorCode.NOT_FOUND, "The node has no such path.")


class _Nobody:
    """A stand-in for the client's connection: the client is connected to the other node, and waits there."""

    gone = False
    can_write = False
    on_gone: Callable[[], None] | None = None
    on_revoked: Callable[[], None] | None = None
    on_writable: Callable[[], None] | None = None


def _receive(body: bytes) -> Callable[[], Any]:
    messages: list[Mapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Mapping[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # he does not go, as far as is known here
        raise AssertionError

    return receive
