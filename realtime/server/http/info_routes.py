"""The operations that tell of the server and its models: the rows of the table of routes."""

from __future__ import annotations

from realtime.wire.bodies import (
    Health,
    Model,
    ModelList,
    Readiness,
)
from realtime.wire.errors import ErrorCode as E

from . import info
from .operations import Operation

INFO = (
    Operation(
        method="GET",
        path="/v1/models",
        handler=info.models,
        summary="List the models: the one that is served",
        answer=ModelList,
    ),
    Operation(
        method="GET",
        path="/v1/models/{model}",
        path_parameters={"model": "the name of a model; it may have slashes"},
        handler=info.model,
        summary="Retrieve a model",
        answer=Model,
        errors=(E.MODEL_NOT_FOUND,),
    ),
    Operation(
        method="GET",
        path="/health",
        handler=info.health,
        summary="Whether the process serves requests",
        answer=Health,
        open=True,
    ),
    Operation(
        method="GET",
        path="/ready",
        handler=info.ready,
        summary="Whether a response can be created now; 503 with the same body when not",
        answer=Readiness,
        open=True,
    ),
)
