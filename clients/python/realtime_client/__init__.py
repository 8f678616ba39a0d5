"""Asyncio client of the realtime server. `connect` is the way in; everything else is what it hands out or raises."""

from .client import Client, connect
from .errors import (
    AlreadyFollowed,
    ClientClosed,
    ConnectionLost,
    CursorAhead,
    CursorTooOld,
    Detached,
    EpochMismatch,
    IdempotencyConflict,
    ProtocolError,
    RealtimeError,
    RequestTooLarge,
    ResponseFailed,
    ResponseNotFound,
    ServerError,
    SteerFailed,
)
from .inputs import Fate, Steer
from .policy import Policy
from .response import Response
from .track import Cursor, Event, FinalResponse

__all__ = [
    "AlreadyFollowed",
    "Client",
    "ClientClosed",
    "ConnectionLost",
    "Cursor",
    "CursorAhead",
    "CursorTooOld",
    "Detached",
    "EpochMismatch",
    "Event",
    "Fate",
    "FinalResponse",
    "IdempotencyConflict",
    "Policy",
    "ProtocolError",
    "RealtimeError",
    "RequestTooLarge",
    "Response",
    "ResponseFailed",
    "ResponseNotFound",
    "ServerError",
    "Steer",
    "SteerFailed",
    "connect",
]
