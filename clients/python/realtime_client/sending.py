"""Sending: the frames of the open responses that are due, derived from each one's state. Pure."""

from __future__ import annotations

import math

from . import frames
from .errors import RequestTooLarge
from .inputs import Inputs
from .lanes import Lanes
from .link import Link
from .track import Phase, Track
from .tracks import Tracks

_NOT_IN_A_LANE = frozenset({Phase.HELD, Phase.PAUSED, Phase.LEAVING})


class Sending:
    """The part of a session that writes frames of its responses."""

    def __init__(self, tracks: Tracks, lanes: Lanes, inputs: Inputs, link: Link) -> None:
        self._tracks = tracks
        self._lanes = lanes
        self._inputs = inputs
        self._link = link

    def frames(self, now: float) -> list[str]:
        """Drain what is due."""
        if now < self._tracks.due_at:
            return []
        self._tracks.due_at = math.inf
        return [frame for track in self._tracks for frame in self._due(track, now)]

    def _due(self, track: Track, now: float) -> list[str]:
        out = []
        waits = track.phase in (Phase.HELD, Phase.LOST) and track.patience.retry_at > now
        if waits:
            self._tracks.due_at = min(self._tracks.due_at, track.patience.retry_at)
        elif track.phase is Phase.HELD and not self._link.draining:
            out += self._create(track)
        elif track.phase is Phase.LOST:
            self._tracks.move(track, Phase.RESUMING)
            out.append(frames.resume(track))
        elif track.phase is Phase.LEAVING:  # a detach is only for what this very socket follows
            out += [frames.resume(track), *frames.parting(track)]
            self._tracks.end(track)
        if track.cancel_wanted and not track.cancel_sent and track.phase in (Phase.LIVE, Phase.RESUMING):
            track.cancel_sent = True
            out.append(frames.stop(track))
        elif track.acked is not None and not track.acked_sent and track.phase is Phase.LIVE:
            track.acked_sent = True
            out.append(frames.ask("ack", track, through=track.acked))
        return out

    def _create(self, track: Track) -> list[str]:
        busy = {t.lane for t in self._tracks if t.phase not in _NOT_IN_A_LANE}
        busy |= self._inputs.blocked_lanes()
        if track.lane is None:
            lane = self._lanes.choose(busy, track.previous_response_id, self._inputs.held_lanes())
            if lane is None:
                return []
            track.put_in_lane(lane)
        elif track.lane in busy:
            return []
        max_bytes = self._link.max_message_bytes
        if len(track.request.encode()) > max_bytes:
            self._tracks.fail(track, RequestTooLarge(f"the server takes at most {max_bytes} bytes"))
            return []
        self._tracks.move(track, Phase.CREATING)
        return [track.request]
