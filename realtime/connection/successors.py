"""Steering on one connection: accept input for running responses and create their successors. Pure.

The connection reports what happens to its responses. This module decides which input makes a successor, which waits for
the client, and which is given back; `steering` has the rules for acceptance. Returned events are to be sent.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from realtime.store.records import Source
from realtime.wire import events
from realtime.wire.calls import required_input
from realtime.wire.errors import WireError
from realtime.wire.ids import new_id
from realtime.wire.requests import ResponseCreate, ResponseInject, ResponseSteer
from realtime.wire.response import Response

from . import steering
from .commands import Create
from .lanes import Lane
from .profiles import ConnectionLimits
from .readers import Reader
from .steering import Steer, SteerRefused, WaitingInput

_MAX_CREATED = 256  # responses that a connection remembers to have created, the newest


class Created(msgspec.Struct):
    """A response that this connection created. `status`: how it ended; None: this connection has not seen its end.

    `successor`: the response that continued with the input given into this one.
    """

    status: str | None = None
    successor: str | None = None


class Successors:
    """Input given into the responses of one connection, and the fate of those that are over.

    Bounds: `max_steers` inputs, and `max_queued_bytes` of them, for one response. All of it vanishes with the
    connection. `ending`, when called: why the connection takes no new work, if so.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._queued: dict[str, list[Steer]] = {}  # by the response that runs
        self._waiting: dict[str | None, WaitingInput] = {}  # by lane
        self._created: OrderedDict[str, Created] = OrderedDict()

    def target(self, response_id: str) -> str:
        """Return the response that now stands for this one: itself, or the newest of its automatic successors."""
        while (created := self._created.get(response_id)) is not None and created.successor is not None:
            response_id = created.successor
        return response_id

    def has_created(self, response_id: str) -> bool:
        """Return whether this connection created the response, and remembers it."""
        return response_id in self._created

    def has_ended(self, response_id: str) -> bool:
        """Return whether this connection created the response, and has seen its end."""
        created = self._created.get(response_id)
        return created is not None and created.status is not None

    def steer(
        self, event: ResponseSteer, target: str, reader: Reader | None, ending: WireError | None
    ) -> tuple[events.Event, bool]:
        """Take user input for the response `target`. Return the answer, and whether it was accepted: then the response
        is to be cut.
        """
        data = bytes(event.input)
        stream_id = _stream_id(reader)
        try:
            reader = self._steerable(reader, target, ending)
            items = steering.steer_items(data, self._limits.message, reader.source.output)
            steer = Steer(new_id("steer"), event.previous_response_id, data, items)
            self._queue(target, steer)
        except SteerRefused as refused:
            failed = steering.steer_failed(event.previous_response_id, data, refused)
            return _of(failed, stream_id), False
        return _of(events.ResponseSteerAccepted(steer=_ref(steer)), stream_id), True

    def inject(
        self, event: ResponseInject, target: str, reader: Reader | None, ending: WireError | None
    ) -> events.Event:
        """Take tool outputs for the response `target`, and return the answer. Raises WireError."""
        data = bytes(event.input)
        stream_id = _stream_id(reader)
        try:
            reader = self._steerable(reader, target, ending)
            items = steering.inject_items(data, self._limits.message, reader.source.output)
            self._queue(target, Steer(None, event.response_id, data, items))
        except SteerRefused as refused:
            unknown = refused.code == "response_not_found"
            code = refused.code if unknown else "response_already_completed"
            return _of(steering.inject_failed(event.response_id, data, code, refused.message), stream_id)
        return _of(events.ResponseInjectCreated(response_id=event.response_id), stream_id)

    def _steerable(self, reader: Reader | None, target: str, ending: WireError | None) -> Reader:
        """Return the reader of a response that may have an automatic successor. Raises SteerRefused."""
        if reader is None:
            raise self._not_followed(target)
        if reader.lane is None or reader.request is None:
            text = f"Response '{target}' was created on another connection, which alone can continue it by itself."
            raise SteerRefused("steering_not_supported", text)
        steering.check_steerable(reader.request)
        if ending is not None:
            raise _not_created(ending)
        log, response = reader.source.log, reader.source.response
        if log.sealed and (reader.source.turn is None or _is_stopped(response)):
            raise steering.refusal(response.status, target)
        return reader

    def commit(self, lane: Lane, create: Create) -> tuple[Create, list[events.Event]]:
        """Add the input that waits in its lane to a create that starts now, if it continues the response that was
        steered.
        """
        if create.request.generate is False or create.automatic:
            return create, []
        waiting = self._waiting.pop(lane.stream_id, None)
        if waiting is None:
            return create, []
        if waiting.response_id == create.request.previous_response_id:
            return msgspec.structs.replace(create, steers=waiting.steers), []
        text = f"The stream went on without answering the calls of response '{waiting.response_id}'."
        return create, _given_back(waiting.steers, SteerRefused("response_not_active", text), lane.stream_id)

    def created(self, command: Create, response_id: str) -> None:
        """Note that a create was accepted, and its response."""
        if command.automatic and command.parent is not None:
            parent = self._created.get(command.parent.response_id)
            if parent is not None:
                parent.successor = response_id
        self._remember(response_id)

    def not_created(self, create: Create, error: WireError) -> list[events.Event]:
        """Note that a create was refused: the input that it was to commit goes back."""
        return _given_back(create.steers, _not_created(error), create.stream_id)

    def left(self, response_id: str, stream_id: str | None) -> list[events.Event]:
        """Note that the connection stopped reading one of its own responses: the input that waits for it goes back."""
        text = f"This connection no longer follows response '{response_id}'."
        return _given_back(self._take(response_id), SteerRefused("response_not_active", text), stream_id)

    def ended(
        self, source: Source, lane: Lane, request: ResponseCreate, ending: WireError | None
    ) -> tuple[Create | None, list[events.Event]]:
        """Note that a response of this connection is over: the input given into it starts its successor, or waits, or
        goes back.

        The client does not know of the end yet: the last event is on its way out.
        """
        response = source.response
        self._remember(source.response_id).status = response.status
        steers = self._take(source.response_id)
        if not steers:
            return None, []
        if source.turn is None or _is_stopped(response):
            return None, _given_back(steers, steering.refusal(response.status, response.id), lane.stream_id)
        if ending is not None:
            return None, _given_back(steers, _not_created(ending), lane.stream_id)
        required = required_input(response.output, [item for steer in steers for item in steer.items])
        if not required:
            successor = steering.successor_request(request, response, steers)
            num_bytes = sum(steer.num_bytes for steer in steers)
            return Create(successor, lane.stream_id, source.turn, num_bytes, steers, automatic=True), []
        self._waiting[lane.stream_id] = WaitingInput(source.response_id, steers)
        pending = [events.ResponseSteerPending(steer=_ref(s), required_input=required) for s in steers if s.id]
        return None, [_of(event, lane.stream_id) for event in pending]

    def clear(self) -> None:
        """Forget everything: the socket is gone."""
        self._queued.clear()
        self._waiting.clear()
        self._created.clear()

    def _remember(self, response_id: str) -> Created:
        """Note a response as the newest one, and keep what was known of it."""
        created = self._created.setdefault(response_id, Created())
        self._created.move_to_end(response_id)
        if len(self._created) > _MAX_CREATED:
            self._created.popitem(last=False)
        return created

    def _queue(self, target: str, steer: Steer) -> None:
        """Keep input for a response that runs. Raises SteerRefused."""
        queue = self._queued.get(target, [])
        num_bytes = steer.num_bytes + sum(other.num_bytes for other in queue)
        if len(queue) >= self._limits.max_steers or num_bytes > self._limits.max_queued_bytes:
            text = f"{len(queue)} inputs wait for response '{target}' already: wait for its successor."
            raise SteerRefused("too_many_pending_steers", text)
        self._queued.setdefault(target, queue).append(steer)

    def _take(self, response_id: str) -> tuple[Steer, ...]:
        """Take everything that waits for a response."""
        return tuple(self._queued.pop(response_id, ()))

    def _not_followed(self, response_id: str) -> SteerRefused:
        """Return why a response that this connection does not follow takes no input."""
        created = self._created.get(response_id)
        if created is None or created.status is None:
            text = f"Response '{response_id}' is not one of this connection's."
            return SteerRefused("response_not_found", text)
        return steering.refusal(created.status, response_id)


def _given_back(steers: tuple[Steer, ...], refused: SteerRefused, stream_id: str | None) -> list[events.Event]:
    return [_of(steering.failed(steer, refused), stream_id) for steer in steers]


def _not_created(error: WireError) -> SteerRefused:
    return SteerRefused("successor_creation_failed", error.message)


def _ref(steer: Steer) -> events.SteerRef:
    assert steer.id is not None
    return events.SteerRef(id=steer.id, previous_response_id=steer.response_id)


def _stream_id(reader: Reader | None) -> str | None:
    return reader.lane.stream_id if reader is not None and reader.lane is not None else None


def _of(event: events.Event, stream_id: str | None) -> events.Event:
    """Return the event as one of this lane's."""
    if stream_id is not None:
        event.stream_id = stream_id
    return event


def _is_stopped(response: Response) -> bool:
    """Return whether it was stopped without a wish for a successor."""
    details = response.incomplete_details
    return response.status == "cancelled" or (details is not None and details.reason == "interrupted")
