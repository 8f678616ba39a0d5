"""An asyncio client of the realtime server. `connect` is the way in; everything else is returned or raised by it."""

from .client import Client, connect
from .errors import (
    AlreadyFollowed,
    ClientClosed,
    ConnectionLost,
    ConversationMovedOn,
    CursorAhead,
    CursorTooOld,
    Detached,
    EpochMismatch,
    EventNotReceived,
    IdempotencyConflict,
    ItemNotFound,
    MissingToolOutput,
    ProtocolError,
    RealtimeError,
    RequestTooLarge,
    ResponseFailed,
    ResponseNotFound,
    ServerError,
    SteerFailed,
    ToolLoopTooLong,
    ToolOutputAlreadyAccepted,
)
from .inputs import Fate, Steer
from .link import ConnectionState
from .policy import Policy
from .response import Response
from .track import Cursor, FinalResponse
from .wire import OutputItem
from .wire import ResponseEvent as Event

__all__ = [
    "AlreadyFollowed",
    "Client",
    "ClientClosed",
    "ConnectionLost",
    "ConnectionState",
    "ConversationMovedOn",
    "Cursor",
    "CursorAhead",
    "CursorTooOld",
    "Detached",
    "EpochMismatch",
    "Event",
    "EventNotReceived",
    "Fate",
    "FinalResponse",
    "IdempotencyConflict",
    "ItemNotFound",
    "MissingToolOutput",
    "OutputItem",
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
    "ToolLoopTooLong",
    "ToolOutputAlreadyAccepted",
    "connect",
]
