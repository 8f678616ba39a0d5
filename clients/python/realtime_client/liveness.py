"""The liveness of a connection: `session.update`, heartbeats, and how long silence is acceptable. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from .errors import ClientClosed, RealtimeError
from .policy import Policy
from .track import Event


class Update:
    """One `session.update`. `state` is the answer. It is sent again on the next socket until it has one."""

    def __init__(self, members: dict[str, Any], event_id: str) -> None:
        self.members = members
        self.event_id = event_id
        self.is_sent = False
        self.state: dict[str, Any] | None = None
        self.error: RealtimeError | None = None

    @property
    def is_answered(self) -> bool:
        """Return whether it is in force, or was refused."""
        return self.state is not None or self.error is not None


class Liveness:
    """The liveness of one connection. A socket on which the server has promised heartbeats is dead when it is silent
    for several of them.
    """

    def __init__(self, policy: Policy) -> None:
        self.changed: set[Update] = set()
        self.heartbeat: dict[str, Any] | None = None  # the newest
        self._wanted_seconds = policy.heartbeat_seconds
        self._max_missed = policy.max_missed_heartbeats
        self._seconds = 0.0  # between two heartbeats, as the server has confirmed; 0: none
        self._heard_at = 0.0
        self._updates: list[Update] = []  # without an answer, in the order of sending
        self._own: Update | None = None  # the one that nobody asked for: each socket has another
        self._num_updates = 0

    def update(self, members: dict[str, Any]) -> Update:
        """Change the settings of the connection."""
        update = Update(members, f"update.{self._num_updates}")
        self._num_updates += 1
        self._updates.append(update)
        return update

    @property
    def is_waiting(self) -> bool:
        """Return whether somebody waits for an answer."""
        return bool(self._updates)

    def connected(self, now: float) -> None:
        """Note a new socket, which knows nothing."""
        self._heard_at = now
        if self._wanted_seconds is not None:
            self._own = self.update({"heartbeat_seconds": self._wanted_seconds})
            self._updates.insert(0, self._updates.pop())  # what a caller wants is newer

    def disconnected(self) -> None:
        """Prepare to send again what has no answer. Our own request for heartbeats belongs to the socket."""
        self._seconds = 0.0
        for update in self._updates:
            update.is_sent = False
        self._updates = [update for update in self._updates if update is not self._own]

    def frames(self) -> list[str]:
        """Return the frames to send."""
        out = []
        for update in self._updates:
            if not update.is_sent:
                update.is_sent = True
                out.append(json.dumps({"type": "session.update", "event_id": update.event_id, **update.members}))
        return out

    def heard(self, now: float) -> None:
        """Note a message: any message is a sign of life."""
        self._heard_at = now

    def beat(self, event: Event) -> None:
        """Take `session.heartbeat`."""
        self.heartbeat = event.get("heartbeat")

    def updated(self, event: Event) -> None:
        """Take `session.updated`, which answers the oldest update."""
        update = next((u for u in self._updates if u.is_sent), None)
        state = event.get("session") or {}
        self._seconds = float(state.get("heartbeat_seconds") or 0.0)
        if update is not None:
            self._wanted_seconds = update.members.get("heartbeat_seconds", self._wanted_seconds)
            update.state = state
            self._end(update)

    def refused(self, event_id: str, error: RealtimeError) -> None:
        """Take an `error` that answers one."""
        for update in [u for u in self._updates if u.event_id == event_id]:
            update.error = error
            self._end(update)

    def close(self, error: RealtimeError | None = None) -> None:
        """Give up: there will be no answer."""
        for update in list(self._updates):
            update.error = error or ClientClosed("the client was closed")
            self._end(update)

    @property
    def dead_at(self) -> float:
        """Return when the silence has become too long."""
        return self._heard_at + self._max_missed * self._seconds if self._seconds else math.inf

    def _end(self, update: Update) -> None:
        self._updates.remove(update)
        self.changed.add(update)
