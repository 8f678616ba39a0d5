"""Errors: numbered by the connection, sent where they belong, bounded where nobody reads them."""

from __future__ import annotations

import json

import pytest

from realtime.connection.outbox import Outbox
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.wire import events
from realtime.wire.errors import CloseCode, ErrorCode, WireError
from realtime.wire.requests import ResponseCancel, ResponseDetach
from tests.connection.playbook import NOTHING, Desk, create_in, error, event

NONSENSE = event("nonsense")


def binary(connection: Connection) -> None:
    connection.receive_binary()


def test_errors_are_numbered_by_the_connection_and_are_each_their_own_end() -> None:
    desk = Desk(Profile.NATIVE)
    desk.start()
    desk << NONSENSE << NONSENSE << NONSENSE << binary
    for number in range(3):
        desk >> error("unsupported_event_type", sequence_number=number, done=True, response_id=None)
    desk >> error("invalid_json", sequence_number=3, done=True, response_id=None)


@pytest.mark.parametrize(
    ("message", "code", "stream_id", "event_id"),
    [
        (b"{", "invalid_json", None, None),
        (b'{"type":"nonsense","stream_id":"a","event_id":"e"}', "unsupported_event_type", "a", "e"),
        (b'{"type":"response.create","top_p":7,"stream_id":"a","event_id":"e"}', "invalid_request", "a", "e"),
        (b'{"type":"response.create","top_p":7,"stream_id":"a b"}', "invalid_request", None, None),
        (
            b'{"type":"response.create","background":true,"stream_id":"a","event_id":"e"}',
            "unsupported_parameter",
            "a",
            "e",
        ),
        (b'{"type":"response.detach","response_id":5,"event_id":"e"}', "invalid_request", None, "e"),
        (b'{"type":"response.detach","response_id":"x","event_id":5}', "invalid_request", None, None),
    ],
)
def test_an_error_goes_to_the_lane_and_the_event_that_it_answers(
    message: bytes, code: str, stream_id: str | None, event_id: str | None
) -> None:
    desk = Desk()
    desk << message >> error(code, stream_id=stream_id, event_id=event_id) >> NOTHING
    assert desk.connection.close is None
    desk.turn()  # and life goes on


def test_an_error_is_one_line_whatever_it_repeats() -> None:
    desk = Desk()
    desk << event("nonsense\u2028", event_id="\u2029\x85")
    [frame] = desk.connection.frames(1000)
    assert len(frame.decode().splitlines()) == 1
    assert json.loads(frame)["event_id"] == "\u2029\x85"


def test_who_floods_and_does_not_read_is_cut_off() -> None:
    desk = Desk(limits=ConnectionLimits(max_unsent_control=10))
    for _ in range(10):
        desk << NONSENSE
    assert desk.connection.close is None
    desk << NONSENSE
    assert desk.connection.close == (CloseCode.POLICY, "too many unread errors")
    desk << create_in()
    assert desk.started == [], "too late"
    for number in range(10):
        desk >> error("unsupported_event_type", sequence_number=number)
    desk >> NOTHING


def test_who_floods_and_reads_is_not() -> None:
    desk = Desk(limits=ConnectionLimits(max_unsent_control=10))
    for _ in range(50):
        desk << NONSENSE
        desk.pull()
    assert desk.connection.close is None


def test_a_message_that_is_too_big_is_answered_instead_of_everything_that_waits() -> None:
    desk = Desk(limits=ConnectionLimits(max_message_bytes=1234))
    desk << NONSENSE
    answer = desk.connection.too_big()
    assert b'"message_too_big"' in answer
    assert b"1234 bytes" in answer
    desk >> NOTHING


# -- the outbox itself


def test_an_outbox_numbers_what_it_keeps_and_says_when_it_is_full() -> None:
    outbox = Outbox(2)
    for grace in (1.0, 2.0):
        outbox.put(events.SessionDraining(grace_seconds=grace))
    assert (len(outbox), outbox.overflowed) == (2, False)
    outbox.put(events.SessionDraining(grace_seconds=3.0))
    assert (len(outbox), outbox.overflowed) == (2, True)
    assert [b'"sequence_number":%d' % number in entry for number, entry in enumerate(outbox.take())] == [True, True]
    assert (len(outbox), outbox.take()) == (0, [])
    outbox.put(events.SessionDraining(grace_seconds=4.0))
    assert b'"sequence_number":2' in outbox.take()[0], "what did not fit has no number"


def test_an_outbox_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.connection.outbox._MAX_BYTES", 10)
    outbox = Outbox(1000)
    outbox.put(events.SessionDraining(grace_seconds=1.0))
    assert not outbox.overflowed, "one always fits"
    outbox.put(events.SessionDraining(grace_seconds=1.0))
    assert outbox.overflowed


@pytest.mark.parametrize(
    ("code", "echoed"),
    [(ErrorCode.INVALID_REQUEST, True), (ErrorCode.INVALID_STREAM_ID, False), (ErrorCode.CONNECTION_LIMIT, False)],
)
def test_only_events_with_a_lane_are_answered_there(code: ErrorCode, echoed: bool) -> None:
    outbox = Outbox(10)
    outbox.answer(ResponseCancel(stream_id="a", event_id="e"), WireError(code, "no"))
    outbox.answer(ResponseDetach(response_id="resp_0", event_id="e"), WireError(code, "no"))
    lane, other = outbox.take()
    assert (b'"stream_id":"a"' in lane) is echoed
    assert b'"stream_id"' not in other
    assert all(b'"event_id":"e"' in entry for entry in (lane, other))
