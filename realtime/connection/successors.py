"""From what is given into a connection's responses to the responses that go on with it. Pure.

The connection says what happens to its responses; here it is decided what is accepted (`steering` has the rules and the
book), what becomes a successor, what waits for the client and what is given back. Events that come back are to be sent.
"""

from __future__ import annotations

import msgspec

from realtime.wire import events
from realtime.wire.calls import required_input
from realtime.wire.errors import WireError
from realtime.wire.ids import new_id
from realtime.wire.requests import ResponseCreate, ResponseInject, ResponseSteer
from realtime.wire.response import Response

from . import steering
from .commands import Source
from .lanes import ConnectionLimits, Create, Lane
from .readers import Reader
from .steering import Held, Steer, Steering, SteerRefused


class Successors:
    """One connection's. `ending`, where it is asked for: why the connection takes no new work, if so."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._message = limits.message
        self._steering = Steering(max_steers=limits.max_steers, max_bytes=limits.max_queued_bytes)

    def target(self, response_id: str) -> str:
        """See Steering."""
        return self._steering.target(response_id)

    def steer(
        self, event: ResponseSteer, target: str, reader: Reader | None, ending: WireError | None
    ) -> tuple[events.Event, bool]:
        """User input for the response `target`: the answer, and whether it is taken: then the response is to be cut."""
        data = bytes(event.input)
        stream_id = _stream_id(reader)
        try:
            reader = self._steerable(reader, target, ending)
            items = steering.steer_items(data, self._message, reader.source.output)
            steer = Steer(new_id("steer"), event.previous_response_id, data, items)
            self._steering.add(target, steer)
        except SteerRefused as refused:
            failed = steering.steer_failed(event.previous_response_id, data, refused)
            return _of(failed, stream_id), False
        return _of(events.ResponseSteerAccepted(steer=_ref(steer)), stream_id), True

    def inject(
        self, event: ResponseInject, target: str, reader: Reader | None, ending: WireError | None
    ) -> events.Event:
        """Tool outputs for the response `target`: the answer. Raises WireError."""
        data = bytes(event.input)
        stream_id = _stream_id(reader)
        try:
            reader = self._steerable(reader, target, ending)
            items = steering.inject_items(data, self._message, reader.source.output)
            self._steering.add(target, Steer(None, event.response_id, data, items))
        except SteerRefused as refused:
            unknown = refused.code == "response_not_found"
            code = refused.code if unknown else "response_already_completed"
            return _of(steering.inject_failed(event.response_id, data, code, refused.message), stream_id)
        return _of(events.ResponseInjectCreated(response_id=event.response_id), stream_id)

    def _steerable(self, reader: Reader | None, target: str, ending: WireError | None) -> Reader:
        """The reader of a response that may have an automatic successor. Raises SteerRefused."""
        if reader is None:
            raise self._steering.over(target)
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

    def started(self, lane: Lane, create: Create) -> tuple[Create, list[events.Event]]:
        """A create that is about to start, with what waited in its lane if it continues the response of that."""
        if create.request.generate is False or create.automatic:
            return create, []
        held = self._steering.release(lane.stream_id)
        if held is None:
            return create, []
        if held.response_id == create.request.previous_response_id:
            return msgspec.structs.replace(create, steers=held.steers), []
        text = f"The stream went on without answering the calls of response '{held.response_id}'."
        return create, _given_back(held.steers, SteerRefused("response_not_active", text), lane.stream_id)

    def created(self, command: Create, response_id: str) -> None:
        """A create was accepted, and this is its response."""
        if command.automatic and command.parent is not None:
            self._steering.succeeded(command.parent.response_id, response_id)

    def not_created(self, create: Create, error: WireError) -> list[events.Event]:
        """A create was refused: what it was to commit goes back."""
        return _given_back(create.steers, _not_created(error), create.stream_id)

    def left(self, response_id: str, stream_id: str | None) -> list[events.Event]:
        """The connection reads a response of its own no more: what waits for it goes back."""
        text = f"This connection no longer follows response '{response_id}'."
        return _given_back(self._steering.take(response_id), SteerRefused("response_not_active", text), stream_id)

    def ended(
        self, source: Source, lane: Lane, request: ResponseCreate, ending: WireError | None
    ) -> tuple[Create | None, list[events.Event]]:
        """A response of this connection is over: what was given into it starts its successor, or waits, or goes back.

        Nothing of it is known to the client yet: its last event is on its way out.
        """
        response = source.response
        self._steering.ended(source.response_id, response.status)
        steers = self._steering.take(source.response_id)
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
        self._steering.hold(lane.stream_id, Held(source.response_id, steers))
        pending = [events.ResponseSteerPending(steer=_ref(s), required_input=required) for s in steers if s.id]
        return None, [_of(event, lane.stream_id) for event in pending]

    def clear(self) -> None:
        """The socket is gone."""
        self._steering.clear()


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
    """The event, as one of what this lane does."""
    if stream_id is not None:
        event.stream_id = stream_id
    return event


def _is_stopped(response: Response) -> bool:
    """Somebody wanted this to end, and no more."""
    details = response.incomplete_details
    return response.status == "cancelled" or (details is not None and details.reason == "interrupted")
