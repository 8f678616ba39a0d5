"""One socket's state machine. Pure: messages go in, commands and frames come out.

The I/O shell calls `receive` for each message, obeys `commands()` by calling the service, reports what came of them
(`opened`, `resumed`, `followed`, `refused`), and writes `frames()` whenever the transport takes more. Lanes
(`stream_id`) are first in, first out; lanes run beside each other; the socket's bandwidth is shared event by event.
The connection owns no response: it holds readers, which point into logs that live elsewhere.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from .conversation import Turn
from .log.event_log import BelowFloor, EventLog
from .wire import codec, events
from .wire.errors import CloseCode, ErrorCode, WireError
from .wire.requests import ResponseCancel, ResponseCreate, ResponseDetach, ResponseResume

_STREAM_ID = re.compile(r"[A-Za-z0-9_.\-]{1,256}\Z")
_QUANTUM = 16  # events that one response may send before the next one has its turn
_NO_ECHO = frozenset({ErrorCode.INVALID_STREAM_ID, ErrorCode.CONNECTION_LIMIT})


class Profile(enum.Enum):
    """What the client understands: OpenAI's events only, or ours too (sub-protocol `realtime.v1`)."""

    PLAIN = "plain"
    NATIVE = "native"


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection; `max_in_flight` responses run at once, more wait in their lanes."""

    max_in_flight: int = 16
    max_streams: int = 32
    max_queued: int = 256
    max_queued_bytes: int = 32 * 2**20
    max_followed: int = 64
    max_unsent_control: int = 1000
    message: codec.Limits = codec.Limits()


class Source(Protocol):
    """A response as a connection sees it."""

    @property
    def response_id(self) -> str: ...
    @property
    def log(self) -> EventLog: ...
    @property
    def turn(self) -> Turn | None:
        """What a next turn continues from; None until the response is over, and when it failed."""


class Create(msgspec.Struct, frozen=True):
    """Start this response. `parent` is set when the connection itself holds the turn to continue."""

    request: ResponseCreate
    stream_id: str | None
    parent: Turn | None
    num_bytes: int


class Cancel(msgspec.Struct, frozen=True):
    """Cancel this response. `delivered`: how many of its events this connection has taken; None: it reads none."""

    response_id: str
    delivered: int | None
    event_id: str | None


class Resume(msgspec.Struct, frozen=True):
    """Attach to this response at a cursor."""

    response_id: str
    starting_after: int
    epoch: str | None
    event_id: str | None


class Leave(msgspec.Struct, frozen=True):
    """This connection no longer reads this response. `detached`: the client said that it is to go on."""

    response_id: str
    detached: bool


Command = Create | Cancel | Resume | Leave


class _Reader:
    """A position in one log; `lane` is None for a response that was resumed and not created here."""

    __slots__ = ("lane", "position", "request", "source")

    def __init__(self, source: Source, position: int, lane: _Lane | None, request: ResponseCreate | None) -> None:
        self.source = source
        self.position = position
        self.lane = lane
        self.request = request


class _Lane:
    """One first-in-first-out sequence of turns, and the last finished one (the only home of a `store: false` turn)."""

    __slots__ = ("busy", "last", "queue", "stream_id")

    def __init__(self, stream_id: str | None) -> None:
        self.stream_id = stream_id
        self.queue: deque[Create] = deque()
        self.busy = False
        self.last: Turn | None = None


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
        self._lanes: dict[str | None, _Lane] = {}
        self._waiting: deque[_Lane] = deque()  # idle lanes with something in their queue, oldest first
        self._num_in_flight = 0
        self._num_queued = 0
        self._num_queued_bytes = 0
        self._readers: dict[str, _Reader] = {}
        self._rotation: deque[_Reader] = deque()
        self._control: deque[bytes] = deque()
        self._next_number = 0
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
            match event:
                case ResponseCreate():
                    self._create(event, len(data), now)
                case ResponseCancel():
                    self._cancel(event)
                case ResponseResume():
                    self._resume(event)
                case ResponseDetach():
                    self._detach(event)
        except WireError as error:
            stream_id = event.stream_id if isinstance(event, (ResponseCreate, ResponseCancel)) else None
            self._send_error(error, stream_id, event.event_id)

    def receive_binary(self) -> None:
        """A binary message, which nobody has agreed on."""
        self._send_error(WireError(ErrorCode.INVALID_JSON, "Send JSON in text messages, not binary ones."), None, None)

    def _reject(self, rejected: codec.Rejected) -> None:
        """A message that could not be decoded: to the lane that it names, if it names one properly."""
        stream_id = rejected.stream_id if _valid(rejected.stream_id) else None
        self._send_error(rejected.error, stream_id, rejected.event_id)

    def _create(self, request: ResponseCreate, num_bytes: int, now: float) -> None:
        if now >= self._expires_at and self._ending is None:
            self._ending = _expired
        if self._ending is not None:
            raise self._ending()
        if request.background:
            text = "`background` is not available on a socket: use `on_disconnect: {policy: continue}`."
            raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param="background")
        if request.model is None:
            request.model = self._default_model
        lane = self._lane(request.stream_id)
        limits = self._limits
        waits = lane.busy or lane.queue or self._num_in_flight >= limits.max_in_flight
        num_queued_bytes = self._num_queued_bytes + num_bytes
        if waits and (self._num_queued >= limits.max_queued or num_queued_bytes > limits.max_queued_bytes):
            text = f"{self._num_queued} requests wait on this connection already; wait for answers before sending more."
            raise WireError(ErrorCode.TOO_MANY_QUEUED, text)
        # Pinned now: the lane that holds the parent may move on before this request's turn comes.
        parent = self._find_turn(request.previous_response_id)
        lane.queue.append(Create(request, lane.stream_id, parent, num_bytes))
        self._num_queued += 1
        self._num_queued_bytes = num_queued_bytes
        if not lane.busy and len(lane.queue) == 1:
            self._waiting.append(lane)
        self._start_next()

    def _lane(self, stream_id: Any) -> _Lane:
        """The lane of this name, made if it is new. Raises WireError."""
        lane = self._lanes.get(stream_id) if isinstance(stream_id, str | None) else None
        if lane is not None:
            return lane
        if stream_id is not None:
            if not _valid(stream_id):
                text = "`stream_id` must be 1 to 256 characters of letters, digits, `_`, `-` and `.`."
                raise WireError(ErrorCode.INVALID_STREAM_ID, text, param="stream_id")
            if len(self._lanes) - (None in self._lanes) >= self._limits.max_streams:
                text = (
                    f"This connection has used its {self._limits.max_streams} distinct stream IDs: "
                    "reuse one of them or open a new connection."
                )
                raise WireError(ErrorCode.STREAM_LIMIT, text, param="stream_id")
        lane = self._lanes[stream_id] = _Lane(stream_id)
        return lane

    def _find_turn(self, response_id: str | None) -> Turn | None:
        if response_id is None:
            return None
        for lane in self._lanes.values():
            if lane.last is not None and lane.last.response_id == response_id:
                return lane.last
        return None

    def _start_next(self) -> None:
        """Give out creates of idle lanes, oldest first, while there is room in flight."""
        while self._waiting and self._num_in_flight < self._limits.max_in_flight:
            lane = self._waiting.popleft()
            create = lane.queue.popleft()
            self._num_queued -= 1
            self._num_queued_bytes -= create.num_bytes
            if create.parent is None:  # the parent may have been running in this very lane when the request came
                create = msgspec.structs.replace(create, parent=self._find_turn(create.request.previous_response_id))
            lane.busy = True
            self._num_in_flight += 1
            self._commands.append(create)

    def _cancel(self, event: ResponseCancel) -> None:
        if event.response_id is not None:
            reader = self._readers.get(event.response_id)
            delivered = reader.position if reader is not None else None
            self._commands.append(Cancel(event.response_id, delivered, event.event_id))
            return
        lane = self._lanes.get(event.stream_id) if isinstance(event.stream_id, str | None) else None
        running = next((r for r in self._readers.values() if lane is not None and r.lane is lane), None)
        if running is not None:
            self._commands.append(Cancel(running.source.response_id, running.position, event.event_id))
        elif lane is None or not lane.queue:
            raise WireError(ErrorCode.RESPONSE_NOT_FOUND, "Nothing is running on this stream.", param="stream_id")
        else:
            cancelled = WireError(ErrorCode.REQUEST_CANCELLED, "The request was cancelled before it was started.")
            self._drop_queue(lane, cancelled)

    def _drop_queue(self, lane: _Lane, error: WireError) -> None:
        """Give up a lane's requests that have not been started, each with an answer of its own."""
        if lane in self._waiting:
            self._waiting.remove(lane)
        while lane.queue:
            create = lane.queue.popleft()
            self._num_queued -= 1
            self._num_queued_bytes -= create.num_bytes
            self._send_error(error, create.stream_id, create.request.event_id)

    def _resume(self, event: ResponseResume) -> None:
        if len(self._readers) - self._num_in_flight >= self._limits.max_followed:
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
        lane = self._lanes[command.stream_id]
        old = self._readers.get(source.response_id)
        if old is not None:  # the same idempotent request, sent again on the same socket
            self._remove(old)
        self._follow(_Reader(source, 0, lane, command.request))

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
            self._follow(_Reader(source, start, None, None))

    def refused(self, command: Command, error: WireError) -> None:
        """The command could not be obeyed: answer it, and free its lane."""
        match command:
            case Create():
                self._send_error(error, command.stream_id, command.request.event_id)
                lane = self._lanes[command.stream_id]
                self._evict(lane, command.request)
                self._free(lane)
            case Cancel() | Resume():
                self._send_error(error, None, command.event_id)
            case Leave():
                pass  # what we no longer read may well be gone

    # -- what goes out

    def frames(self, max_bytes: int) -> list[bytes]:
        """Drain up to about `max_bytes` of encoded events: control first, then one round after another of readers."""
        out: list[bytes] = []
        size = 0
        while self._control:
            out.append(self._control.popleft())
        more = True
        while more and size < max_bytes:
            more = False
            for _ in range(len(self._rotation)):
                reader = self._rotation[0]
                self._rotation.rotate(-1)
                chunk = self._read(reader)
                out += chunk
                size += sum(map(len, chunk))
                more = more or len(chunk) == _QUANTUM  # who had less is at the tip now
                if size >= max_bytes:
                    break
        while self._control:  # what reading brought up
            out.append(self._control.popleft())
        self._close_if_done()
        return out

    @property
    def pending(self) -> bool:
        """There is something to send."""
        return bool(self._control) or any(r.position < r.source.log.tip for r in self._rotation)

    @property
    def idle(self) -> bool:
        """Nothing is followed and nothing waits."""
        return not self._readers and not self._num_queued and not self._num_in_flight

    def _read(self, reader: _Reader) -> list[bytes]:
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

    def _finished(self, reader: _Reader) -> None:
        """The terminal event has been taken: the lane remembers the turn and goes on."""
        self._commands.append(Leave(reader.source.response_id, detached=False))
        lane = reader.lane
        if lane is not None:
            turn = reader.source.turn
            if turn is not None:
                lane.last = turn
            elif reader.request is not None:
                self._evict(lane, reader.request)
        self._remove(reader)

    def _too_slow(self, reader: _Reader, floor: int) -> None:
        response_id = reader.source.response_id
        text = (
            f"Response '{response_id}' was read too slowly: events before {floor} are gone. "
            "Fetch the finished response instead."
        )
        stream_id = reader.lane.stream_id if reader.lane else None
        self._send_error(WireError(ErrorCode.SLOW_READER, text, response_id=response_id), stream_id, None)
        self._leave(reader, detached=False)

    # -- the life of the connection

    def open(self, session: events.Session) -> None:
        """Greet a native client; a plain one hears nothing that it has not asked for."""
        if self.profile is Profile.NATIVE:
            self._send_control(events.SessionCreated(session=session))

    def drain(self, grace_seconds: float) -> None:
        """The server is going down: refuse creates from now on, close when what runs has been delivered."""
        self._ending = draining
        if self.profile is Profile.NATIVE:
            self._send_control(events.SessionDraining(grace_seconds=grace_seconds))
        for lane in self._lanes.values():
            self._drop_queue(lane, draining())
        self._close_if_done()

    def disconnected(self) -> list[Leave]:
        """The socket is gone: what it read is left behind; what waited was never started."""
        leaves = [Leave(response_id, detached=False) for response_id in self._readers]
        self._readers.clear()
        self._rotation.clear()
        self._lanes.clear()
        self._waiting.clear()
        self._control.clear()
        self._commands.clear()
        return leaves

    def _close_if_done(self) -> None:
        if self._ending is not None and self.idle and self.close is None:
            self.close = (CloseCode.RESTART, self._ending().spec.code)

    # -- small parts

    def _follow(self, reader: _Reader) -> None:
        self._readers[reader.source.response_id] = reader
        self._rotation.append(reader)

    def _leave(self, reader: _Reader, *, detached: bool) -> None:
        """Read it no more. The command comes first: freeing the lane may start a create that attaches to it again."""
        self._commands.append(Leave(reader.source.response_id, detached=detached))
        self._remove(reader)

    def _remove(self, reader: _Reader) -> None:
        del self._readers[reader.source.response_id]
        self._rotation.remove(reader)
        if reader.lane is not None:
            self._free(reader.lane)

    def _free(self, lane: _Lane) -> None:
        lane.busy = False
        self._num_in_flight -= 1
        if lane.queue:
            self._waiting.append(lane)
        self._start_next()

    def _evict(self, lane: _Lane, request: ResponseCreate) -> None:
        """A failed continuation in its own lane takes the parent with it; a fork from another lane does not."""
        if lane.last is not None and lane.last.response_id == request.previous_response_id:
            lane.last = None

    def _send_error(self, error: WireError, stream_id: Any, event_id: str | None) -> None:
        echo = stream_id is not None and error.code not in _NO_ECHO and _valid(stream_id)
        event = events.Error(
            done=True,
            status=error.spec.status,
            error=events.error_body(error),
            stream_id=stream_id if echo else msgspec.UNSET,
            event_id=msgspec.UNSET if event_id is None else event_id,
        )
        self._send_control(event)

    def _send_control(self, event: events.Event) -> None:
        """Number an event of the connection. A client that provokes them and does not read is cut off."""
        if len(self._control) >= self._limits.max_unsent_control:
            self.close = (CloseCode.POLICY, "too many unread errors")
            return
        event.sequence_number = self._next_number
        self._next_number += 1
        self._control.append(codec.encode(event))


def draining() -> WireError:
    """The refusal of new work while the server goes down."""
    return WireError(ErrorCode.SERVER_DRAINING, "The server is restarting: connect again and repeat the request.")


def _expired() -> WireError:
    """The refusal of new work past the connection's lifetime; what runs is delivered to its end."""
    text = "Responses websocket connection limit reached. Create a new websocket connection to continue."
    return WireError(ErrorCode.CONNECTION_LIMIT, text)


def _valid(stream_id: Any) -> bool:
    return isinstance(stream_id, str) and _STREAM_ID.match(stream_id) is not None
