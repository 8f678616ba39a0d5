"""What a connection asks of the service. Pure.

The connection makes commands, the I/O shell obeys them in their order and reports what came of each.
"""

from __future__ import annotations

import msgspec

from .lanes import Create


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
