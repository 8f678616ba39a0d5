"""The policy of a client: how patient it is and how much it holds. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The policy of a client. `max_retry_seconds`: how long to keep trying without any progress, both to connect and to
    have a request accepted that the server refused for now; at least twice what a restarting server says that it needs.
    `connect_timeout_seconds`: how long an attempt to open a socket may take; up to four times that after attempts that
    took too long. `request_timeout_seconds`: how long one attempt of a request over HTTP may take, its answer included.
    `max_buffer_bytes`: how much one unread response may hold here before it is detached at the server and fetched
    later. `num_lanes`: how many creates run at once; more wait here. `heartbeat_seconds` (at least 1): the interval of
    heartbeats to ask the server for; after `max_missed_heartbeats` of silence the socket is given up, and running
    responses are resumed on another. None: the operator's setting, and pings alone.
    """

    initial_delay_seconds: float = 0.25
    max_delay_seconds: float = 10.0
    max_retry_seconds: float = 60.0
    connect_timeout_seconds: float = 5.0
    request_timeout_seconds: float = 120.0
    max_buffer_bytes: int = 2**20
    num_lanes: int = 16
    heartbeat_seconds: float | None = None
    max_missed_heartbeats: int = 3

    def __post_init__(self) -> None:
        if self.heartbeat_seconds is not None and 0 < self.heartbeat_seconds < 1:
            raise ValueError("heartbeat_seconds must be 0, which is never, or at least 1")
        if not self.connect_timeout_seconds > 0:
            raise ValueError("connect_timeout_seconds must be more than 0")
        if not self.request_timeout_seconds > 0:
            raise ValueError("request_timeout_seconds must be more than 0")
        if self.max_missed_heartbeats < 1:
            raise ValueError("max_missed_heartbeats must be at least 1")

    def delay_seconds(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """Return the pause before attempt number `attempt` (from 0). It is jittered, so that a crowd does not come back
        at once, and never shorter than what the server asked for.
        """
        backoff = min(self.max_delay_seconds, self.initial_delay_seconds * 2.0 ** min(attempt, 32))
        return (retry_after or 0.0) + backoff * rng.uniform(0.5, 1.0)
