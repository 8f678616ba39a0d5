"""The session of one connection: its credential, its heartbeats, and how its readers catch up. Pure.

`Connection` reports the `session.update`s, the keys that were identified, and the time. A session dies with its
connection.
"""

from __future__ import annotations

from realtime.wire import events
from realtime.wire.bodies import TicketRole
from realtime.wire.requests import CatchUp, SessionUpdate

from . import refusals
from .commands import Identify
from .heartbeats import Heartbeats, check_interval
from .outbox import Outbox
from .pending import PendingCommands


class Session:
    """The settings and the credential of one connection. `role`: of the ticket that it was opened with, until a key
    replaces that. `catch_up`: for creates and resumes that do not say it themselves.
    """

    __slots__ = ("_control", "_pending", "_tenant", "catch_up", "heartbeats", "role")

    def __init__(
        self,
        heartbeats: Heartbeats,
        control: Outbox,
        pending: PendingCommands,
        *,
        tenant: str,
        role: TicketRole | None,
    ) -> None:
        """control: where answers go. tenant: the only one whose keys are accepted."""
        self.role = role
        self.catch_up: CatchUp = "events"
        self.heartbeats = heartbeats
        self._control = control
        self._pending = pending
        self._tenant = tenant

    def greet(self, session: events.Session, now: float) -> None:
        """Send the client its session, and heartbeats from now on."""
        self._control.put(events.SessionCreated(session=session))
        self.heartbeats.schedule(now)

    def update(self, event: SessionUpdate, now: float) -> None:
        """Change the settings, at once or with a key that is to be identified first. Raises WireError."""
        check_interval(event.heartbeat_seconds)
        if event.api_key is not None:
            self._pending.ask(Identify(event.api_key, event.heartbeat_seconds, event.event_id, event.catch_up))
        else:
            self._change(event, now)

    def identified(self, command: Identify, tenant: str | None, now: float) -> bool:
        """Take the key as the credential if it is one of the connection's tenant. Return whether it is."""
        if tenant != self._tenant:
            self._control.refuse(refusals.not_the_owner(), None, command.event_id)
            return False
        self.role = None  # it is the owner of the key from now on
        self._change(command, now)
        return True

    def beat(self, heartbeat: events.Heartbeat) -> None:
        """Send the client a heartbeat, unless it has not read the previous one."""
        if not self._control.waiting:
            self._control.put(events.SessionHeartbeat(heartbeat=heartbeat))

    def _change(self, wish: SessionUpdate | Identify, now: float) -> None:
        """Change the settings (None: unchanged), and report them."""
        if wish.heartbeat_seconds is not None:
            self.heartbeats.seconds = wish.heartbeat_seconds
            self.heartbeats.schedule(now)
        state = events.SessionState(heartbeat_seconds=self.heartbeats.seconds)
        if wish.catch_up is not None:
            self.catch_up = state.catch_up = wish.catch_up
        self._control.put(events.SessionUpdated(session=state))
