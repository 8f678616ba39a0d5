"""What a connection sees of a response, and what it asks of the service. Pure.

The connection makes commands, the I/O shell obeys them in their order and reports what came of each.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from realtime.context.turns import Turn
from realtime.store.event_log import EventLog
from realtime.wire.items import OutputItem
from realtime.wire.response import Response

from .lanes import Create


class Source(Protocol):
    """A response as a connection sees it."""

    @property
    def response_id(self) -> str: ...
    @property
    def log(self) -> EventLog: ...
    @property
    def turn(self) -> Turn | None:
        """What a next turn continues from; None until the response is over, and when it failed."""

    @property
    def response(self) -> Response:
        """Its state as of the newest event that shows one."""

    @property
    def output(self) -> list[OutputItem]:
        """The items that are finished."""


class Cancel(msgspec.Struct, frozen=True):
    """Cancel this response. `delivered`: how many of its events this connection has taken; None: it reads none.
    `through`: the last of its events that the user saw or heard; what came after is to be forgotten.
    """

    response_id: str
    delivered: int | None
    event_id: str | None
    through: int | None = None


class Interrupt(msgspec.Struct, frozen=True):
    """Stop this response and forget the item that is being written. `followed`: this connection reads it."""

    response_id: str
    followed: bool
    event_id: str | None


class Cut(msgspec.Struct, frozen=True):
    """Something was given into this response: end it at the next safe point, if that comes before its own end."""

    response_id: str


class Resume(msgspec.Struct, frozen=True):
    """Attach to this response at a cursor."""

    response_id: str
    starting_after: int
    epoch: str | None
    event_id: str | None


class Update(msgspec.Struct, frozen=True):
    """Change the session; None leaves a thing as it is. `api_key` is a secret."""

    api_key: str | None
    heartbeat_seconds: float | None
    event_id: str | None


class Leave(msgspec.Struct, frozen=True):
    """This connection no longer reads this response. `detached`: the client said that it is to go on."""

    response_id: str
    detached: bool


Command = Create | Cancel | Interrupt | Cut | Resume | Update | Leave
