"""The plain HTTP endpoints: which model is served, whether the process is alive, whether it can answer, and the
metrics.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import UNSET
from starlette.responses import Response

from realtime.engine.supervisor import EngineState
from realtime.observability.exposition import CONTENT_TYPE
from realtime.observability.fleet_metrics import EngineView
from realtime.wire.bodies import Health, Model, ModelList, Readiness, RemoteEngineHealth, UnsafeTemplate
from realtime.wire.errors import ErrorCode, WireError

from .call import Call
from .replies import error_reply, reply

_STARTED_AT = int(time.time())


async def upgrade_required(call: Call) -> Response:
    """Answer a GET on the socket's path without an upgrade. Some clients fall back to HTTP on exactly this status."""
    text = "GET opens a WebSocket here: connect with `Upgrade: websocket`, or send POST."
    error = WireError(ErrorCode.UPGRADE_REQUIRED, text)
    return error_reply(error, {"upgrade": "websocket", "connection": "upgrade"})


async def models(call: Call) -> Response:
    """Answer `GET /v1/models`: the one model that is served."""
    return reply(ModelList(data=[_model(call.gateway.model_name)]))


async def model(call: Call) -> Response:
    """Answer `GET /v1/models/{id}`."""
    name, served = call.path("model"), call.gateway.model_name
    if name != served:
        text = f"Model '{name[:128]}' is not served here; this server serves '{served}'."
        raise WireError(ErrorCode.MODEL_NOT_FOUND, text, param="model")
    return reply(_model(served))


async def health(call: Call) -> Response:
    """Answer `GET /health`: 200 as long as this process serves requests at all."""
    cluster = call.gateway.cluster
    return reply(Health(lease=cluster.membership.holds() if cluster is not None else UNSET))


async def ready(call: Call) -> Response:
    """Answer `GET /ready`: 200 when a response can be created now, otherwise 503 with the reason."""
    gateway, admission = call.gateway, call.gateway.admission
    status, stats = gateway.engine.status, gateway.engine.stats()
    unsafe_in = gateway.service.unsafe_in
    behind = admission.behind
    node = gateway.cluster.status if gateway.cluster is not None else UNSET
    ready = status.state is EngineState.READY and stats.takes_constraints and not admission.draining
    ready = ready and not behind and (node is UNSET or node.lease)
    body = Readiness(
        ready=ready,
        engine=status.state.value,
        since=status.since,
        draining=admission.draining,
        behind=behind,
        num_restarts=status.num_restarts,
        engine_running=stats.num_running,
        engine_waiting=stats.num_waiting,
        structured_output=stats.takes_constraints,
        responses=gateway.service.num_running,
        connections=admission.num_connections,
        requests=admission.num_requests,
        template=UnsafeTemplate(unsafe_in=unsafe_in) if unsafe_in else UNSET,
        node=node,
        engines=_engines(gateway.observer.fleet.views) or UNSET,
    )
    return reply(body, 200 if ready else 503)


async def metrics(call: Call) -> Response:
    """Answer `GET /metrics` in Prometheus's format; without a key from this machine only."""
    call.gateway.admission.check_scrape(call.request)
    return Response(await call.gateway.exposition.text(), media_type=CONTENT_TYPE)


def _engines(views: Sequence[EngineView]) -> list[RemoteEngineHealth]:
    return [RemoteEngineHealth(**{name: getattr(view, name) for name in view.__struct_fields__}) for view in views]


def _model(name: str) -> Model:
    return Model(id=name, created=_STARTED_AT)
