"""Who follows a response, and what becomes of it when nobody does any more (docs/protocol.md, `on_disconnect`).

A response that is followed is never cancelled for loneliness; one that its last follower left on purpose goes on.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from realtime.settings.fields import ResponseSettings
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import OnDisconnect, ResponseCreate

from .endings import Cancelled

DISCONNECTED = "client_disconnected"  # the reason when nobody followed a response any more

Wake = Callable[[], None]  # called when a followed log has grown; must not block


class Followed(ABC):
    """The base of a run, whose `over` and `cancel` are its own."""

    def __init__(self, on_disconnect: OnDisconnect) -> None:
        self.on_disconnect = on_disconnect
        self.watchers: set[Wake] = set()
        self.lonely: asyncio.TimerHandle | None = None  # cancels a response that nobody follows
        self.detached = False  # a client said that it is to go on without a reader

    @property
    @abstractmethod
    def over(self) -> bool:
        """The terminal event is in the log."""

    @abstractmethod
    def cancel(self, cancelled: Cancelled) -> None:
        """Ask for the end."""

    def notify(self) -> None:
        """Tell the watchers that the log has grown."""
        for wake in self.watchers:
            wake()

    def follow(self, wake: Wake) -> None:
        """One more. From now on the policy holds for this one."""
        self.watchers.add(wake)
        self.detached = False
        self.stop_waiting()

    def leave(self, wake: Wake, *, detached: bool) -> None:
        """One less. `detached`: it left on purpose and wants the response to go on."""
        self.watchers.discard(wake)
        self.detached = self.detached or detached
        if self.watchers or self.over or self.detached:
            return
        match self.on_disconnect.policy:
            case "cancel":
                self.cancel(Cancelled(DISCONNECTED))
            case "linger":
                delay = self.on_disconnect.seconds or 0.0
                self.lonely = asyncio.get_running_loop().call_later(delay, self.cancel, Cancelled(DISCONNECTED))
            case "continue":
                pass

    def stop_waiting(self) -> None:
        """Nobody is waited for: somebody came, or it is over."""
        if self.lonely is not None:
            self.lonely.cancel()
            self.lonely = None


def policy_of(request: ResponseCreate, settings: ResponseSettings, *, native: bool) -> OnDisconnect:
    """What the request asks for, else what its kind of client gets. Raises WireError."""
    if request.background:
        return OnDisconnect(policy="continue")
    policy = request.on_disconnect or OnDisconnect(policy="linger" if native else "cancel")
    if policy.policy != "linger":
        return policy
    longest = settings.max_linger_seconds
    seconds = settings.linger_seconds if policy.seconds is None else policy.seconds
    if seconds > longest:
        text = f"`on_disconnect.seconds` is {seconds:g}; this server allows at most {longest:g}."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="on_disconnect.seconds")
    return OnDisconnect(policy="linger", seconds=seconds)
