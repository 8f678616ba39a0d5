"""Truncations without an answer: sent again on each socket until they have one. Repeating one changes nothing more.
Pure.

Like a cancel, a truncation goes to a response that this client follows, or that is over.
"""

from __future__ import annotations

import json
from typing import Any

from .errors import ClientClosed, RealtimeError
from .track import Event, FinalResponse, Phase, Track

_SENDABLE = frozenset({Phase.LIVE, Phase.RESUMING, Phase.LEAVING, Phase.OVER})


class Cut:
    """One `response.truncate`. `final` is the answer: the response as it is kept from then on."""

    def __init__(self, track: Track, members: dict[str, Any], event_id: str) -> None:
        self.track = track
        self.members = members
        self.event_id = event_id
        self.is_sent = False
        self.final: FinalResponse | None = None
        self.error: RealtimeError | None = None

    @property
    def is_answered(self) -> bool:
        """Return whether the answer was cut, or that was refused."""
        return self.final is not None or self.error is not None


class Cuts:
    """The cuts of one client."""

    def __init__(self) -> None:
        self.changed: set[Cut] = set()
        self._open: list[Cut] = []  # in the order of asking
        self._num_asked = 0

    def ask(self, track: Track, members: dict[str, Any]) -> Cut:
        """Cut the answer of a response."""
        cut = Cut(track, members, f"truncate.{self._num_asked}")
        self._num_asked += 1
        self._open.append(cut)
        return cut

    @property
    def is_waiting(self) -> bool:
        """Return whether somebody waits for an answer."""
        return bool(self._open)

    def frames(self) -> list[str]:
        """Return the frames that can be sent now."""
        out = []
        for cut in self._open:
            if not cut.is_sent and cut.track.phase in _SENDABLE:
                cut.is_sent = True
                named = {"event_id": cut.event_id, "response_id": cut.track.response_id}
                out.append(json.dumps({"type": "response.truncate", **named, **cut.members}))
        return out

    def answered(self, event: Event) -> None:
        """Take `response.truncated`. One that answers a cancel is ignored here."""
        for cut in [one for one in self._open if one.event_id == event.get("event_id")]:
            cut.final = cut.track.final = FinalResponse(event.get("response") or {})
            self._end(cut)

    def refused(self, event_id: str, error: RealtimeError) -> None:
        """Take an `error` that answers one."""
        for cut in [one for one in self._open if one.event_id == event_id]:
            cut.error = error
            self._end(cut)

    def disconnected(self) -> None:
        """Note that the socket is gone: truncations without an answer are sent again."""
        for cut in self._open:
            cut.is_sent = False

    def close(self, error: RealtimeError | None = None) -> None:
        """Give up: there will be no answer."""
        for cut in list(self._open):
            cut.error = error or ClientClosed("the client was closed")
            self._end(cut)

    def _end(self, cut: Cut) -> None:
        self._open.remove(cut)
        self.changed.add(cut)
