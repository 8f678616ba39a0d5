"""The plain HTTP endpoints beside the socket: who is there, is it alive, can it answer."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from realtime.engine.supervisor import EngineState
from realtime.wire.errors import ErrorCode, WireError

from .gateway import Gateway
from .replies import error_reply, reply

_STARTED_AT = int(time.time())


async def upgrade_required(request: Request) -> Response:
    """GET on the socket's path without an upgrade; some clients fall back to HTTP on exactly this status."""
    text = "This endpoint speaks WebSocket: connect with `Upgrade: websocket`."
    error = WireError(ErrorCode.UPGRADE_REQUIRED, text)
    return error_reply(error, {"upgrade": "websocket", "connection": "upgrade"})


async def models(request: Request) -> Response:
    """`GET /v1/models`: the one model that is served, in OpenAI's form."""
    gateway: Gateway = request.app.state.gateway
    refusal = gateway.refuse_http(request)
    if refusal is not None:
        return refusal
    model = {"id": gateway.model_name, "object": "model", "created": _STARTED_AT, "owned_by": "realtime"}
    return reply({"object": "list", "data": [model]})


async def health(request: Request) -> Response:
    """`GET /health`: 200 as long as this process serves requests at all."""
    return reply({"status": "ok"})


async def ready(request: Request) -> Response:
    """`GET /ready`: 200 when a response can be created now, 503 with the reason when not."""
    gateway: Gateway = request.app.state.gateway
    status, stats = gateway.engine.status, gateway.engine.stats()
    ready = status.state is EngineState.READY and not gateway.draining
    body = {
        "ready": ready,
        "engine": status.state.value,
        "since": status.since,
        "draining": gateway.draining,
        "num_restarts": status.num_restarts,
        "engine_running": stats.num_running,
        "engine_waiting": stats.num_waiting,
        "responses": gateway.service.num_running,
        "connections": gateway.num_connections,
    }
    return reply(body, 200 if ready else 503)
