"""The terms of one connection: the profile, which its sub-protocol chooses, and the limits. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from realtime.settings.fields import ConnectionSettings
from realtime.wire import codec, events
from realtime.wire.bodies import TICKET_SUBPROTOCOL

KEY_SUBPROTOCOL = "openai-insecure-api-key."  # then the key: how a page, which can't set headers, gives it
_CREDENTIALS = (KEY_SUBPROTOCOL, TICKET_SUBPROTOCOL)


class Row(msgspec.Struct, frozen=True):
    """One row of the table of profiles. `native`: the client understands our own events besides OpenAI's."""

    subprotocol: str
    native: bool


class Profile(enum.Enum):
    """The set of events that a client understands; the richest first, because the first one offered is taken."""

    NATIVE = Row("realtime.v1", native=True)
    PLAIN = Row("realtime", native=False)

    @property
    def native(self) -> bool:
        """See Row."""
        return self.value.native

    @classmethod
    def of(cls, subprotocol: str | None) -> Profile:
        """Return the profile of a selected sub-protocol: `PLAIN` for none, and for one that is not ours."""
        return next((profile for profile in cls if profile.value.subprotocol == subprotocol), cls.PLAIN)


SUBPROTOCOLS = tuple(profile.value.subprotocol for profile in Profile)


def select_subprotocol(offered: Sequence[str], spoken: Sequence[str] = SUBPROTOCOLS) -> str | None:
    """Return the sub-protocol to answer a handshake with; None for none.

    The first of ours wins. A foreign one is not spoken here and so not selected - except next to a key: a browser fails
    the handshake unless one of its offers is selected, and then the other offers are labels
    (`openai-organization.<id>`). The key itself is sent back only where it is the only offer. An unknown `realtime.*`
    is a version that this server lacks; selecting it would promise something that it can't do.
    """
    for name in spoken:
        if name in offered:
            return name
    keys = [offer for offer in offered if offer.startswith(_CREDENTIALS)]
    others = [offer for offer in offered if not offer.startswith(_CREDENTIALS)]
    labels = [offer for offer in others if not offer.startswith("realtime.")]
    if not keys or (others and not labels):
        return None
    return labels[0] if labels else keys[0]


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection. `max_in_flight` responses run at once; more wait in their lanes."""

    max_in_flight: int = 16
    max_streams: int = 32
    max_queued: int = 256
    max_queued_bytes: int = 32 * 2**20
    max_followed: int = 64
    max_unsent_control: int = 1000
    max_steers: int = 32  # that wait for one response
    max_pending: int = 256  # stops, resumes and renewals that are not completed
    heartbeat_seconds: float = 0.0  # between two heartbeats at first; 0: none
    # what `expires_at`, the transport and the codec see to
    lifetime_seconds: float = 3600.0
    max_message_bytes: int = 16 * 2**20
    message: codec.Limits = codec.Limits()

    @classmethod
    def of(cls, settings: ConnectionSettings) -> ConnectionLimits:
        """Return the limits of every connection of a server with these settings."""
        return cls(
            max_in_flight=settings.max_in_flight_per_connection,
            max_streams=settings.max_streams_per_connection,
            max_queued=settings.max_queued_per_connection,
            heartbeat_seconds=settings.heartbeat_seconds,
            lifetime_seconds=settings.connection_lifetime_seconds,
            max_message_bytes=settings.max_message_bytes,
            message=codec.Limits(max_depth=settings.max_json_depth, max_items=settings.max_input_items),
        )

    def for_client(self) -> events.SessionLimits:
        """Return the limits in the form of `session.created`."""
        return events.SessionLimits(
            max_message_bytes=self.max_message_bytes,
            max_in_flight=self.max_in_flight,
            max_streams=self.max_streams,
            lifetime_seconds=self.lifetime_seconds,
        )
