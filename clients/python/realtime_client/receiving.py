"""Receiving: takes in the server's events, of followed responses and of the connection. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from . import frames
from .cuts import Cuts
from .errors import AlreadyFollowed, ProtocolError, ServerError
from .inputs import Inputs
from .lanes import Lanes
from .link import Link
from .liveness import Liveness
from .policy import Policy
from .track import Event, Phase, Track, Verdict
from .tracks import Tracks

_MAX_GAPS = 3  # resumes in a row that brought nothing: the server's numbers are broken, not the network
_GOING_DOWN = frozenset({"server_draining", "websocket_connection_limit_reached"})  # this socket starts nothing more


class Parts(NamedTuple):
    """The parts of a session."""

    policy: Policy
    rng: random.Random
    lanes: Lanes
    inputs: Inputs
    cuts: Cuts
    liveness: Liveness
    link: Link
    tracks: Tracks
    outbox: list[str]


class Receiving:
    """The part of a session that receives. `detach` and `leave` are the session's."""

    def __init__(self, parts: Parts, detach: Callable[[Track], None], leave: Callable[[Track], None]) -> None:
        self._policy, self._rng, self._lanes, self._inputs, self._cuts = parts[:5]
        self._liveness, self._link, self._tracks, self._outbox = parts[5:]
        self._detach = detach
        self._leave = leave

    def take(self, event: Event, kind: str, num_bytes: int, now: float) -> None:
        """Take one event. Raises ProtocolError when a server of this protocol can't have sent it."""
        self._liveness.heard(now)
        if "response_id" in event and not kind.startswith("response.inject."):  # the connection's, in spite of its id
            self._response_event(event, num_bytes)
        elif (handler := self._CONNECTION_EVENTS.get(kind)) is not None:
            handler(self, event, now)  # any other is news of a later version: ignored

    # -- events of a response

    def _response_event(self, event: Event, num_bytes: int) -> None:
        track = self._tracks.of_id(event["response_id"])
        if event["type"] == "response.created" and (track is None or track.next_number > 0):
            track = self._confirm(event) or track
        if track is not None and track.phase is Phase.LIVE:  # else detached, or from before an expected `resumed`
            self._deliver(track, event, num_bytes)

    def _confirm(self, event: Event) -> Track | None:
        """Confirm a response that is not known yet: a successor, or the one that is being created in its lane."""
        lane, response_id = event.get("stream_id"), event["response_id"]
        if (parent := self._steered(event)) is not None:
            return self._succeed(parent, event)
        creating = (t for t in self._tracks if t.phase is Phase.CREATING and t.lane == lane)
        track = next(creating, None)
        if track is None:
            return None
        if self._tracks.of_id(response_id) is not None:  # its request_id belongs to a response that we follow
            self._tracks.fail(track, AlreadyFollowed(f"this client follows response {response_id!r} already"))
            return None
        track.epoch = event.get("epoch")
        self._tracks.identify(track, response_id)
        self._lanes.used(lane, response_id)
        self._inputs.continued(lane, track.previous_response_id)
        self._tracks.move(track, Phase.LIVE)
        track.confirmed = True
        if track.abandoned:
            self._detach(track)
        return track

    def _steered(self, event: Event) -> Track | None:
        """Return the response that was steered, if this is the first event of its successor."""
        parent_id = (event.get("response") or {}).get("previous_response_id")
        return self._inputs.parent(parent_id, event.get("stream_id"))

    def _succeed(self, parent: Track, event: Event) -> Track:
        track = self._tracks.new(Phase.LIVE)
        track.response_id, track.epoch, track.lane = event["response_id"], event.get("epoch"), parent.lane
        track.previous_response_id = parent.response_id
        track.confirmed = True
        parent.successor = track
        self._inputs.succeeded(parent, track)
        self._lanes.used(track.lane, event["response_id"])
        self._tracks.open(track)
        if parent.abandoned:
            self._leave(track)
        elif parent.dropped:
            self._detach(track)
        return track

    def _deliver(self, track: Track, event: Event, num_bytes: int) -> None:
        match track.accept(event, num_bytes):
            case Verdict.DUPLICATE:
                pass
            case Verdict.GAP:
                track.num_gaps += 1
                if track.num_gaps > _MAX_GAPS:
                    self._outbox.append(frames.detach(track))
                    self._tracks.fail(
                        track, ProtocolError(f"event {track.next_number} of {track.response_id} never comes")
                    )
                else:
                    self._tracks.move(track, Phase.LOST)
            case Verdict.NEXT:
                self._link.settle()
                self._tracks.changed.add(track)
                if track.terminal is not None:
                    self._tracks.end(track)
                elif track.num_bytes > self._policy.max_buffer_bytes and not self._ends_soon(track):
                    self._outbox.append(frames.detach(track))
                    track.acked_sent = False
                    self._tracks.move(track, Phase.PAUSED)

    @staticmethod
    def _ends_soon(track: Track) -> bool:
        """Return whether little comes before the end. Leaving a response that was steered would undo the steer."""
        return track.cancel_wanted or track.awaits_successor

    # -- events of the connection

    def _session_created(self, event: Event, now: float) -> None:
        limits = (event.get("session") or {}).get("limits") or {}
        self._link.max_message_bytes = limits.get("max_message_bytes") or math.inf

    def _session_draining(self, event: Event, now: float) -> None:
        """Send no creates from here on; running responses continue. The server will close this socket, and the next one
        is good.
        """
        self._link.drains(event.get("resume_after_seconds"))

    def _resumed(self, event: Event, now: float) -> None:
        resumed = event["resumed"]
        track = self._tracks.of_id(resumed["response_id"])
        if track is not None:
            track.epoch = resumed["epoch"]  # also unasked: another node goes on with it in another epoch
        if track is not None and track.phase is Phase.RESUMING:
            track.confirmed = True
            self._link.settle()
            self._tracks.move(track, Phase.LIVE)

    def _refused(self, event: Event, now: float) -> None:
        error = ServerError.of(event)
        asked, _, serial = str(event.get("event_id") or "").partition(".")
        track = self._tracks.of_serial(serial)
        if error.code in _GOING_DOWN:
            self._link.drains()
        match asked, track:
            case "create", Track(phase=Phase.CREATING):
                self._refuse(track, Phase.HELD, error, now)
            case "resume", Track(phase=Phase.RESUMING):
                self._refuse(track, Phase.LOST, error, now)
            case "cancel" | "interrupt", Track() if error.code != "response_already_completed":
                track.cancel_wanted = track.cancel_sent = False
                track.cancel_refusal = error
                self._tracks.changed.add(track)
            case "steer" | "inject", _:
                self._inputs.refused(event["event_id"], error)
            case "truncate", _:
                self._cuts.refused(event["event_id"], error)
            case "update", _:
                self._liveness.refused(event["event_id"], error)
            case "", _:
                self._left(event, error, now)
            case _:
                pass  # it answers something that nobody waits for any more

    def _left(self, event: Event, error: ServerError, now: float) -> None:
        """Take an error that answers nothing: the server sends no more of the response that it names."""
        is_slow, named = error.code == "slow_reader", (event.get("error") or {}).get("response_id")
        if named is None and is_slow:  # an older server does not say which
            for live in [t for t in self._tracks if t.phase is Phase.LIVE]:
                self._tracks.move(live, Phase.LOST)
            return
        track = self._tracks.of_id(named) if named is not None else None
        if track is None or track.phase is not Phase.LIVE:
            return
        if is_slow:
            self._tracks.move(track, Phase.LOST)
        else:
            self._refuse(track, Phase.LOST, error, now)

    def _news_of_input(self, event: Event, now: float) -> None:
        tell = {
            "response.steer.accepted": self._inputs.accepted,
            "response.steer.pending": self._inputs.pending,
            "response.steer.failed": self._inputs.steer_failed,
            "response.inject.created": self._inputs.injected,
            "response.inject.failed": self._inputs.inject_failed,
        }[event["type"]]
        tell(event)
        self._tracks.due_at = 0.0  # a lane may be free now

    _CONNECTION_EVENTS: Mapping[str, Callable[[Receiving, Event, float], None]] = {
        "response.steer.accepted": _news_of_input,
        "response.steer.pending": _news_of_input,
        "response.steer.failed": _news_of_input,
        "response.inject.created": _news_of_input,
        "response.inject.failed": _news_of_input,
        "session.heartbeat": lambda self, event, now: self._liveness.beat(event),
        "session.updated": lambda self, event, now: self._liveness.updated(event),
        "session.created": _session_created,
        "session.draining": _session_draining,
        "response.resumed": _resumed,
        "response.truncated": lambda self, event, now: self._cuts.answered(event),
        "error": _refused,
    }

    def _refuse(self, track: Track, phase: Phase, error: ServerError, now: float) -> None:
        """Retry later if that can help and somebody still waits; otherwise raise the error to the caller."""
        track.patience.last_until(self._link.patient_until)
        in_time = track.patience.failed(now, error.retry_after, self._policy, self._rng)
        is_gone = phase is Phase.LOST and error.code == "server_restarted"  # a create may be sent again
        if not error.retry or is_gone or not in_time or track.abandoned:
            self._tracks.fail(track, error)
        else:
            self._tracks.move(track, phase)
