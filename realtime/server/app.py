"""The application: all doors, by path."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from itertools import groupby

import msgspec
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from .gateway import Gateway
from .http.asyncapi import asyncapi_document
from .http.call import Call
from .http.info import metrics
from .http.openapi import document
from .http.operations import Endpoint, Operation
from .page.routes import ROUTES as PAGE
from .peers.answering import answer
from .peers.messages import PATH as PEERS
from .routes import OPERATIONS


@cache
def build_document() -> bytes:
    """Return the OpenAPI document as JSON."""
    return msgspec.json.encode(document(OPERATIONS))


@cache
def build_socket_document() -> bytes:
    """Return the AsyncAPI document as JSON."""
    return msgspec.json.encode(asyncapi_document())


async def openapi(call: Call) -> Response:
    """Answer `GET /openapi.json`. The first one takes about a second to make, which must not be the event loop's."""
    return Response(await asyncio.to_thread(build_document), media_type="application/json")


async def asyncapi(call: Call) -> Response:
    """Answer `GET /asyncapi.json`."""
    return Response(await asyncio.to_thread(build_socket_document), media_type="application/json")


_DESCRIPTION = Operation(method="GET", path="/openapi.json", handler=openapi, summary="What is served", open=True)
_SOCKET_DESCRIPTION = Operation(
    method="GET", path="/asyncapi.json", handler=asyncapi, summary="What is said on a socket", open=True
)

_METRICS = Operation(method="GET", path="/metrics", handler=metrics, summary="Metrics for Prometheus", open=True)


def build_app(gateway: Gateway) -> Starlette:
    """Return the ASGI application. `process` starts and stops the engine, not the application."""
    routes: list[BaseRoute] = [WebSocketRoute(path, gateway.sockets.serve) for path in _paths("/v1/responses")]
    page = PAGE if gateway.settings.server.page else ()
    fixed = (_DESCRIPTION, _SOCKET_DESCRIPTION, _METRICS)
    for path, operations in _by_path((*OPERATIONS, *fixed, *page)).items():
        endpoint = Endpoint(gateway, operations)
        routes += [Route(name, endpoint) for name in _paths(path)]
    cluster = gateway.cluster
    if cluster is not None:
        routes.append(WebSocketRoute(PEERS, cluster.door.serve))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    app.router.default = Endpoint(gateway, ())
    app.state.gateway = gateway
    if cluster is not None:
        cluster.answer_request = partial(answer, app.router)
    return app


def _by_path(operations: tuple[Operation, ...]) -> dict[str, list[Operation]]:
    """Group operations by path, in the order of the table, which is the order in which paths are tried."""
    paths: dict[str, list[Operation]] = {}
    for path, some in groupby(operations, lambda one: one.path):
        paths.setdefault(path, []).extend(some)
    return paths


def _paths(path: str) -> list[str]:
    """Return the paths of an operation: also without /v1, as clients with such a base URL expect it."""
    path = path.replace("{model}", "{model:path}")
    return [path, path.removeprefix("/v1")] if path.startswith("/v1/") else [path]
