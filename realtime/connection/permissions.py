"""The permissions of a client that came with a ticket. Pure. Whatever is not listed is refused."""

from __future__ import annotations

from realtime.wire.bodies import TicketRole
from realtime.wire.errors import not_permitted
from realtime.wire.requests import (
    AnyClientEvent,
    ResponseAck,
    ResponseCancel,
    ResponseDetach,
    ResponseInject,
    ResponseInterrupt,
    ResponseProcessed,
    ResponseResume,
    ResponseSteer,
    ResponseTruncate,
    SessionUpdate,
)  # fmt: skip

_WATCHING = (ResponseResume, ResponseDetach, ResponseAck, ResponseProcessed, SessionUpdate)
_MAY: dict[TicketRole, tuple[type[AnyClientEvent], ...]] = {
    "viewer": _WATCHING,
    "full": (*_WATCHING, ResponseCancel, ResponseInterrupt, ResponseSteer, ResponseInject, ResponseTruncate),
}


def check_permitted(event: AnyClientEvent, role: TicketRole | None) -> None:
    """Refuse an event that the role does not allow; None: no ticket, so everything is allowed. Raises WireError."""
    if role is not None and not isinstance(event, _MAY[role]):
        name = type(event).__struct_config__.tag
        better = "a ticket of the role `full` or an API key" if isinstance(event, _MAY["full"]) else "an API key"
        raise not_permitted(f"`{name}` is not for tickets of the role `{role}`: come with {better}.")
