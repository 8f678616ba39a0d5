"""The responses that one connection follows, from a create, a resume or a stop on until their end, or until the client
has had enough of them. Pure.

`Connection` reports the client's requests, what came of the commands, and what has been read. `readers` has the
positions; this module decides when one begins and ends, and what the client is told then. Methods that complete a
command return the client events that waited for it, to be taken now; None: the socket was gone before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from realtime.context.outputs import pending_calls
from realtime.store import cursor
from realtime.store.records import Source
from realtime.wire import events
from realtime.wire.requests import ResponseDetach, ResponseResume

from . import refusals
from .catch_up import CatchUp
from .commands import Create, Resume
from .creates import Creates
from .outbox import Outbox
from .pending import HeldEvent, PendingCommands
from .profiles import ConnectionLimits
from .readers import Done, Reader, Readers


class Following:
    """The responses that a connection follows. `num_slow`: how often a reader was told that it is too slow."""

    __slots__ = ("_control", "_creates", "_max_followed", "_pending", "_readers", "num_slow")

    def __init__(
        self, limits: ConnectionLimits, control: Outbox, pending: PendingCommands, readers: Readers, creates: Creates
    ) -> None:
        """control: where answers go. creates: told which responses of lanes are over."""
        self.num_slow = 0
        self._max_followed = limits.max_followed
        self._control = control
        self._pending = pending
        self._readers = readers
        self._creates = creates

    # -- what the client wants. Each raises WireError

    def resume(self, event: ResponseResume) -> None:
        """Send the events of a response from here on."""
        readers = self._readers
        coming = sum(isinstance(one, Resume) and one.response_id not in readers for one in self._pending)
        if readers.num_foreign + coming >= self._max_followed:
            raise refusals.too_many_followed(self._max_followed)
        merged = event.catch_up == "merged"
        self._pending.ask(Resume(event.response_id, event.starting_after, event.epoch, event.event_id, merged))

    def detach(self, event: ResponseDetach) -> None:
        """Send no more events of a response, which continues."""
        reader = self._readers.get(event.response_id)
        if reader is None:
            raise refusals.not_followed(event.response_id)
        self._readers.remove(reader)
        self._left(reader, detached=True)

    # -- what came of the commands

    def opened(self, command: Create, source: Source) -> list[HeldEvent] | None:
        """Complete a create that was accepted: follow the response from its first event."""
        held = self._pending.complete_with(command, source.response_id)
        if held is None:
            return None
        lane = self._creates.accepted(command, source.response_id)
        old = self._readers.get(source.response_id)
        if old is not None:  # the same idempotent request, sent again on the same socket
            self._readers.remove(old)
            self._control.put_all(old.answers)
            if old.lane is not None:
                self._creates.free(old.lane)
        reader = Reader(source, 0, lane, command.request)
        if source.log.earlier:  # its first event, which this client takes for the beginning, is of another epoch
            reader.epoch = None
        if command.request.catch_up == "merged":
            reader.catch_up = CatchUp(source.log.tip)
        self._readers.add(reader)
        return held

    def resumed(
        self, command: Resume, source: Source, start: int, pending: Sequence[events.PendingCall] = ()
    ) -> list[HeldEvent] | None:
        """Complete a resume that was accepted: say so, then follow from number `start`. A response that is read already
        continues from there. `pending`: its calls that wait for the client.
        """
        held = self._pending.complete_with(command, source.response_id)
        if held is None:
            return None
        log = source.log
        self._control.put(_resumed(source, start, pending))
        reader = self._readers.get(source.response_id)
        if reader is not None:
            reader.position, reader.epoch = start, log.epoch
        else:
            reader = Reader(source, start, None, None)
            self._readers.add(reader)
        reader.catch_up = CatchUp(log.tip) if command.merged else None
        return held

    # -- what has been read

    def go_on(self, done: Iterable[Done]) -> None:
        """Take readers that are done out of their lanes, which advance."""
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

    def leave_off(self) -> None:
        """Leave the responses that have no end yet."""
        for reader in [reader for reader in self._readers if not reader.source.log.sealed]:
            self._readers.remove(reader)
            self._left(reader, detached=False)

    def _finished(self, reader: Reader) -> None:
        """Note that the terminal event was taken."""
        self._control.put_all(reader.answers)
        self._pending.leave(reader.source.response_id)
        if reader.lane is not None and reader.request is not None:
            self._creates.finished(reader.source, reader.lane, reader.request)

    def _left(self, reader: Reader, *, detached: bool) -> None:
        """Stop reading a response. The command comes first: freeing the lane may start a create that attaches to it
        again.
        """
        response_id = reader.source.response_id
        self._control.put_all(reader.answers)
        self._pending.leave(response_id, detached=detached)
        if reader.lane is not None:
            self._creates.left(response_id, reader.lane)

    # -- the end

    def clear(self) -> None:
        """Leave all responses: the socket is gone."""
        for response_id in self._readers.response_ids:
            self._pending.leave(response_id)
        self._readers.clear()


def tell_epoch(control: Outbox, reader: Reader, *, native: bool) -> list[bytes]:
    """Return the event that tells a client in which epoch its response goes on: one that has asked for such events by a
    resume, or is native.
    """
    if not native and reader.lane is not None:
        return []
    source = reader.source
    control.put(_resumed(source, reader.num_taken, pending_calls(source.output)))
    return control.take()


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
