"""The responses of one connection: creates in lanes, responses that it reads, pending commands. Pure.

`Connection` reports the client's requests and the completions of commands. This module advances the lanes, makes
commands, and puts answers into the connection's outbox. Methods that complete a command return the client events that
waited for it, to be taken now; None: the socket was gone before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import UNSET

from realtime.context.outputs import pending_calls
from realtime.store import cursor
from realtime.store.records import Source
from realtime.wire import events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import (
    ResponseCancel,
    ResponseCreate,
    ResponseDetach,
    ResponseInject,
    ResponseInterrupt,
    ResponseResume,
    ResponseSteer,
    ResponseTruncate,
)
from realtime.wire.response import Response

from . import refusals
from .catch_up import CatchUp
from .commands import Awaited, Command, Create, Leave, Resume, Stop, Truncate
from .lanes import Lane, Lanes
from .outbox import Outbox
from .profiles import ConnectionLimits
from .readers import Done, Reader, Readers
from .successors import Successors
from .unanswered import HeldEvent, Unanswered

_MAX_ANSWERS = 256  # that wait for the terminal event of one response
_TOO_LATE = frozenset({ErrorCode.RESPONSE_ALREADY_COMPLETED, ErrorCode.RESPONSE_NOT_FOUND})


class Responses:
    """The responses of one connection. `ending`: why no new work is taken, if so. `commands`: to be drained.

    native: the client is told when its cancel came too late. A plain one is not: OpenAI's protocol has no such answer,
    and its clients would take an unexpected `error` for the first event of their next turn.
    """

    __slots__ = (
        "_control", "_max_followed", "_native", "_successors", "commands", "ending", "lanes", "num_slow", "readers",
        "unanswered",
    )  # fmt: skip

    def __init__(self, limits: ConnectionLimits, control: Outbox, *, native: bool) -> None:
        self.ending: Callable[[], WireError] | None = None
        self.commands: list[Command] = []
        self.num_slow = 0  # readers that were told that they are too slow
        self.lanes = Lanes(limits)
        self.readers = Readers(self._tell_epoch)
        self.unanswered = Unanswered(limits.max_unanswered)
        self._successors = Successors(limits)
        self._max_followed = limits.max_followed
        self._native = native
        self._control = control

    @property
    def idle(self) -> bool:
        """Return whether nothing is followed, nothing waits, and no command is pending."""
        return not self.readers and not self.lanes.num_queued and not self.unanswered

    def ask(self, command: Awaited) -> None:
        """Give out a command. Raises WireError when too many are pending."""
        self.unanswered.add(command)
        self.commands.append(command)

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

    def cancel(self, event: ResponseCancel) -> None:
        """End a response; without a running one, drop what waits in the lane."""
        if event.response_id is not None:
            if self._native or event.through is not None or not self._successors.has_ended(event.response_id):
                self.ask(self.readers.new_cancel(event.response_id, event, native=self._native))
            return
        lane = self.lanes.get(event.stream_id)
        running = self.readers.of(lane) if lane is not None else None
        if running is not None:
            self.ask(self.readers.new_cancel(running.source.response_id, event, native=self._native))
        elif lane is not None and lane.queue:
            self._drop_queue(lane, refusals.cancelled())
        elif self._native or lane is None or not lane.used or event.through is not None:
            raise refusals.nothing_runs()

    def truncate(self, event: ResponseTruncate) -> None:
        """Cut an answer where its user stopped listening."""
        self.ask(self.readers.new_truncate(event))

    def interrupt(self, event: ResponseInterrupt) -> None:
        """End a response without the item that is being written."""
        followed = event.response_id in self.readers
        self.ask(Stop(response_id=event.response_id, how="interrupt", followed=followed, event_id=event.event_id))

    def steer(self, event: ResponseSteer) -> None:
        """Create a successor with this input. The client is told whether it was accepted."""
        target = self._successors.target(event.previous_response_id)
        answer, accepted = self._successors.steer(event, target, self.readers.get(target), self._refusal())
        self._control.put(answer)
        if accepted:  # the response may be over meanwhile, which is as good: nobody waits for this
            self.commands.append(Stop(response_id=target, how="steer", followed=True))

    def inject(self, event: ResponseInject) -> None:
        """Create a successor with these tool outputs."""
        target = self._successors.target(event.response_id)
        self._control.put(self._successors.inject(event, target, self.readers.get(target), self._refusal()))

    def resume(self, event: ResponseResume) -> None:
        """Send the events of a response from here on."""
        coming = sum(isinstance(one, Resume) and one.response_id not in self.readers for one in self.unanswered)
        if self.readers.num_foreign + coming >= self._max_followed:
            raise refusals.too_many_followed(self._max_followed)
        merged = event.catch_up == "merged"
        self.ask(Resume(event.response_id, event.starting_after, event.epoch, event.event_id, merged))

    def detach(self, event: ResponseDetach) -> None:
        """Send no more events of a response, which continues."""
        reader = self.readers.get(event.response_id)
        if reader is None:
            raise refusals.not_followed(event.response_id)
        self.readers.remove(reader)
        self._left(reader, detached=True)

    # -- what came of the commands

    def opened(self, command: Create, source: Source) -> list[HeldEvent] | None:
        """Complete a create that was accepted: follow the response from its first event."""
        held = self._complete(command, source)
        if held is None:
            return None
        lane = self.lanes.open(command.stream_id)
        lane.opening = None
        lane.used = True
        self._successors.created(command, source.response_id)
        old = self.readers.get(source.response_id)
        if old is not None:  # the same idempotent request, sent again on the same socket
            self.readers.remove(old)
            self._tell(old.answers)
            self._free(old.lane)
        reader = Reader(source, 0, lane, command.request)
        if source.log.earlier:  # its first event, which this client takes for the beginning, is of another epoch
            reader.epoch = None
        if command.request.catch_up == "merged":
            reader.catch_up = CatchUp(source.log.tip)
        self.readers.add(reader)
        return held

    def resumed(
        self, command: Resume, source: Source, start: int, pending: Sequence[events.PendingCall] = ()
    ) -> list[HeldEvent] | None:
        """Complete a resume that was accepted: say so, then follow from number `start`. A response that is read already
        continues from there. `pending`: its calls that wait for the client.
        """
        held = self._complete(command, source)
        if held is None:
            return None
        log = source.log
        self._control.put(_resumed(source, start, pending))
        reader = self.readers.get(source.response_id)
        if reader is not None:
            reader.position, reader.epoch = start, log.epoch
        else:
            reader = Reader(source, start, None, None)
            self.readers.add(reader)
        reader.catch_up = CatchUp(log.tip) if command.merged else None
        return held

    def _tell_epoch(self, reader: Reader) -> list[bytes]:
        """Return the event that tells a client in which epoch its response goes on: one that has asked for such events
        by a resume, or is native.
        """
        if not self._native and reader.lane is not None:
            return []
        source = reader.source
        self._control.put(_resumed(source, reader.num_taken, pending_calls(source.output)))
        return self._control.take()

    def stopped(self, command: Stop, source: Source) -> None:
        """Complete a stop: the response will end. If this connection does not read it, it is sent the end, which is the
        receipt.
        """
        if command.followed:
            self.unanswered.complete(command)
        elif self._complete(command, source) is not None:
            self._read_end(source)
        self.start_next()

    def truncated(self, command: Stop | Truncate, response: Response, ended: Source | None) -> None:
        """Complete a truncation: this is the response now. `ended`: the response, if it was ended for that. Its
        terminal event comes first, even if it was not read until now.
        """
        if self.unanswered.complete(command) is None:
            return
        if ended is not None and not command.followed:
            self._read_end(ended)
        event_id = UNSET if command.event_id is None else command.event_id
        event = events.ResponseTruncated(done=True, response=response, event_id=event_id)
        reader = self.readers.get(command.response_id)
        if reader is None or len(reader.answers) >= _MAX_ANSWERS:
            self._control.put(event)
        else:
            reader.answers.append(event)
        self.start_next()

    def _read_end(self, source: Source) -> None:
        """Read a response that ends, or has ended, unless it is read already: its end is an answer."""
        if source.response_id not in self.readers:
            self.readers.add(Reader(source, source.log.tip - source.log.sealed, None, None))

    def refused(self, command: Awaited, error: WireError) -> list[HeldEvent] | None:
        """Complete a command that was refused: answer it, and free its lane."""
        held = self.unanswered.complete(command)
        if held is None:
            return None
        if not isinstance(command, Create):
            if not self._is_late_cancel(command, error):
                self._control.refuse(error, None, command.event_id)
            return held
        self._answer_refused(command, error)
        for cancel in held:  # of this create, not of what comes next in the lane
            self._control.answer(cancel.event, refusals.nothing_runs())
        lane = self.lanes.open(command.stream_id)
        lane.opening = None
        if not command.automatic:
            self.lanes.evict(lane, command.request.previous_response_id)
        self._free(lane)
        return None

    def _is_late_cancel(self, command: Awaited, error: WireError) -> bool:
        """Return whether a plain client has cancelled a response of its own that was over."""
        if self._native or not isinstance(command, Stop) or command.how != "cancel" or error.code not in _TOO_LATE:
            return False
        if command.cuts_late:
            return False
        reader = self.readers.get(command.response_id)
        return self._successors.has_created(command.response_id) or (reader is not None and reader.lane is not None)

    def _complete(self, command: Awaited, source: Source) -> list[HeldEvent] | None:
        """Take out a command that led to a response. If nobody waits for the response any more, leave it."""
        held = self.unanswered.complete(command)
        if held is None:
            self.commands.append(Leave(source.response_id, detached=False))
        return held

    def leave_off(self) -> None:
        """Leave the responses that have no end yet."""
        for reader in [reader for reader in self.readers if not reader.source.log.sealed]:
            self.readers.remove(reader)
            self._left(reader, detached=False)

    # -- what has been read

    def go_on(self, done: Iterable[Done]) -> None:
        """Advance the lanes of readers that are done."""
        for reader, why in done:
            log, stream_id = reader.source.log, reader.lane.stream_id if reader.lane is not None else None
            if why is not None:
                self.num_slow += isinstance(why, int)
                self._control.refuse(cursor.too_slow(log, why) if isinstance(why, int) else why, stream_id, None)
                self._left(reader, detached=False)
            elif reader.position > log.tip:
                self._control.refuse(cursor.overtaken(log), stream_id, None)
                self._left(reader, detached=False)
            else:
                self._finished(reader)

    def _finished(self, reader: Reader) -> None:
        """Take the terminal event: the lane remembers the turn and advances."""
        self._tell(reader.answers)
        self.commands.append(Leave(reader.source.response_id, detached=False))
        lane, request = reader.lane, reader.request
        if lane is None or request is None:
            return
        turn = reader.source.turn
        if turn is not None:
            self.lanes.remember(lane, turn)
        else:
            self.lanes.evict(lane, request.previous_response_id)
        successor, told = self._successors.ended(reader.source, lane, request, self._refusal())
        self._tell(told)
        if successor is not None:
            self.lanes.put_first(lane, successor)
        self._free(lane)

    def _left(self, reader: Reader, *, detached: bool) -> None:
        """Stop reading a response. The command comes first: freeing the lane may start a create that attaches to it
        again.
        """
        response_id = reader.source.response_id
        self._tell(reader.answers)
        self.commands.append(Leave(response_id, detached=detached))
        if reader.lane is not None:
            self._tell(self._successors.left(response_id, reader.lane.stream_id))
        self._free(reader.lane)

    # -- lanes

    def start_next(self) -> None:
        """Give out creates of idle lanes. Each takes the input that was given into the response that it continues. A
        create that continues an answer that is being cut waits: it must continue what is left.
        """
        if not self.lanes.num_queued:
            return
        cut = self.unanswered.cut

        def is_ready(request: ResponseCreate) -> bool:
            return not cut or (request.conversation is None and request.previous_response_id not in cut)

        for lane, create in self.lanes.start(is_ready):
            command, returned = self._successors.commit(lane, create)
            self._tell(returned)
            lane.opening = command
            self.ask(command)

    def _free(self, lane: Lane | None) -> None:
        """Note that a response is over for this connection, and free the lane in which it ran, if any."""
        if lane is not None:
            self.lanes.free(lane)
            self.start_next()

    def _drop_queue(self, lane: Lane, error: WireError) -> None:
        """Drop a lane's requests that have not been started, each with an answer of its own."""
        for create in self.lanes.drop(lane):
            self._answer_refused(create, error)

    def _answer_refused(self, create: Create, error: WireError) -> None:
        """Answer a create that was not started, and give back the input that it was to commit."""
        if not create.automatic:
            self._control.refuse(error, create.stream_id, create.request.event_id)
        self._tell(self._successors.not_created(create, error))

    def _refusal(self) -> WireError | None:
        """Return why no new work is taken, if so."""
        return self.ending() if self.ending is not None else None

    def _tell(self, told: Iterable[events.Event]) -> None:
        for event in told:
            self._control.put(event)

    # -- the end

    def end(self, refusal: Callable[[], WireError]) -> None:
        """Refuse all work that has not been started, now and later."""
        self.ending = refusal
        for lane in self.lanes:
            self._drop_queue(lane, refusal())

    def leave(self) -> None:
        """Leave the responses that are read, and forget waiting and pending requests: the socket is gone."""
        leaves = [one for one in self.commands if isinstance(one, Leave)]
        self.commands = [*leaves, *(Leave(response_id, detached=False) for response_id in self.readers.response_ids)]
        self._successors.clear()
        self.readers.clear()
        self.lanes.clear()
        self.unanswered.clear()


def _resumed(source: Source, start: int, pending: Sequence[events.PendingCall]) -> events.ResponseResumed:
    """Return the event that says from which number on, and in which epoch, a response is sent."""
    log, response = source.log, source.response
    return events.ResponseResumed(
        resumed=events.Resumed(
            response_id=source.response_id,
            epoch=log.epoch,
            starting_after=start - 1,
            tip=log.tip,
            status="finished" if log.sealed else "in_progress",
            pending_calls=list(pending),
            truncated=response.truncated,
            recovery=response.recovery,
        )
    )
