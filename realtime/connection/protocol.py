"""One socket's state machine. Pure: messages and times go in, commands and frames come out.

The I/O shell calls `receive` for each message and `handle_deadline` at each `next_deadline`. After either, and after
each completion that it reports, it drains `commands()`, then `next_deadline()`; it writes `step()`, or `frames()` when
that is None, whenever the transport takes more. A command may be completed at any later time (`commands` has the
table). Lanes (`stream_id`) are first in, first out; they run in parallel and share the socket's bandwidth event by
event. The connection owns no response: it holds readers, which point into logs that live elsewhere.

This module decides which part an event is for: `creates` (lanes and what is given into responses), `following` (what is
read), `stops` (what is to end), or the connection's own `session`; `closing` is its end. All parts share the commands
that are `pending`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from realtime.store.records import Source
from realtime.wire import codec, events
from realtime.wire.bodies import TicketRole
from realtime.wire.errors import CloseCode, WireError
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
    ResponseTruncate,
    SessionUpdate,
)  # fmt: skip
from realtime.wire.response import Response

from . import refusals
from .closing import Closing
from .commands import Awaited, Beat, Command, Create, Identify, Leave, Resume, Stop, Truncate
from .creates import Creates
from .following import Following, tell_epoch
from .heartbeats import Heartbeats
from .lanes import valid_stream_id
from .outbox import Outbox
from .pending import HeldEvent, Patient, PendingCommands
from .permissions import check_permitted
from .profiles import ConnectionLimits, Profile
from .readers import Readers
from .session import Session
from .stops import Stops


class Connection:
    """The state machine of one socket."""

    def __init__(
        self,
        profile: Profile,
        limits: ConnectionLimits,
        *,
        tenant: str,
        expires_at: float,
        default_model: str | None = None,
        role: TicketRole | None = None,
    ) -> None:
        """tenant: the connection's; a key that renews its credential must belong to the same. expires_at: when creates
        begin to be refused, on the clock of `receive`; age alone closes nothing. default_model: for creates that name
        none. role: of the ticket that it was opened with, if any.
        """
        self.profile = profile
        self._limits = limits
        self._default_model = default_model
        self._control = Outbox(limits.max_unsent_control)
        self._pending = PendingCommands(limits.max_pending)
        self._readers = Readers(partial(tell_epoch, self._control, native=profile.native))
        self._creates = Creates(limits, self._control, self._pending, self._readers)
        self._following = Following(limits, self._control, self._pending, self._readers, self._creates)
        self._stops = Stops(self._control, self._pending, self._readers, self._creates, native=profile.native)
        # To be asked in place of `frames` when only logs have grown.
        self.newest, self.newest_of_all = self._readers.newest, self._readers.newest_of_all
        self._heartbeats = Heartbeats(limits.heartbeat_seconds, wanted=profile.native)
        self._session = Session(self._heartbeats, self._control, self._pending, tenant=tenant, role=role)
        self._closing = Closing(
            limits, self._control, self._pending, self._readers, self._creates, expires_at=expires_at
        )

    # -- what the client says

    def receive(self, data: bytes, now: float) -> None:
        """Take one message. Any problem with it becomes an `error` event, never an exception."""
        if self.close is not None:
            return  # too late: a client that is cut off can't keep the socket by continuing
        try:
            event = codec.decode(data, self._limits.message)
        except codec.Rejected as rejected:
            self._reject(rejected)
            return
        self._take(event, len(data), now)

    def receive_binary(self) -> None:
        """Refuse a binary message."""
        self._control.refuse(refusals.binary_message(), None, None)

    def too_big(self) -> bytes:
        """Refuse a message that was too big to be read. The answer must be sent before the close."""
        self._control.take()  # what waits can't be sent any more
        self._control.refuse(refusals.too_big(self._limits.max_message_bytes), None, None)
        return b"".join(self._control.take())

    def _reject(self, rejected: codec.Rejected) -> None:
        """Answer a message that could not be decoded, in the lane that it names, if the name is valid."""
        lanes = self._creates.lanes
        stream_id = rejected.stream_id if valid_stream_id(rejected.stream_id) else None
        if rejected.type == "response.create":
            lanes.evict(lanes.get(rejected.stream_id), rejected.previous)
        self._control.refuse(rejected.error, stream_id, rejected.event_id)

    def _take(self, event: AnyClientEvent, num_bytes: int, now: float) -> None:
        """Carry out a client event, or keep it until the command that it depends on is completed."""
        try:
            check_permitted(event, self._session.role)
            if isinstance(event, Patient) and (command := self._awaited(event)) is not None:
                self._pending.hold(command, HeldEvent(event, now))
            else:
                self._obey(event, num_bytes, now)
        except WireError as error:
            self._control.answer(event, error)

    def _awaited(self, event: Patient) -> Awaited | None:
        """Return the pending command that an event depends on."""
        match event:
            case ResponseCancel():
                if event.response_id is not None:  # it comes at once, but after an `ack` before it
                    return self._pending.resume_with_ack(event.response_id)
                lane = self._creates.lanes.get(event.stream_id)
                return lane.opening if lane is not None else None
            case SessionUpdate():
                return self._pending.identify
            case _:
                return self._pending.resume_of(event.response_id)

    def _obey(self, event: AnyClientEvent, num_bytes: int, now: float) -> None:
        match event:
            case ResponseCreate():
                self._create(event, num_bytes, now)
            case ResponseCancel():
                self._stops.cancel(event)
            case ResponseTruncate():
                self._stops.truncate(event)
            case ResponseInterrupt():
                self._stops.interrupt(event)
            case ResponseSteer():
                self._creates.steer(event)
            case ResponseInject():
                self._creates.inject(event)
            case ResponseAck():
                self._readers.acknowledge(event)
            case ResponseProcessed():
                pass
            case ResponseResume():
                event.catch_up = event.catch_up or self._session.catch_up
                self._following.resume(event)
            case ResponseDetach():
                self._following.detach(event)
            case SessionUpdate():
                self._session.update(event, now)

    def _create(self, request: ResponseCreate, num_bytes: int, now: float) -> None:
        self._closing.check_open(now)
        if request.model is None:
            request.model = self._default_model
        request.catch_up = request.catch_up or self._session.catch_up
        self._creates.create(request, num_bytes)

    # -- commands, and what came of them

    def commands(self) -> list[Command]:
        """Drain the commands. Start each in order; its completion may lead to more."""
        commands, self._pending.to_start = self._pending.to_start, []
        return commands

    def opened(self, command: Create, source: Source) -> None:
        """Complete a create: it was accepted, and this is its response."""
        self._take_held(self._following.opened(command, source))

    def resumed(self, command: Resume, source: Source, start: int, pending: Sequence[events.PendingCall] = ()) -> None:
        """Complete a resume: it was accepted. `start`: the number of the first event to send. `pending`: the calls that
        wait for the client.
        """
        self._take_held(self._following.resumed(command, source, start, pending))

    def stopped(self, command: Stop, source: Source) -> None:
        """Complete a stop: the response was asked to end."""
        self._stops.stopped(command, source)

    def truncated(self, command: Stop | Truncate, response: Response, ended: Source | None) -> None:
        """Complete a truncation: this is the response now. `ended`: the response that was ended for it, if any."""
        self._stops.truncated(command, response, ended)

    def identified(self, command: Identify, tenant: str | None, now: float) -> bool:
        """Complete an identification: the key is this tenant's; None: nobody's. Return whether it is the connection's
        credential from now on.
        """
        held = self._pending.complete(command)
        if held is None:
            return False
        accepted = self._session.identified(command, tenant, now)
        self._take_held(held)
        return accepted

    def beat(self, heartbeat: events.Heartbeat) -> None:
        """Send the client a heartbeat, unless it has not read the previous one."""
        self._session.beat(heartbeat)

    def refused(self, command: Command, error: WireError) -> None:
        """Complete a command that was refused. For a heartbeat nobody waits, and a response that is left may well be
        gone.
        """
        if isinstance(command, Beat | Leave) or (held := self._pending.complete(command)) is None:
            return
        if isinstance(command, Create):
            self._creates.refused(command, error, held)
            return
        if not self._stops.is_late_cancel(command, error):
            self._control.refuse(error, None, command.event_id)
        self._take_held(held)

    def _take_held(self, held: Iterable[HeldEvent] | None) -> None:
        """Take the events that waited for a command, in order. One of them may lead to a command for which the rest
        waits.
        """
        for one in held or ():
            self._take(one.event, 0, one.received_at)
        self._creates.start_next()  # behind them: a create may have waited for what is cut by one of them

    # -- what goes out

    def step(self) -> list[bytes] | None:
        """Drain a step of the one response that is read, if nothing else is to be sent, done or closed. None: call
        `frames` instead.
        """
        control = self._control
        if control.waiting or self._pending.to_start or self._creates.ending is not None:
            return None
        if self._closing.decided is not None or control.overflowed:
            return None
        return self._readers.step()

    def frames(self, max_bytes: int) -> list[bytes]:
        """Drain up to about `max_bytes` of encoded events: control first, then one round after another of readers."""
        control = self._control
        before = control.take() if control.waiting else []
        out, done = self._readers.read(max_bytes)
        if before:
            out = before + out
        if done:
            self._following.go_on(done)
            out += control.take()  # what that has brought up
        if self._creates.ending is not None:
            self._closing.close_if_done()
        return out

    @property
    def num_slow(self) -> int:
        """The number of times that a reader was told it is too slow."""
        return self._following.num_slow

    @property
    def pending(self) -> bool:
        """Return whether there is something to send."""
        return bool(self._control.waiting) or self._readers.behind

    @property
    def due(self) -> bool:
        """Return whether a call of `frames` may lead to anything: something to send, or the end of the connection."""
        control = self._control
        ends = self._creates.ending is not None or self._closing.decided is not None or control.overflowed
        return bool(control.waiting) or ends or self._readers.due

    @property
    def may_wait(self) -> bool:
        """Return whether nothing to send is the first of anything, or an end: a client hardly notices when it comes."""
        return not self._control.waiting and self.close is None and self._readers.may_wait

    @property
    def followed(self) -> list[Source]:
        """The responses that are read."""
        return [reader.source for reader in self._readers]

    @property
    def idle(self) -> bool:
        """Return whether nothing is followed, nothing waits, and no command is pending."""
        return self._closing.idle

    @property
    def close(self) -> tuple[CloseCode, str] | None:
        """Return how to close the socket once `frames` is empty; None: not now."""
        return (CloseCode.POLICY, "too many unread errors") if self._control.overflowed else self._closing.decided

    # -- the life of the connection

    def open(self, session: events.Session, now: float) -> None:
        """Greet a native client, which gets heartbeats from now on. A plain client gets only what it has asked for."""
        if self.profile.native:
            self._session.greet(session, now)

    def next_deadline(self) -> float | None:
        """Return when to call `handle_deadline`, on the clock of `receive`; None: nothing is due at any time."""
        return self._heartbeats.due_at

    def handle_deadline(self, now: float) -> None:
        """Do what is due."""
        if self._heartbeats.take(now):
            self._pending.to_start.append(Beat(tuple(self._readers.response_ids)))

    def drain(self, grace_seconds: float, resume_after_seconds: float | None = None) -> None:
        """Prepare for the end of the server: refuse creates from now on, close when what runs has been delivered.
        `resume_after_seconds`: see SessionDraining.
        """
        self._closing.drain(grace_seconds, resume_after_seconds, native=self.profile.native)

    def leave_off(self) -> None:
        """Leave the responses that have no end yet: the next server continues them."""
        self._following.leave_off()
        self._closing.close_if_done()

    def revoked(self) -> None:
        """End a connection whose credential is no longer valid: say so and close, without the rest of the followed
        responses, which are left.
        """
        if self.close is None:
            self._leave()
            self._closing.revoke(by_ticket=self._session.role is not None)

    def disconnected(self) -> None:
        """Note that the socket is gone."""
        self._leave()
        self._control.take()

    def _leave(self) -> None:
        """Leave the responses that are read, and forget waiting and pending requests. A response that a pending one
        still leads to is left as well.
        """
        self._heartbeats.stop()
        self._pending.clear()
        self._following.clear()
        self._creates.clear()
