"""One socket's state machine. Pure: messages go in, commands and frames come out.

The I/O shell calls `receive` for each message, obeys `commands()` by calling the service, reports what came of them
(`opened`, `resumed`, `followed`, `refused`), and writes `frames()` whenever the transport takes more. Lanes
(`stream_id`) are first in, first out; lanes run beside each other; the socket's bandwidth is shared event by event.
The connection owns no response: it holds readers, which point into logs that live elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from realtime.store import cursor
from realtime.store.event_log import BelowFloor
from realtime.store.records import Source
from realtime.wire import codec, events
from realtime.wire.errors import CloseCode, ErrorCode, WireError, draining
from realtime.wire.requests import (
    AnyClientEvent,
    ResponseAck,
    ResponseCancel,
    ResponseCreate,
    ResponseDetach,
    ResponseInject,
    ResponseInterrupt,
    ResponseProcessed,
    ResponseResume,
    ResponseSteer,
    SessionUpdate,
)  # fmt: skip

from .commands import Cancel, Command, Cut, Interrupt, Leave, Resume, Update
from .lanes import Create, Lane, Lanes, valid_stream_id
from .outbox import Outbox, error_event
from .profiles import ConnectionLimits, Profile
from .readers import Reader, Readers
from .successors import Successors

_QUANTUM = 16  # events that one response may send before the next one has its turn


class Connection:
    """See the module. `close` is set when the socket is to be closed once `frames` is empty."""

    def __init__(
        self, profile: Profile, limits: ConnectionLimits, *, expires_at: float, default_model: str | None = None
    ) -> None:
        """`expires_at` is on the clock of `receive`; `default_model` is for creates that name none."""
        self.profile = profile
        self._default_model = default_model
        self.close: tuple[CloseCode, str] | None = None
        self._limits = limits
        self._expires_at = expires_at
        self._ending: Callable[[], WireError] | None = None  # set: every further create is refused with this
        self._lanes = Lanes(limits)
        self._successors = Successors(limits)
        self._readers = Readers()
        self._control = Outbox(limits.max_unsent_control)
        self._commands: list[Command] = []

    # -- what the client says

    def receive(self, data: bytes, now: float) -> None:
        """Take one message. Whatever is wrong with it ends as an `error` event, never as an exception."""
        if self.close is not None:
            return  # too late: whoever is cut off can't keep the socket by going on
        try:
            event = codec.decode(data, self._limits.message)
        except codec.Rejected as rejected:
            self._reject(rejected)
            return
        try:
            self._handle(event, len(data), now)
        except WireError as error:
            stream_id = event.stream_id if isinstance(event, (ResponseCreate, ResponseCancel)) else None
            self._send_error(error, stream_id, event.event_id)

    def _handle(self, event: AnyClientEvent, num_bytes: int, now: float) -> None:
        match event:
            case ResponseCreate():
                self._create(event, num_bytes, now)
            case ResponseCancel():
                self._cancel(event)
            case ResponseInterrupt():
                followed = event.response_id in self._readers
                self._commands.append(Interrupt(event.response_id, followed, event.event_id))
            case ResponseSteer():
                self._steer(event)
            case ResponseInject():
                self._inject(event)
            case ResponseAck():
                self._ack(event)
            case ResponseProcessed():
                pass
            case ResponseResume():
                self._resume(event)
            case ResponseDetach():
                self._detach(event)
            case SessionUpdate():
                if event.heartbeat_seconds is not None and 0 < event.heartbeat_seconds < 1:
                    text = "`heartbeat_seconds` must be 0, which is never, or at least 1."
                    raise WireError(ErrorCode.INVALID_REQUEST, text, param="heartbeat_seconds")
                self._commands.append(Update(event.api_key, event.heartbeat_seconds, event.event_id))

    def receive_binary(self) -> None:
        """A binary message, which nobody has agreed on."""
        self._send_error(WireError(ErrorCode.INVALID_JSON, "Send JSON in text messages, not binary ones."), None, None)

    def too_big(self) -> bytes:
        """A message that was too big to be read: the answer, to be sent before the close."""
        self._control.take()  # what waits can't be sent any more
        text = f"A message may have {self._limits.max_message_bytes} bytes at most: send less of it at once."
        self._send_error(WireError(ErrorCode.MESSAGE_TOO_BIG, text), None, None)
        return b"".join(self._control.take())

    def _reject(self, rejected: codec.Rejected) -> None:
        """A message that could not be decoded: to the lane that it names, if it names one properly."""
        stream_id = rejected.stream_id if valid_stream_id(rejected.stream_id) else None
        if rejected.type == "response.create":
            self._lanes.evict(self._lanes.get(rejected.stream_id), rejected.previous)
        self._send_error(rejected.error, stream_id, rejected.event_id)

    def _create(self, request: ResponseCreate, num_bytes: int, now: float) -> None:
        if now >= self._expires_at and self._ending is None:
            self._ending = self._expired
        if self._ending is not None:
            raise self._ending()
        try:
            if request.background:
                text = "`background` is not available on a socket: use `on_disconnect: {policy: continue}`."
                raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param="background")
            if request.model is None:
                request.model = self._default_model
            self._lanes.offer(self._lanes.open(request.stream_id), request, num_bytes)
        except WireError:
            self._lanes.evict(self._lanes.get(request.stream_id), request.previous_response_id)
            raise
        self._start_next()

    def _start_next(self) -> None:
        """Give out creates of idle lanes; each takes what was given into the response that it continues."""
        for lane, create in self._lanes.start():
            command, returned = self._successors.started(lane, create)
            self._send_all(returned)
            self._commands.append(command)

    def _cancel(self, event: ResponseCancel) -> None:
        if event.response_id is not None:
            self._commands.append(self._new_cancel(event.response_id, event))
            return
        lane = self._lanes.get(event.stream_id)
        running = self._readers.of(lane) if lane is not None else None
        if running is not None:
            self._commands.append(self._new_cancel(running.source.response_id, event))
        elif lane is None or not lane.queue:
            raise WireError(ErrorCode.RESPONSE_NOT_FOUND, "Nothing is running on this stream.", param="stream_id")
        else:
            cancelled = WireError(ErrorCode.REQUEST_CANCELLED, "The request was cancelled before it was started.")
            self._drop_queue(lane, cancelled)

    def _new_cancel(self, response_id: str, event: ResponseCancel) -> Cancel:
        reader = self._readers.get(response_id)
        if reader is None:
            return Cancel(response_id, None, event.event_id, event.through)
        through = reader.processed if event.through is None else event.through
        return Cancel(response_id, reader.position, event.event_id, through)

    def _drop_queue(self, lane: Lane, error: WireError) -> None:
        """Give up a lane's requests that have not been started, each with an answer of its own."""
        for create in self._lanes.drop(lane):
            self._answer_refused(create, error)

    def _steer(self, event: ResponseSteer) -> None:
        target = self._successors.target(event.previous_response_id)
        answer, accepted = self._successors.steer(event, target, self._readers.get(target), self._refusal())
        self._send_control(answer)
        if accepted:
            self._commands.append(Cut(target))

    def _inject(self, event: ResponseInject) -> None:
        target = self._successors.target(event.response_id)
        self._send_control(self._successors.inject(event, target, self._readers.get(target), self._refusal()))

    def _refusal(self) -> WireError | None:
        """Why no new work is taken, if so."""
        return self._ending() if self._ending is not None else None

    def _ack(self, event: ResponseAck) -> None:
        reader = self._readers.get(event.response_id)
        if reader is None:
            return  # the end was taken meanwhile: an acknowledgement may always come too late
        if event.through >= reader.position:
            text = f"Event {event.through} of response '{event.response_id}' has not been sent to this connection."
            raise WireError(ErrorCode.CURSOR_AHEAD, text, param="through", response_id=event.response_id)
        reader.processed = max(event.through, -1 if reader.processed is None else reader.processed)

    def _resume(self, event: ResponseResume) -> None:
        if len(self._readers) - self._lanes.num_in_flight >= self._limits.max_followed:
            text = f"This connection follows {self._limits.max_followed} responses already; detach from one first."
            raise WireError(ErrorCode.TOO_MANY_FOLLOWED, text)
        self._commands.append(Resume(event.response_id, event.starting_after, event.epoch, event.event_id))

    def _detach(self, event: ResponseDetach) -> None:
        reader = self._readers.get(event.response_id)
        if reader is None:
            text = f"This connection does not follow response '{event.response_id}'."
            raise WireError(ErrorCode.RESPONSE_NOT_FOUND, text, param="response_id", response_id=event.response_id)
        self._leave(reader, detached=True)

    # -- what came of the commands

    def commands(self) -> list[Command]:
        """Drain what is to be done. Obey in order; each may lead to more."""
        commands, self._commands = self._commands, []
        return commands

    def opened(self, command: Create, source: Source) -> None:
        """The create was accepted: follow it from its first event."""
        lane = self._lanes.open(command.stream_id)
        self._successors.created(command, source.response_id)
        old = self._readers.get(source.response_id)
        if old is not None:  # the same idempotent request, sent again on the same socket
            self._remove(old)
        self._readers.add(Reader(source, 0, lane, command.request))

    def resumed(self, command: Resume, source: Source, start: int) -> None:
        """The resume was accepted: say so, then follow from number `start`."""
        status = "in_progress" if not source.log.sealed else "finished"
        resumed = events.Resumed(
            response_id=source.response_id,
            epoch=source.log.epoch,
            starting_after=start - 1,
            tip=source.log.tip,
            status=status,
        )
        self._send_control(events.ResponseResumed(resumed=resumed))
        self.followed(source, start)

    def followed(self, source: Source, start: int) -> None:
        """Follow a response from number `start`; one that this connection reads already only moves its cursor."""
        reader = self._readers.get(source.response_id)
        if reader is not None:
            reader.position = start
        else:
            self._readers.add(Reader(source, start, None, None))

    def refused(self, command: Command, error: WireError) -> None:
        """The command could not be obeyed: answer it, and free its lane."""
        match command:
            case Create():
                self._answer_refused(command, error)
                lane = self._lanes.open(command.stream_id)
                if not command.automatic:
                    self._lanes.evict(lane, command.request.previous_response_id)
                self._free(lane)
            case Cancel() | Interrupt() | Resume() | Update():
                self._send_error(error, None, command.event_id)
            case Leave() | Cut():
                pass  # what we no longer read may well be gone, and what is over needs no cut

    def _answer_refused(self, create: Create, error: WireError) -> None:
        """A create that was not started: who sent it is told, and what it was to commit goes back."""
        if not create.automatic:
            self._send_error(error, create.stream_id, create.request.event_id)
        self._send_all(self._successors.not_created(create, error))

    # -- what goes out

    def frames(self, max_bytes: int) -> list[bytes]:
        """Drain up to about `max_bytes` of encoded events: control first, then one round after another of readers."""
        out: list[bytes] = []
        size = 0
        out += self._control.take()
        more = True
        while more and size < max_bytes:
            more = False
            for _ in range(len(self._readers)):
                chunk = self._read(self._readers.next())
                out += chunk
                size += sum(map(len, chunk))
                more = more or len(chunk) == _QUANTUM  # who had less is at the tip now
                if size >= max_bytes:
                    break
        out += self._control.take()  # what reading brought up
        self._close_if_done()
        return out

    @property
    def pending(self) -> bool:
        """There is something to send."""
        return bool(self._control) or self._readers.behind

    @property
    def idle(self) -> bool:
        """Nothing is followed and nothing waits."""
        return not self._readers and not self._lanes.num_queued and not self._lanes.num_in_flight

    def _read(self, reader: Reader) -> list[bytes]:
        log = reader.source.log
        try:
            chunk = log.read(reader.position, _QUANTUM)
        except BelowFloor as below:
            self._too_slow(reader, below.floor)
            return []
        reader.position += len(chunk)
        if log.sealed and reader.position >= log.tip:
            self._finished(reader)
        return chunk

    def _finished(self, reader: Reader) -> None:
        """The terminal event has been taken: the lane remembers the turn and goes on."""
        self._commands.append(Leave(reader.source.response_id, detached=False))
        lane, request = reader.lane, reader.request
        if lane is not None and request is not None:
            turn = reader.source.turn
            if turn is not None:
                self._lanes.remember(lane, turn)
            else:
                self._lanes.evict(lane, request.previous_response_id)
            successor, told = self._successors.ended(reader.source, lane, request, self._refusal())
            self._send_all(told)
            if successor is not None:
                self._lanes.put_first(lane, successor)
        self._remove(reader)

    def _too_slow(self, reader: Reader, floor: int) -> None:
        stream_id = reader.lane.stream_id if reader.lane else None
        self._send_error(cursor.too_slow(reader.source.log, floor), stream_id, None)
        self._leave(reader, detached=False)

    # -- the life of the connection

    def open(self, session: events.Session) -> None:
        """Greet a native client; a plain one hears nothing that it has not asked for."""
        if self.profile.native:
            self._send_control(events.SessionCreated(session=session))

    def updated(self, heartbeat_seconds: float) -> None:
        """A change was accepted; this is how it stands."""
        self._send_control(events.SessionUpdated(session=events.SessionState(heartbeat_seconds=heartbeat_seconds)))

    @property
    def followed_ids(self) -> list[str]:
        """The responses that it reads."""
        return self._readers.response_ids

    def beat(self, heartbeat: events.Heartbeat) -> None:
        """Tell a native client that we live; not one that has not read what it was told before."""
        if self.profile.native and not self._control:
            self._send_control(events.SessionHeartbeat(heartbeat=heartbeat))

    def drain(self, grace_seconds: float) -> None:
        """The server is going down: refuse creates from now on, close when what runs has been delivered."""
        self._ending = draining
        if self.profile.native:
            self._send_control(events.SessionDraining(grace_seconds=grace_seconds))
        for lane in self._lanes:
            self._drop_queue(lane, draining())
        self._close_if_done()

    def disconnected(self) -> list[Leave]:
        """The socket is gone: what it read is left behind; what waited was never started."""
        leaves = [Leave(response_id, detached=False) for response_id in self._readers.response_ids]
        self._successors.clear()
        self._readers.clear()
        self._lanes.clear()
        self._control.take()
        self._commands.clear()
        return leaves

    def _expired(self) -> WireError:
        """The refusal of new work past the connection's lifetime; what runs is delivered to its end."""
        text = (
            f"Responses websocket connection limit reached ({self._limits.lifetime_seconds / 60:g} minutes). "
            "Create a new websocket connection to continue."
        )
        return WireError(ErrorCode.CONNECTION_LIMIT, text)

    def _close_if_done(self) -> None:
        if self._ending is not None and self.idle and self.close is None:
            self.close = (CloseCode.RESTART, self._ending().spec.code)

    # -- small parts

    def _leave(self, reader: Reader, *, detached: bool) -> None:
        """Read it no more. The command comes first: freeing the lane may start a create that attaches to it again."""
        response_id = reader.source.response_id
        self._commands.append(Leave(response_id, detached=detached))
        if reader.lane is not None:
            self._send_all(self._successors.left(response_id, reader.lane.stream_id))
        self._remove(reader)

    def _remove(self, reader: Reader) -> None:
        self._readers.remove(reader)
        if reader.lane is not None:
            self._free(reader.lane)

    def _free(self, lane: Lane) -> None:
        self._lanes.free(lane)
        self._start_next()

    def _send_all(self, told: Iterable[events.Event]) -> None:
        for event in told:
            self._send_control(event)

    def _send_error(self, error: WireError, stream_id: Any, event_id: str | None) -> None:
        self._send_control(error_event(error, stream_id, event_id))

    def _send_control(self, event: events.Event) -> None:
        """Send an event of the connection. A client that provokes them and does not read is cut off."""
        if not self._control.put(event):
            self.close = (CloseCode.POLICY, "too many unread errors")
