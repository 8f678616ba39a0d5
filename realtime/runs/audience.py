"""The followers of a response, and its fate when the last one is gone (docs/protocol.md, `on_disconnect`). Pure.

A response with a follower is never cancelled for lack of readers. A response whose last follower left on purpose
continues.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from realtime.settings.fields import ResponseSettings
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import OnDisconnect, ResponseCreate

from .endings import Cancelled

DISCONNECTED = "client_disconnected"  # the reason when nobody followed a response any more
#: For which clients that a server has sent away are waited for at least: ten times as long as ours try to come back by
#: default. A slow one has needed four minutes; one that never comes must not keep an engine busy without end.
RETURN_SECONDS = 600.0

Wake = Callable[[], None]  # called when a followed log has grown; must not block


class Timer(Protocol):
    """A scheduled call. asyncio's TimerHandle is one."""

    def cancel(self) -> None:
        """Cancel the call."""


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Makes a call after so many seconds; as the event loop's `call_later`."""


class Absence(Enum):
    """The reason why nobody follows a response that has just continued after its process."""

    GONE = "gone"  # the connection was lost, here or with the process
    SENT_AWAY = "sent_away"  # the process went down in order
    WANTED = "wanted"  # the last one left on purpose


class Audience:
    """The followers of one response. `cancel` ends the response. It is called at most once each time that the last
    follower leaves, and not after `close`.
    """

    def __init__(
        self, policy: OnDisconnect, cancel: Callable[[Cancelled], None], call_later: CallLater,
        absence: Absence | None = None,
    ) -> None:  # fmt: skip
        """absence: of a response that continues."""
        self.policy = policy
        self.watchers: set[Wake] = set()
        self._viewers: set[Wake] = set()  # of these, those who only look on
        self.lonely: Timer | None = None  # cancels a response that nobody follows
        self._absence = absence  # until somebody follows
        # The last one to say anything about it said that it is to go on without a reader.
        self._detached = absence is Absence.WANTED
        self._cancel: Callable[[Cancelled], None] | None = cancel  # None: the response is over
        self._call_later = call_later

    def notify(self) -> None:
        """Tell the watchers that the log has grown."""
        for wake in self.watchers:
            wake()

    def look_on(self, wake: Wake) -> None:
        """Add a watcher without an effect: it keeps nothing alive, and nothing happens when it leaves."""
        if wake not in self.watchers:
            self.watchers.add(wake)
            self._viewers.add(wake)

    def follow(self, wake: Wake) -> None:
        """Add a watcher. From now on its disconnect policy is in force."""
        self.watchers.add(wake)
        self._viewers.discard(wake)
        self._detached, self._absence = False, None
        self._stop_waiting()

    def leave(self, wake: Wake, *, detached: bool) -> None:
        """Remove a watcher. `detached`: it left on purpose and wants the response to continue."""
        self.watchers.discard(wake)
        if wake in self._viewers:
            self._viewers.discard(wake)
            return
        self._detached = self._detached or detached
        if self._followed or self._cancel is None or self._detached:
            return
        match self.policy.policy:
            case "cancel":
                self._give_up()
            case "linger" if self.lonely is None:
                self.lonely = self._call_later(self.policy.seconds or 0.0, self._give_up)
            case _:
                pass

    def expect(self) -> None:
        """Begin to wait for followers, if none has come since the response has continued."""
        if self._absence is None or self._detached or self._cancel is None:
            return
        if self.policy.policy == "linger" and self.lonely is None:
            least = RETURN_SECONDS if self._absence is Absence.SENT_AWAY else 0.0
            self.lonely = self._call_later(max(self.policy.seconds or 0.0, least), self._give_up)

    def close(self) -> None:
        """Stop waiting for followers: the response is over."""
        self._cancel = None
        self._stop_waiting()

    @property
    def absence(self) -> Absence:
        """Return why nobody will follow the response when it continues elsewhere, if this process goes down now."""
        if self._detached:
            return Absence.WANTED
        if self._absence is not None:
            return self._absence
        return Absence.GONE if self.lonely is not None else Absence.SENT_AWAY

    @property
    def _followed(self) -> bool:
        return len(self.watchers) > len(self._viewers)

    def _give_up(self) -> None:
        if self._cancel is not None:
            self._cancel(Cancelled(DISCONNECTED))

    def _stop_waiting(self) -> None:
        if self.lonely is not None:
            self.lonely.cancel()
            self.lonely = None


def disconnect_policy(request: ResponseCreate, settings: ResponseSettings, *, native: bool) -> OnDisconnect:
    """Return the policy that the request names, else the default of its kind of client. Raises WireError."""
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
