"""The creates of one connection: each waits in its lane, starts when its turn comes, and frees the lane when its
response is over here. Pure.

`Connection` reports the client's requests and what came of the commands, `Following` which responses are over.
Input that is given into a running response is taken here as well, because it becomes a create: its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from realtime.store.records import Source
from realtime.wire.errors import WireError
from realtime.wire.requests import ResponseCreate, ResponseInject, ResponseSteer

from . import refusals
from .commands import Create, Stop
from .lanes import Lane, Lanes
from .outbox import Outbox
from .pending import HeldEvent, PendingCommands
from .profiles import ConnectionLimits
from .readers import Readers
from .successors import Successors


class Creates:
    """The creates of one connection, and its lanes. `ending`: why no new work is taken, if so."""

    __slots__ = ("_control", "_pending", "_readers", "ending", "lanes", "successors")

    def __init__(self, limits: ConnectionLimits, control: Outbox, pending: PendingCommands, readers: Readers) -> None:
        """control: where answers go. readers: of the responses that take input."""
        self.ending: Callable[[], WireError] | None = None
        self.lanes = Lanes(limits)
        self.successors = Successors(limits)
        self._control = control
        self._pending = pending
        self._readers = readers

    # -- what the client wants. Each raises WireError

    def create(self, request: ResponseCreate, num_bytes: int) -> None:
        """Create a response in a lane, when its turn comes."""
        try:
            if request.background:
                raise refusals.background()
            self.lanes.offer(self.lanes.open(request.stream_id), request, num_bytes)
        except WireError:
            self.lanes.evict(self.lanes.get(request.stream_id), request.previous_response_id)
            raise
        self.start_next()

    def steer(self, event: ResponseSteer) -> None:
        """Create a successor with this input. The client is told whether it was accepted."""
        target = self.successors.target(event.previous_response_id)
        answer, accepted = self.successors.steer(event, target, self._readers.get(target), self._refusal())
        self._control.put(answer)
        if accepted:  # the response may be over meanwhile, which is as good: nobody waits for this
            self._pending.to_start.append(Stop(response_id=target, how="steer", followed=True))

    def inject(self, event: ResponseInject) -> None:
        """Create a successor with these tool outputs."""
        target = self.successors.target(event.response_id)
        self._control.put(self.successors.inject(event, target, self._readers.get(target), self._refusal()))

    # -- what becomes of a create

    def start_next(self) -> None:
        """Give out creates of idle lanes. Each takes the input that was given into the response that it continues. A
        create that continues an answer that is being cut waits: it must continue what is left.
        """
        if not self.lanes.num_queued:
            return
        cut = self._pending.cut

        def is_ready(request: ResponseCreate) -> bool:
            return not cut or (request.conversation is None and request.previous_response_id not in cut)

        for lane, create in self.lanes.start(is_ready):
            command, returned = self.successors.commit(lane, create)
            self._control.put_all(returned)
            lane.opening = command
            self._pending.ask(command)

    def accepted(self, command: Create, response_id: str) -> Lane:
        """Note that a create was accepted, and its response. Return the lane in which that runs."""
        lane = self.lanes.open(command.stream_id)
        lane.opening = None
        lane.used = True
        self.successors.created(command, response_id)
        return lane

    def refused(self, command: Create, error: WireError, cancels: Iterable[HeldEvent]) -> None:
        """Answer a create that was refused, and free its lane. `cancels`: those that waited for it."""
        self._answer_refused(command, error)
        for cancel in cancels:  # of this create, not of what comes next in the lane
            self._control.answer(cancel.event, refusals.nothing_runs())
        lane = self.lanes.open(command.stream_id)
        lane.opening = None
        if not command.automatic:
            self.lanes.evict(lane, command.request.previous_response_id)
        self.free(lane)

    def finished(self, source: Source, lane: Lane, request: ResponseCreate) -> None:
        """Note that a response ended in its lane, which remembers the turn and advances."""
        turn = source.turn
        if turn is not None:
            self.lanes.remember(lane, turn)
        else:
            self.lanes.evict(lane, request.previous_response_id)
        successor, told = self.successors.ended(source, lane, request, self._refusal())
        self._control.put_all(told)
        if successor is not None:
            self.lanes.put_first(lane, successor)
        self.free(lane)

    def left(self, response_id: str, lane: Lane) -> None:
        """Note that the response of a lane is no longer read here: input that waits for it goes back."""
        self._control.put_all(self.successors.left(response_id, lane.stream_id))
        self.free(lane)

    def free(self, lane: Lane) -> None:
        """Free the lane of a response that is over for this connection."""
        self.lanes.free(lane)
        self.start_next()

    def drop_queue(self, lane: Lane, error: WireError) -> None:
        """Drop a lane's requests that have not been started, each with an answer of its own."""
        for create in self.lanes.drop(lane):
            self._answer_refused(create, error)

    def _answer_refused(self, create: Create, error: WireError) -> None:
        """Answer a create that was not started, and give back the input that it was to commit."""
        if not create.automatic:
            self._control.refuse(error, create.stream_id, create.request.event_id)
        self._control.put_all(self.successors.not_created(create, error))

    def _refusal(self) -> WireError | None:
        """Return why no new work is taken, if so."""
        return self.ending() if self.ending is not None else None

    # -- the end

    def end(self, refusal: Callable[[], WireError]) -> None:
        """Refuse all work that has not been started, now and later."""
        self.ending = refusal
        for lane in self.lanes:
            self.drop_queue(lane, refusal())

    def clear(self) -> None:
        """Forget everything: the socket is gone."""
        self.successors.clear()
        self.lanes.clear()
