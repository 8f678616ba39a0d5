"""The doors put together: which path leads where."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute

from . import http, http_conversations
from .gateway import Gateway

_PATHS = ("/v1/responses", "/responses")


def build_app(gateway: Gateway) -> Starlette:
    """The ASGI application. The engine is started and stopped by `process`, not by the application."""
    routes: list[BaseRoute] = [WebSocketRoute(path, gateway.websocket) for path in _PATHS]
    routes += [Route(path, http.upgrade_required, methods=["GET"]) for path in _PATHS]
    routes += [
        Route("/v1/models", http.models),
        Route("/models", http.models),
        Route("/health", http.health),
        Route("/ready", http.ready),
    ]
    routes += http_conversations.routes()
    app = Starlette(routes=routes)
    app.state.gateway = gateway
    return app
