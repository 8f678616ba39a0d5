"""The link: the socket as the session knows it: open or not, when to open another, how long that may take. Pure."""

from __future__ import annotations

import math
import random
from typing import Literal

from .errors import ConnectionLost, ProtocolError
from .patience import Patience
from .policy import Policy

ConnectionState = Literal["idle", "connecting", "open", "reconnecting", "closed"]
_MAX_DOUBLINGS = 2  # of the time that an attempt may take
_MAX_RESUME_AFTER_SECONDS = 3600.0  # a server that needs longer is not waited for


class Link:
    """The state of the socket. `draining`: this socket accepts no creates any more."""

    def __init__(self, policy: Policy, rng: random.Random) -> None:
        self.connected = False
        self.draining = False
        self.max_message_bytes: float = math.inf
        self.dial_until = math.inf  # the attempt to open a socket is given up then
        self._policy = policy
        self._rng = rng
        self._num_overdue = 0  # attempts in a row that took too long
        self._patience = Patience()
        self._was_open = False
        self._resume_after = 0.0  # the server that is going down needs so long to come back
        self.patient_until = 0.0  # nothing is given up before: a server that was to be waited for may not be ready yet

    @property
    def connect_at(self) -> float:
        """Return when to open a socket, if one is needed."""
        return self._patience.retry_at

    def state(self, is_wanted: bool) -> ConnectionState:
        """Return the state for a banner, of a client that is not closed. `is_wanted`: something needs a socket."""
        if self.connected:
            return "open"
        if not is_wanted and self.dial_until == math.inf:
            return "idle"
        return "reconnecting" if self._was_open else "connecting"

    def connecting(self, now: float) -> None:
        """Note that an attempt begins. After one that took too long it has twice the time: whoever is slow gets through
        at last, this process or the server.
        """
        self.dial_until = now + self._policy.connect_timeout_seconds * 2 ** min(self._num_overdue, _MAX_DOUBLINGS)

    def opened(self) -> None:
        """Note that the attempt succeeded."""
        self.connected = self._was_open = True
        self.draining = False
        self.dial_until = math.inf
        self._num_overdue = 0

    def drains(self, resume_after_seconds: object = None) -> None:
        """Note that the server closes this socket soon. It may say how long it will be away then."""
        self.draining = True
        if isinstance(resume_after_seconds, int | float) and 0 < resume_after_seconds < math.inf:
            self._resume_after = min(float(resume_after_seconds), _MAX_RESUME_AFTER_SECONDS)

    def gone(self, now: float) -> None:
        """Note that the socket is gone, or could not be opened."""
        self.connected = False
        self._num_overdue += now >= self.dial_until
        self.dial_until = math.inf

    def lost(self, why: ConnectionLost | ProtocolError, now: float) -> bool:
        """Set `connect_at`. Return whether another attempt is worthwhile."""
        if self._resume_after:
            self.patient_until = now + 2 * self._resume_after
            self._patience.last_until(self.patient_until)
            self._resume_after = 0.0
        retry_after = why.retry_after if isinstance(why, ConnectionLost) else None
        in_time = self._patience.failed(now, retry_after, self._policy, self._rng)
        return isinstance(why, ConnectionLost) and why.retry and in_time

    def settle(self) -> None:
        """Note that all is well, or nothing depends on it: the next failure is counted as the first."""
        self._patience.progress()
