"""A client's requests to end or to cut its responses, and their answers. Pure.

`Connection` reports the requests and what came of the commands. A response that is stopped has one terminal event,
which every reader is sent: it is the receipt. (A steer stops a response too, but for the sake of the input: `creates`.)
"""

from __future__ import annotations

from msgspec import UNSET

from realtime.store.records import Source
from realtime.wire import events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCancel, ResponseInterrupt, ResponseTruncate
from realtime.wire.response import Response

from . import refusals
from .commands import Awaited, Stop, Truncate
from .creates import Creates
from .outbox import Outbox
from .pending import PendingCommands
from .readers import Reader, Readers

_MAX_ANSWERS = 256  # that wait for the terminal event of one response
_TOO_LATE = frozenset({ErrorCode.RESPONSE_ALREADY_COMPLETED, ErrorCode.RESPONSE_NOT_FOUND})


class Stops:
    """The stops and truncations of one connection.

    native: the client is told when its cancel came too late. A plain one is not: OpenAI's protocol has no such answer,
    and its clients would take an unexpected `error` for the first event of their next turn.
    """

    __slots__ = ("_control", "_creates", "_native", "_pending", "_readers")

    def __init__(
        self, control: Outbox, pending: PendingCommands, readers: Readers, creates: Creates, *, native: bool
    ) -> None:
        """control: where answers go. creates: those of a lane are cancelled with it."""
        self._control = control
        self._pending = pending
        self._readers = readers
        self._creates = creates
        self._native = native

    # -- what the client wants. Each raises WireError

    def cancel(self, event: ResponseCancel) -> None:
        """End a response; without a running one, drop what waits in the lane."""
        if event.response_id is not None:
            if self._native or event.through is not None or not self._creates.successors.has_ended(event.response_id):
                self._cancel(event.response_id, event)
            return
        lane = self._creates.lanes.get(event.stream_id)
        running = self._readers.of(lane) if lane is not None else None
        if running is not None:
            self._cancel(running.source.response_id, event)
        elif lane is not None and lane.queue:
            self._creates.drop_queue(lane, refusals.cancelled())
        elif self._native or lane is None or not lane.used or event.through is not None:
            raise refusals.nothing_runs()

    def _cancel(self, response_id: str, event: ResponseCancel) -> None:
        self._pending.ask(self._readers.new_cancel(response_id, event, native=self._native))

    def truncate(self, event: ResponseTruncate) -> None:
        """Cut an answer where its user stopped listening."""
        self._pending.ask(self._readers.new_truncate(event))

    def interrupt(self, event: ResponseInterrupt) -> None:
        """End a response without the item that is being written."""
        response_id = event.response_id
        followed = response_id in self._readers
        self._pending.ask(Stop(response_id=response_id, how="interrupt", followed=followed, event_id=event.event_id))

    # -- what came of the commands

    def stopped(self, command: Stop, source: Source) -> None:
        """Complete a stop: the response will end. If this connection does not read it, it is sent the end, which is the
        receipt.
        """
        if command.followed:
            self._pending.complete(command)
        elif self._pending.complete_with(command, source.response_id) is not None:
            self._read_end(source)
        self._creates.start_next()

    def truncated(self, command: Stop | Truncate, response: Response, ended: Source | None) -> None:
        """Complete a truncation: this is the response now. `ended`: the response, if it was ended for that. Its
        terminal event comes first, even if it was not read until now.
        """
        if self._pending.complete(command) is None:
            return
        if ended is not None and not command.followed:
            self._read_end(ended)
        event_id = UNSET if command.event_id is None else command.event_id
        event = events.ResponseTruncated(done=True, response=response, event_id=event_id)
        reader = self._readers.get(command.response_id)
        if reader is None or len(reader.answers) >= _MAX_ANSWERS:
            self._control.put(event)
        else:
            reader.answers.append(event)
        self._creates.start_next()

    def is_late_cancel(self, command: Awaited, error: WireError) -> bool:
        """Return whether a command was refused because a plain client has cancelled a response of its own that was
        over.
        """
        if self._native or not isinstance(command, Stop) or command.how != "cancel" or error.code not in _TOO_LATE:
            return False
        if command.cuts_late:
            return False
        reader = self._readers.get(command.response_id)
        own = reader is not None and reader.lane is not None
        return own or self._creates.successors.has_created(command.response_id)

    def _read_end(self, source: Source) -> None:
        """Read a response that ends, or has ended, unless it is read already: its end is an answer."""
        if source.response_id not in self._readers:
            self._readers.add(Reader(source, source.log.tip - source.log.sealed, None, None))
