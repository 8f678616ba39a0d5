"""What a client does, without any I/O: the state of all its responses, whatever happens to the socket. Pure.

The shell reports (`connecting`, `connected`, `disconnected`, `receive`), passes on what the caller wants (`create`,
`resume`, `cancel`, `give`, `detach`, `take`) and then drains: `frames` to send, what has `changed` to wake, when to
come back (`connect_at`, `dial_until`, `due_at`), `is_silent` for a socket that is dead. Frames are not queued but
derived from where each track is, so nothing is ever lost with a socket: what was not confirmed is still to be done.
`now` is any monotonic clock in seconds.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from . import frames
from .cuts import Cut, Cuts
from .errors import (
    AlreadyFollowed,
    ClientClosed,
    ConnectionLost,
    Detached,
    EventNotReceived,
    ProtocolError,
    RealtimeError,
    ServerError,
)
from .inputs import Inputs, Kind, Steer
from .lanes import Lanes, lane_of_request
from .link import ConnectionState, Link
from .liveness import Liveness, Update
from .policy import Policy
from .sending import Sending
from .track import Event, Phase, Track, Verdict
from .tracks import Tracks

_MAX_GAPS = 3  # resumes in a row that brought nothing: the server's numbers are broken, not the network
_GOING_DOWN = frozenset({"server_draining", "websocket_connection_limit_reached"})  # this socket starts nothing more


class Session:
    """See the module. `name` must be unique among clients: it keeps lanes and request ids apart."""

    def __init__(self, policy: Policy, name: str, rng: random.Random) -> None:
        self.dropped: deque[Track] = deque()  # handles that were garbage-collected; safe to append from anywhere
        self._policy = policy
        self._name = name
        self._rng = rng
        self._lanes = Lanes(name, policy.num_lanes)
        self._inputs = Inputs()
        self._cuts = Cuts()
        self._liveness = Liveness(policy)
        self._link = Link(policy, rng)
        self._tracks = Tracks(self._inputs)
        self._sending = Sending(self._tracks, self._lanes, self._inputs, self._link)
        self._outbox: list[str] = []
        self._closed: RealtimeError | None = None  # why nothing is sent any more

    # -- what the caller wants

    def create(self, body: Mapping[str, Any]) -> Track:
        """Start a response. It is sent when there is a connection and its lane is free."""
        track = self._tracks.new(Phase.HELD)
        track.named = body.get("request_id") is not None
        track.request_id = body["request_id"] if track.named else f"{self._name}-{track.serial}"
        if any(other.request_id == track.request_id for other in self._tracks):
            raise AlreadyFollowed(f"a response with request_id {track.request_id!r} is open on this client")
        track.catch_up = body.get("catch_up") or track.catch_up
        track.request = frames.create(track, body)
        track.lane = body.get("stream_id")
        if track.named and track.lane is None:  # the same body from every process: so no lane name of this client's
            track.put_in_lane(lane_of_request(body["request_id"]))
        track.previous_response_id = body.get("previous_response_id")
        return self._tracks.open(track)

    def resume(self, response_id: str, starting_after: int, epoch: str | None) -> Track:
        """Follow a response from after this number (-1: from its first event)."""
        if self._tracks.of_id(response_id) is not None:
            raise AlreadyFollowed(f"this client follows response {response_id!r} already")
        track = self._tracks.new(Phase.LOST)
        track.named = True  # others know it: a caller who stops waiting must not stop it
        track.response_id, track.epoch, track.next_number = response_id, epoch, starting_after + 1
        return self._tracks.open(track)

    def cancel(self, track: Track, through: int | None = None, *, stop: str = "cancel") -> None:
        """Stop the response. The wish outlives the socket: it is repeated until the terminal event is here.

        `through`: nothing after this event was seen or heard; without it the last `ack` says so. `stop`: "interrupt"
        forgets the item that is being written. Raises ValueError for an event that has not come.
        """
        if through is not None:
            _check_number(track, through)
        if track.over or track.cancel_wanted:
            return
        track.cancel_wanted, track.cancel_refusal = True, None
        track.stop, track.through = stop, through
        if track.phase is Phase.PAUSED:  # its terminal is wanted now, and after a cancel what comes before it is little
            self._tracks.move(track, Phase.LOST)
        self._tracks.due_at = 0.0

    def leave(self, track: Track) -> None:
        """The caller's block is over: stop the response, and what the server starts or started after it by itself.

        Of an answer that was complete before it was read, what was heard stays, as of one that runs.
        """
        while track.successor is not None:
            track = track.successor
        if track.terminal is not None and track.events and track.acked is not None:
            self.truncate(track, {"through": track.acked})
        track.abandoned = track.awaits_successor
        self.cancel(track)

    def ack(self, track: Track, through: int) -> None:
        """The user has seen or heard everything up to and with this event. Raises ValueError if it has not come."""
        _check_number(track, through)
        if track.acked is None or through > track.acked:
            track.acked, track.acked_sent = through, False
            self._tracks.due_at = 0.0

    def truncate(self, track: Track, members: Mapping[str, Any]) -> Cut:
        """Cut the answer of a response that runs or is over. `members`: where. Raises ValueError for an event that has
        not come.
        """
        if members.get("through") is not None:
            _check_number(track, members["through"])
        if track.phase is Phase.PAUSED:  # the end that comes of it is wanted now
            self._tracks.move(track, Phase.LOST)
        self._tracks.due_at = 0.0
        cut = self._cuts.ask(track, dict(members))
        if self._closed is not None:
            self._cuts.close(self._closed)
        return cut

    def give(self, kind: Kind, track: Track, input: Any) -> Steer:
        """Steer a response, or inject outputs of its calls."""
        steer = self._inputs.give(kind, track, input)
        if track.phase is Phase.PAUSED:  # the server takes it only from who follows the response
            self._tracks.move(track, Phase.LOST)
        if self._closed is not None:
            self._inputs.close(self._closed)
        return steer

    def update(self, members: Mapping[str, Any]) -> Update:
        """Change what holds for the connection."""
        return self._liveness.update(dict(members))

    def take_successor(self, track: Track) -> Track | None:
        """The response that the server started after this one by itself, for somebody who will hold it."""
        if track.successor is not None:
            track.successor_taken = True
        return track.successor

    def detach(self, track: Track) -> None:
        """Let go of the response; it goes on at the server. What waits unread is forgotten, so the cursor is exact."""
        match track.phase:
            case Phase.OVER | Phase.LEAVING:
                return
            case Phase.LIVE | Phase.RESUMING:
                self._outbox += frames.parting(track)
            case Phase.LOST:
                track.discard()
                track.error = Detached("the response was detached")
                self._tracks.forget_id(track)
                self._tracks.move(track, Phase.LEAVING)
                return
            case Phase.CREATING:
                track.abandoned = True
                return
            case Phase.HELD | Phase.PAUSED:
                pass
        track.discard()
        self._tracks.fail(track, Detached("the response was detached"))

    def abandon(self, track: Track) -> None:
        """Nobody waits for this create any more, so nobody will know its id: cancel it as soon as that is possible.

        Unless the caller named the request: then it may be attached to again, or be somebody else's as well.
        """
        track.cancel_wanted = not track.named
        self.detach(track)

    def take(self, track: Track) -> Event | None:
        """The oldest unread event, if one is here. Makes room: a paused response is resumed when half is free."""
        event = track.take()
        if track.phase is Phase.PAUSED and track.num_bytes <= self._policy.max_buffer_bytes // 2:
            self._tracks.move(track, Phase.LOST)
        return event

    def close(self, error: RealtimeError | None = None) -> None:
        """Give up everything that is open, and what is asked of it from now on."""
        self._closed = error or ClientClosed("the client was closed")
        for track in self._tracks:
            self._tracks.fail(track, self._closed)
        self._inputs.close(self._closed)
        self._cuts.close(self._closed)
        self._liveness.close(self._closed)

    # -- what the socket says

    def connecting(self, now: float) -> None:
        """An attempt to open a socket begins. It is to be given up at `dial_until`."""
        self._link.connecting(now)

    def connected(self, now: float) -> None:
        """A native-profile socket is open."""
        self._link.opened()
        self._liveness.connected(now)
        self._tracks.due_at = 0.0

    def disconnected(self, lost: ConnectionLost | ProtocolError, now: float) -> None:
        """The socket is gone, or could not be opened. Decides whether and when to try again."""
        self._link.gone()
        self._outbox.clear()
        self._inputs.cut()
        self._cuts.disconnected()
        self._liveness.disconnected()
        for track in self._tracks:
            self._tracks.cut(track)
        worth_it = self._link.lost(lost, now)
        if not self._needs_socket():
            self._link.settle()
        elif not worth_it:
            self._link.settle()
            for track in self._tracks:
                if track.phase is not Phase.PAUSED:  # it has something to read still, and can be resumed after that
                    self._tracks.fail(track, lost)
            self._inputs.close(lost)
            self._cuts.close(lost)
            self._liveness.close(lost)

    def receive(self, data: str, now: float) -> None:
        """One message. Raises ProtocolError when it can't be what a server of this protocol sends."""
        try:
            event: Event = json.loads(data)
            kind = event["type"]
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolError(f"not an event: {data[:80]!r}") from error
        self._liveness.heard(now)
        if "response_id" in event and not kind.startswith("response.inject."):  # the connection's, in spite of its id
            self._response_event(event, len(data))
        elif (handler := self._CONNECTION_EVENTS.get(kind)) is not None:
            handler(self, event, now)  # any other is news of a later version: ignored

    # -- what is to be done about it

    @property
    def connect_at(self) -> float | None:
        """When to open a socket; None: there is one, or nothing needs one."""
        return self._link.connect_at if not self._link.connected and self._needs_socket() else None

    @property
    def dial_until(self) -> float:
        """When to give up the attempt to open a socket that is under way."""
        return self._link.dial_until

    @property
    def state(self) -> ConnectionState:
        """How the connection stands."""
        return self._link.state(self._closed is not None)

    @property
    def due_at(self) -> float | None:
        """When `frames` may have something to send though nothing else happens."""
        due_at = min(self._tracks.due_at, self._liveness.dead_at)
        return due_at if self._link.connected and due_at < math.inf else None

    def is_silent(self, now: float) -> bool:
        """The socket is dead, though it looks open: the heartbeats that the server promised do not come."""
        return self._link.connected and now >= self._liveness.dead_at

    @property
    def heartbeat(self) -> Mapping[str, Any] | None:
        """The newest `session.heartbeat`."""
        return self._liveness.heartbeat

    def pending(self, now: float) -> bool:
        """`frames` may have something to send."""
        return bool(self._outbox or self.dropped) or now >= self._tracks.due_at

    def frames(self, now: float) -> list[str]:
        """Drain what is to be sent, in order."""
        while self.dropped:
            self._let_go(self.dropped.popleft())
        if not self._link.connected:
            return []
        out, self._outbox = self._outbox, []
        out += self._cuts.frames()  # before creates, which may continue what is to be cut
        out += self._sending.frames(now)
        out += self._cuts.frames() + self._liveness.frames()
        return out + self._inputs.frames(self._link.max_message_bytes)

    def changed(self) -> set[Track | Steer | Update | Cut]:
        """Drain what has news: an event, an answer, another state."""
        changed: set[Track | Steer | Update | Cut] = set()
        for part in (self._tracks.changed, self._inputs.changed, self._liveness.changed, self._cuts.changed):
            changed |= part
            part.clear()
        return changed

    # -- events of a response

    def _response_event(self, event: Event, num_bytes: int) -> None:
        track = self._tracks.of_id(event["response_id"])
        if event["type"] == "response.created" and (track is None or track.next_number > 0):
            track = self._confirm(event) or track
        if track is not None and track.phase is Phase.LIVE:  # else detached, or from before an expected `resumed`
            self._deliver(track, event, num_bytes)

    def _confirm(self, event: Event) -> Track | None:
        """A response that we do not know: a successor, or what is being created in its lane."""
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
            self.detach(track)
        return track

    def _steered(self, event: Event) -> Track | None:
        """The response that was steered, if this is the first event of its successor."""
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
            self.leave(track)
        elif parent.dropped:
            self.detach(track)
        return track

    def _let_go(self, track: Track) -> None:
        """Nobody holds it any more, so nobody will ask for its successor."""
        track.dropped = True
        self.detach(track)
        if track.successor is not None and not track.successor_taken:
            self._let_go(track.successor)

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
        """What comes before the end is little; and to leave a response that was steered would undo that."""
        return track.cancel_wanted or track.awaits_successor

    # -- events of the connection

    def _session_created(self, event: Event, now: float) -> None:
        limits = (event.get("session") or {}).get("limits") or {}
        self._link.max_message_bytes = limits.get("max_message_bytes", math.inf)

    def _session_draining(self, event: Event, now: float) -> None:
        """No creates from here on; what runs goes on. The server will close this socket, and the next one is good."""
        self._link.drains(event.get("resume_after_seconds"))

    def _resumed(self, event: Event, now: float) -> None:
        resumed = event["resumed"]
        track = self._tracks.of_id(resumed["response_id"])
        if track is not None and track.phase is Phase.RESUMING:
            track.epoch = resumed["epoch"]
            track.confirmed = True
            self._link.settle()
            self._tracks.move(track, Phase.LIVE)

    def _refused(self, event: Event, now: float) -> None:
        error = ServerError.of(event)
        asked, _, serial = str(event.get("event_id", "")).partition(".")
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
            case "", _ if error.code == "slow_reader":  # the server let go of one of ours, and does not say which
                for live in [t for t in self._tracks if t.phase is Phase.LIVE]:
                    self._tracks.move(live, Phase.LOST)
            case _:
                pass  # it answers something that nobody waits for any more

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

    _CONNECTION_EVENTS: Mapping[str, Callable[[Session, Event, float], None]] = {
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
        """Try again later if that can help and somebody still waits; else it is the caller's."""
        in_time = track.patience.failed(now, error.retry_after, self._policy, self._rng)
        if not error.retry or not in_time or track.abandoned:
            self._tracks.fail(track, error)
        else:
            self._tracks.move(track, phase)

    def _needs_socket(self) -> bool:
        waiting = self._inputs.is_waiting or self._liveness.is_waiting or self._cuts.is_waiting
        return waiting or any(track.phase is not Phase.PAUSED for track in self._tracks)


def _check_number(track: Track, number: int) -> None:
    if not -1 <= number < track.next_number:
        raise EventNotReceived(
            f"event {number} of response {track.response_id!r} has not come: the last is {track.next_number - 1}"
        )
