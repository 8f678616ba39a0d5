"""The client's state machine, without any I/O: the state of all its responses, whatever happens to the socket. Pure.

The shell reports (`connecting`, `connected`, `disconnected`, `receive`), passes on what the caller wants (`create`,
`resume`, `cancel`, `give`, `detach`, `take`) and then drains: `frames` to send, what has `changed` to wake, when to
come back (`connect_at`, `dial_until`, `due_at`), `is_silent` for a dead socket. Frames are not queued but derived from
the state of each track, so nothing is ever lost with a socket: what was not confirmed is still to be done. `now` is any
monotonic clock in seconds.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping
from typing import Any

from . import frames, shape
from .cuts import Cut, Cuts
from .errors import (
    AlreadyFollowed,
    ClientClosed,
    ConnectionLost,
    Detached,
    EventNotReceived,
    ProtocolError,
    RealtimeError,
)
from .inputs import Inputs, Kind, Steer
from .lanes import Lanes, lane_of_request
from .link import ConnectionState, Link
from .liveness import Liveness, Update
from .policy import Policy
from .receiving import Parts, Receiving
from .sending import Sending
from .track import Event, Phase, Track
from .tracks import Tracks


class Session:
    """The state of one client. `name` must be unique among clients: it keeps lanes and request ids apart."""

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
        self._outbox: list[str] = []  # what can't be derived from where the tracks are
        self._parts = Parts(
            policy, rng, self._lanes, self._inputs, self._cuts, self._liveness, self._link, self._tracks, self._outbox
        )
        self._sending = Sending(self._tracks, self._lanes, self._inputs, self._link)
        self._receiving = Receiving(self._parts, self.detach, self.leave)
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
        """Stop the response. The request outlives the socket: it is repeated until the terminal event is here.

        `through`: nothing after this event was seen or heard; without it the last `ack` counts. `stop`: "interrupt"
        drops the item that is being written. Raises ValueError for an event that has not come.
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
        """Leave the caller's block: stop the response, and its automatic successors, started or yet to start.

        Of an answer that was complete before it was read, what was heard stays, as for a running one.
        """
        while track.successor is not None:
            track = track.successor
        if track.terminal is not None and track.events and track.acked is not None:
            self.truncate(track, {"through": track.acked})
        track.abandoned = track.awaits_successor
        self.cancel(track)

    def ack(self, track: Track, through: int) -> None:
        """Note that the user has seen or heard everything up to and including this event. Raises ValueError if it has
        not come.
        """
        _check_number(track, through)
        if track.acked is None or through > track.acked:
            track.acked, track.acked_sent = through, False
            self._tracks.due_at = 0.0

    def truncate(self, track: Track, members: Mapping[str, Any]) -> Cut:
        """Cut the answer of a running or finished response. `members`: the place. Raises ValueError for an event that
        has not come.
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
        """Change the settings of the connection."""
        return self._liveness.update(dict(members))

    def take_successor(self, track: Track) -> Track | None:
        """Return the response that the server started after this one by itself, for somebody who will hold it."""
        if track.successor is not None:
            track.successor_taken = True
        return track.successor

    def detach(self, track: Track) -> None:
        """Detach the response, which continues at the server. Unread events are dropped, so the cursor is exact."""
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
        """Cancel a create as soon as that is possible: nobody waits for it any more, so nobody will know its id.

        Unless the caller named the request: then somebody may attach to it again, or use it too.
        """
        track.cancel_wanted = not track.named
        self.detach(track)

    def take(self, track: Track) -> Event | None:
        """Return the oldest unread event, if there is one. This makes room: a paused response is resumed when half is
        free.
        """
        event = track.take()
        if track.phase is Phase.PAUSED and track.num_bytes <= self._policy.max_buffer_bytes // 2:
            self._tracks.move(track, Phase.LOST)
        return event

    def close(self, error: RealtimeError | None = None) -> None:
        """Give up everything that is open, and everything asked for from now on."""
        self._closed = error or ClientClosed("the client was closed")
        for track in self._tracks:
            self._tracks.fail(track, self._closed)
        self._inputs.close(self._closed)
        self._cuts.close(self._closed)
        self._liveness.close(self._closed)

    # -- what the socket says

    def connecting(self, now: float) -> None:
        """Note that an attempt to open a socket begins. Give it up at `dial_until`."""
        self._link.connecting(now)

    def connected(self, now: float) -> None:
        """Note that a native-profile socket is open."""
        self._link.opened()
        self._liveness.connected(now)
        self._tracks.due_at = 0.0

    def disconnected(self, lost: ConnectionLost | ProtocolError, now: float) -> None:
        """Note that the socket is gone, or could not be opened. Decides whether and when to try again."""
        self._link.gone(now)
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
        """Take one message. Raises ProtocolError when a server of this protocol can't have sent it."""
        event = shape.read(data)
        self._receiving.take(event, event["type"], len(data), now)

    # -- what is to be done about it

    @property
    def connect_at(self) -> float | None:
        """Return when to open a socket; None: there is one, or nothing needs one."""
        return self._link.connect_at if not self._link.connected and self._needs_socket() else None

    @property
    def dial_until(self) -> float:
        """Return when to give up the current attempt to open a socket."""
        return self._link.dial_until

    @property
    def state(self) -> ConnectionState:
        """Return the state of the connection."""
        return "closed" if self._closed is not None else self._link.state(self._needs_socket())

    @property
    def due_at(self) -> float | None:
        """Return when `frames` may have something to send though nothing else happens."""
        due_at = min(self._tracks.due_at, self._liveness.dead_at)
        return due_at if self._link.connected and due_at < math.inf else None

    def is_silent(self, now: float) -> bool:
        """Return whether the socket is dead though it looks open: promised heartbeats do not come."""
        return self._link.connected and now >= self._liveness.dead_at

    @property
    def is_watched(self) -> bool:
        """Return whether silence means that the socket is dead: the server has promised heartbeats on it."""
        return self._link.connected and self._liveness.dead_at < math.inf

    @property
    def heartbeat(self) -> Mapping[str, Any] | None:
        """The newest `session.heartbeat`."""
        return self._liveness.heartbeat

    def pending(self, now: float) -> bool:
        """Return whether `frames` may have something to send."""
        return bool(self._outbox or self.dropped) or now >= self._tracks.due_at

    def frames(self, now: float) -> list[str]:
        """Drain the frames to send, in order."""
        while self.dropped:
            self._let_go(self.dropped.popleft())
        if not self._link.connected:
            return []
        out = self._outbox.copy()
        self._outbox.clear()
        out += self._cuts.frames()  # before creates, which may continue what is to be cut
        out += self._sending.frames(now)
        out += self._cuts.frames() + self._liveness.frames()
        return out + self._inputs.frames(self._link.max_message_bytes)

    def changed(self) -> set[Track | Steer | Update | Cut]:
        """Drain the handles with news: an event, an answer, another state."""
        changed: set[Track | Steer | Update | Cut] = set()
        for part in (self._tracks.changed, self._inputs.changed, self._liveness.changed, self._cuts.changed):
            changed |= part
            part.clear()
        return changed

    # -- small parts

    def _let_go(self, track: Track) -> None:
        """Drop a response that nobody holds any more, so nobody will ask for its successor."""
        track.dropped = True
        self.detach(track)
        if track.successor is not None and not track.successor_taken:
            self._let_go(track.successor)

    def _needs_socket(self) -> bool:
        waiting = self._inputs.is_waiting or self._liveness.is_waiting or self._cuts.is_waiting
        return waiting or any(track.phase is not Phase.PAUSED for track in self._tracks)


def _check_number(track: Track, number: int) -> None:
    if not -1 <= number < track.next_number:
        raise EventNotReceived(
            f"event {number} of response {track.response_id!r} has not come: the last is {track.next_number - 1}"
        )
