"""The lanes of one connection: which creates wait, which may start, and which turn each lane holds. Pure.

A lane (`stream_id`) is first in, first out. Lanes run in parallel, with at most `max_in_flight` creates at once. Each
lane keeps its last finished turn, which with `store: false` is the turn's only home (docs/protocol.md, 5.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from realtime.context.turns import Turn
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate

from .commands import Create
from .profiles import ConnectionLimits

_STREAM_ID = re.compile(r"[A-Za-z0-9_.\-]{1,256}\Z")


class Lane:
    """One first-in-first-out sequence of turns, and the last finished one.

    It is `busy` from giving out a create until that is over. `opening`: the create, until it is answered. `used`: a
    response was created in it.
    """

    __slots__ = ("busy", "last", "opening", "queue", "stream_id", "used")

    def __init__(self, stream_id: str | None) -> None:
        self.stream_id = stream_id
        self.queue: list[Create] = []
        self.busy = False
        self.used = False
        self.opening: Create | None = None
        self.last: Turn | None = None


class Lanes:
    """The lanes of one connection. `num_queued` creates wait; `num_in_flight` have been given out and not
    been freed.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._lanes: dict[str | None, Lane] = {}
        self._waiting: list[Lane] = []  # idle lanes with something in their queue, oldest first
        self.num_in_flight = 0
        self.num_queued = 0
        self._num_queued_bytes = 0

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def get(self, stream_id: Any) -> Lane | None:
        """Return the lane of this name, if there is one; the name is whatever a client sent."""
        return self._lanes.get(stream_id) if isinstance(stream_id, str | None) else None

    def open(self, stream_id: Any) -> Lane:
        """Return the lane of this name, and make it if it is new. Raises WireError."""
        lane = self.get(stream_id)
        if lane is not None:
            return lane
        if stream_id is not None:
            if not valid_stream_id(stream_id):
                text = "`stream_id` must be 1 to 256 characters of letters, digits, `_`, `-` and `.`."
                raise WireError(ErrorCode.INVALID_STREAM_ID, text, param="stream_id")
            if len(self._lanes) - (None in self._lanes) >= self._limits.max_streams:
                text = (
                    f"This connection has used its {self._limits.max_streams} distinct stream IDs: "
                    "reuse one of them or open a new connection."
                )
                raise WireError(ErrorCode.STREAM_LIMIT, text, param="stream_id")
        lane = self._lanes[stream_id] = Lane(stream_id)
        return lane

    def offer(self, lane: Lane, request: ResponseCreate, num_bytes: int) -> None:
        """Put a request at the end of its lane. Raises WireError when too much waits already."""
        limits = self._limits
        waits = lane.busy or lane.queue or self.num_in_flight >= limits.max_in_flight
        num_queued_bytes = self._num_queued_bytes + num_bytes
        if waits and (self.num_queued >= limits.max_queued or num_queued_bytes > limits.max_queued_bytes):
            text = f"{self.num_queued} requests wait on this connection already; wait for answers before sending more."
            raise WireError(ErrorCode.TOO_MANY_QUEUED, text)
        # Pinned now: the lane that holds the parent may move on before this request's turn comes.
        create = Create(request, lane.stream_id, self.find(request.previous_response_id), num_bytes)
        lane.queue.append(create)
        self.num_queued += 1
        self._num_queued_bytes = num_queued_bytes
        if not lane.busy and len(lane.queue) == 1:
            self._waiting.append(lane)

    def put_first(self, lane: Lane, create: Create) -> None:
        """Put a create before everything that waits in a busy lane: it is the next one to start when the lane
        is freed.
        """
        lane.queue.insert(0, create)
        self.num_queued += 1
        self._num_queued_bytes += create.num_bytes

    def start(self, is_ready: Callable[[ResponseCreate], bool] = lambda request: True) -> Iterator[tuple[Lane, Create]]:
        """Give out creates of idle lanes, oldest first, while there is room in flight. A lane whose next create is not
        ready keeps its place.
        """
        while self.num_in_flight < self._limits.max_in_flight:
            for lane in self._waiting:
                if is_ready(lane.queue[0].request):
                    break
            else:
                return
            self._waiting.remove(lane)
            create = self._take(lane)
            lane.busy = True
            self.num_in_flight += 1
            yield lane, create

    def free(self, lane: Lane) -> None:
        """Note that the response of this lane is over. A successor takes its place, before other lanes."""
        lane.busy = False
        self.num_in_flight -= 1
        if lane.queue and lane.queue[0].automatic:
            self._waiting.insert(0, lane)
        elif lane.queue:
            self._waiting.append(lane)

    def drop(self, lane: Lane) -> Iterator[Create]:
        """Drop what waits in a lane."""
        if lane in self._waiting:
            self._waiting.remove(lane)
        while lane.queue:
            yield self._take(lane)

    def _take(self, lane: Lane) -> Create:
        create = lane.queue.pop(0)
        self.num_queued -= 1
        self._num_queued_bytes -= create.num_bytes
        return create

    def remember(self, lane: Lane, turn: Turn) -> None:
        """Make this turn the lane's last one. Creates that wait to continue it hold it from now on."""
        lane.last = turn
        for other in self:
            for index, create in enumerate(other.queue):
                if create.parent is None and create.request.previous_response_id == turn.response_id:
                    other.queue[index] = msgspec.structs.replace(create, parent=turn)

    def find(self, response_id: str | None) -> Turn | None:
        """Return the turn of this response, if a lane holds it."""
        if response_id is None:
            return None
        for lane in self:
            if lane.last is not None and lane.last.response_id == response_id:
                return lane.last
        return None

    def evict(self, lane: Lane | None, response_id: str | None) -> None:
        """Forget the parent of a failed continuation in its own lane. A fork from another lane does not evict it."""
        if lane is not None and lane.last is not None and lane.last.response_id == response_id:
            lane.last = None

    def clear(self) -> None:
        """Forget everything: the socket is gone."""
        self._lanes.clear()
        self._waiting.clear()
        self.num_in_flight = self.num_queued = self._num_queued_bytes = 0


def valid_stream_id(stream_id: Any) -> bool:
    """Return whether a lane may have this name."""
    return isinstance(stream_id, str) and _STREAM_ID.match(stream_id) is not None
