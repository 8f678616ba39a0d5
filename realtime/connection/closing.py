"""The end of one connection: why it takes no new work, when it has nothing left to deliver, how its socket is closed.
Pure.

A connection whose server drains takes no new work, delivers what runs, and closes; so does one that is too old, from
its next create on. One whose credential was revoked closes at once, as one does whose `Outbox` has overflowed.
"""

from __future__ import annotations

from functools import partial

from msgspec import UNSET

from realtime.wire import events
from realtime.wire.errors import CloseCode, draining

from . import refusals
from .creates import Creates
from .outbox import Outbox
from .pending import PendingCommands
from .profiles import ConnectionLimits
from .readers import Readers


class Closing:
    """The end of one connection. `decided`: the code and the reason to close with, once there are any."""

    __slots__ = ("_control", "_creates", "_expires_at", "_lifetime_seconds", "_pending", "_readers", "decided")

    def __init__(
        self,
        limits: ConnectionLimits,
        control: Outbox,
        pending: PendingCommands,
        readers: Readers,
        creates: Creates,
        *,
        expires_at: float,
    ) -> None:
        """expires_at: when creates begin to be refused."""
        self.decided: tuple[CloseCode, str] | None = None
        self._lifetime_seconds = limits.lifetime_seconds
        self._expires_at = expires_at
        self._control = control
        self._pending = pending
        self._readers = readers
        self._creates = creates

    def check_open(self, now: float) -> None:
        """Check that new work is still taken. Raises WireError."""
        creates = self._creates
        if now >= self._expires_at and creates.ending is None:
            creates.ending = partial(refusals.expired, self._lifetime_seconds)
        if creates.ending is not None:
            raise creates.ending()

    def drain(self, grace_seconds: float, resume_after_seconds: float | None, *, native: bool) -> None:
        """Refuse creates from now on, and tell a native client."""
        if native:
            after = round(resume_after_seconds or 0.0, 1) or UNSET  # less is too short
            self._control.put(events.SessionDraining(grace_seconds=grace_seconds, resume_after_seconds=after))
        self._creates.end(draining)
        self.close_if_done()

    def revoke(self, *, by_ticket: bool) -> None:
        """Close, because the credential is no longer valid."""
        error = refusals.credential_gone(by_ticket=by_ticket)
        self._control.refuse(error, None, None)
        self.decided = (CloseCode.INVALID_KEY, error.spec.code)

    def close_if_done(self) -> None:
        """Close if no new work is taken, and nothing is left of what was."""
        ending = self._creates.ending
        if ending is not None and self.decided is None and self.idle:
            self.decided = (CloseCode.RESTART, ending().spec.code)

    @property
    def idle(self) -> bool:
        """Return whether nothing is followed, nothing waits, and no command is pending."""
        return not self._readers and not self._creates.lanes.num_queued and not self._pending
