"""Commands: a connection's requests to its I/O shell. Pure.

The shell starts each command as it is drained and reports its completion whenever that comes, in any order:

| command | completed by |
|---|---|
| Create | `opened` or `refused` |
| Resume | `resumed` or `refused` |
| Stop | `stopped` or `refused`; a late one that cuts: `truncated`; to steer: nothing |
| Truncate | `truncated` or `refused` |
| Identify | `identified` or `refused` |
| Beat | `beat`, or nothing |
| Leave | nothing: it is carried out at once, before the commands after it |
"""

from __future__ import annotations

import msgspec

from realtime.context.turns import Turn
from realtime.wire.requests import CatchUp, Place, ResponseCreate, StopKind

from .steering import Steer


class Create(msgspec.Struct, frozen=True):
    """Start this response. `parent` is set when the connection itself holds the turn to continue.

    `steers`: the input given into its parent that it commits. `automatic`: it is the connection's own, the successor of
    a steered response, and no client event waits for an answer.
    """

    request: ResponseCreate
    stream_id: str | None
    parent: Turn | None
    num_bytes: int
    steers: tuple[Steer, ...] = ()
    automatic: bool = False


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """End a response early.

    how: `cancel` keeps what was generated, `interrupt` drops the item that is being written, `steer` waits for a safe
    point, because something was given into the response. followed: this connection reads the response; otherwise it
    will read the end, which is the receipt. delivered: how many events of a response that it reads and cancels this
    connection has taken. through: the last event that the user saw or heard; later ones are to be forgotten. cuts_late:
    a response that is over already is cut after `through` all the same.
    """

    response_id: str
    how: StopKind
    followed: bool
    delivered: int | None = None
    through: int | None = None
    cuts_late: bool = False
    event_id: str | None = None


class Truncate(msgspec.Struct, frozen=True, kw_only=True):
    """Cut the answer of a response, running or finished. `followed`, `delivered`: as of a `Stop`."""

    response_id: str
    place: Place
    followed: bool
    delivered: int | None = None
    event_id: str | None = None


class Resume(msgspec.Struct, frozen=True):
    """Attach to this response at a cursor. `merged`: consecutive deltas are taken as one."""

    response_id: str
    starting_after: int
    epoch: str | None
    event_id: str | None
    merged: bool = False


class Identify(msgspec.Struct, frozen=True):
    """Find out whose API key this is. The key is a secret. The other members change if it is accepted."""

    api_key: str
    heartbeat_seconds: float | None
    event_id: str | None
    catch_up: CatchUp | None = None


class Beat(msgspec.Struct, frozen=True):
    """Make a heartbeat that reports these responses."""

    response_ids: tuple[str, ...]


class Leave(msgspec.Struct, frozen=True):
    """Stop reading the response. `detached`: the client said that the response is to continue."""

    response_id: str
    detached: bool


Awaited = Create | Stop | Truncate | Resume | Identify  # commands whose completion the connection waits for
Command = Awaited | Beat | Leave
