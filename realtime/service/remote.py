"""A response that runs on another node, as it is read here: a copy of its log, and its readers on this node.

Pure. The node that runs the response is told whether readers here follow or watch it. One follow from this node stands
for all of its followers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from realtime.context.turns import Turn
from realtime.runs.audience import Wake
from realtime.store.copied_log import CopiedLog
from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.response import Response

Attendance = Literal["follows", "watches", "left"]
"""What one node is to a response of another: it has a follower, or only such as look on, or nobody any more."""
Tell = Callable[[Attendance, bool], None]
"""Told what a node is from now on, and whether somebody has said that the response is to go on without him."""

_ITEM_DONE = b"response.output_item.done"
_SHOWS = frozenset({b"response.created", b"response.queued", b"response.in_progress"})


class _Done(msgspec.Struct):
    item: OutputItem


class _Shown(msgspec.Struct):
    response: Response


_decode_done = msgspec.json.Decoder(_Done).decode
_decode_shown = msgspec.json.Decoder(_Shown).decode


class RemoteAudience:
    """The readers on this node of a response elsewhere; see Audience. `tell` is called when what they are to it
    changes.
    """

    def __init__(self, tell: Tell) -> None:
        self.watchers: set[Wake] = set()
        self._viewers: set[Wake] = set()
        self._detached = False
        self._tell = tell

    @property
    def attendance(self) -> Attendance:
        """Return whether this node follows the response, watches it, or has left it."""
        if len(self.watchers) > len(self._viewers):
            return "follows"
        return "watches" if self.watchers else "left"

    def notify(self) -> None:
        """Tell the watchers that the log has grown."""
        for wake in self.watchers:
            wake()

    def look_on(self, wake: Wake) -> None:
        """See Audience."""
        if wake not in self.watchers:
            before = self.attendance
            self.watchers.add(wake)
            self._viewers.add(wake)
            self._changed(before)

    def follow(self, wake: Wake) -> None:
        """See Audience."""
        before = self.attendance
        self.watchers.add(wake)
        self._viewers.discard(wake)
        self._detached = False
        self._changed(before)

    def leave(self, wake: Wake, *, detached: bool) -> None:
        """See Audience."""
        before = self.attendance
        follows = wake in self.watchers and wake not in self._viewers
        self.watchers.discard(wake)
        self._viewers.discard(wake)
        self._detached = self._detached or (follows and detached)
        self._changed(before)
        if before == "left":
            self._tell(before, detached)  # it was never followed, and will not be

    def _changed(self, before: Attendance) -> None:
        if self.attendance != before:
            self._tell(self.attendance, self._detached)


class Remote:
    """A response on another node, as a `Source`. `turn`: set when the response was created here, is over and was kept.
    `grown_at`: as in a run.
    """

    def __init__(self, tenant: str, log: CopiedLog, shown: Response, tell: Tell) -> None:
        """shown: the response as it was last shown before the copy began."""
        self.tenant = tenant
        self.log = log
        self.audience = RemoteAudience(tell)
        self.turn: Turn | None = None
        self.grown_at = 0.0
        self.input: tuple[InputItem, ...] = ()
        self._shown = shown
        self._shown_at = -1  # the number of the event that showed it

    def moved(self, shown: Response) -> None:
        """Note that another node runs it, and how that shows it: with its recovery, if that is known."""
        self._shown, self._shown_at = shown, self.log.tip - 1

    @property
    def response_id(self) -> str:
        """See Source."""
        return self.log.response_id

    @property
    def over(self) -> bool:
        """See Source."""
        return self.log.sealed

    @property
    def failure(self) -> WireError | None:
        """See Run."""
        return self.log.failure

    @property
    def response(self) -> Response:
        """See Source."""
        log = self.log
        if log.failure is not None:
            return self._shown
        at = log.tip - 1 if log.sealed else -1
        if at < 0:
            first = max(log.floor, self._shown_at + 1)
            numbered = enumerate(log.read(first, 4), first) if first < 4 else ()
            at = max((number for number, entry in numbered if codec.type_of(entry) in _SHOWS), default=-1)
        if at > self._shown_at:
            self._shown = _decode_shown(log.read(at, 1)[0]).response
            self._shown_at = at
        return self._shown

    @property
    def output(self) -> list[OutputItem]:
        """See Source."""
        if self.log.sealed or self.log.failure is not None:
            return self.response.output
        entries = self.log.read(self.log.floor, self.log.tip)
        return [_decode_done(entry).item for entry in entries if codec.type_of(entry) == _ITEM_DONE]
