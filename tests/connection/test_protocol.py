"""One socket's state machine: a response from its first event to its last, the greeting, the end."""

from __future__ import annotations

from realtime.connection.commands import Create, Leave
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.context.turns import Turn
from realtime.wire import codec, events
from realtime.wire.errors import CloseCode
from tests.connection.playbook import (
    NOTHING,
    PULL,
    Asked,
    Desk,
    Events,
    Playbook,
    codes,
    create_in,
    detach,
    drain,
    error,
    gone,
    numbers,
)  # fmt: skip
from tests.support.responses import Answer

SESSION = events.Session(
    id="sess_0", model="m",
    limits=events.SessionLimits(max_message_bytes=1, max_in_flight=1, max_streams=1, lifetime_seconds=1),
)  # fmt: skip

# -- one response


def test_a_response_is_delivered_from_its_first_event_to_its_last() -> None:
    desk = Desk()
    answer = desk.start()
    desk >> Events(answer, 0, 1) >> NOTHING
    answer.say("a", "b")
    assert desk.connection.pending
    desk >> Events(answer, 2, 3, 4, 5) >> NOTHING
    assert not desk.connection.pending
    answer.finish()
    frames = desk.pull()
    assert numbers(frames, answer) == [6, 7, 8, 9]
    assert [frame["done"] for frame in frames] == [False, False, False, True]
    assert desk.left == [Leave("resp_0", detached=False)]
    assert desk.connection.idle


def test_the_last_event_is_delivered_whatever_the_length() -> None:
    """Also when it is alone in its portion."""
    for length in range(1, 40):
        desk = Desk()
        answer = desk.start().say(*["x"] * length).finish()
        desk >> Events(answer, *range(answer.log.tip)) >> NOTHING
        assert desk.connection.idle


def test_frames_are_the_bytes_of_the_log() -> None:
    desk = Desk()
    answer = desk.start().say("a").finish()
    frames = desk.connection.frames(PULL)
    assert len(frames) == len(answer.written)
    assert all(one is other for one, other in zip(frames, answer.written, strict=True))


def test_the_model_of_a_create_that_names_none_is_the_default() -> None:
    desk = Desk()
    desk.start()
    desk.start("a", model="other")
    assert [create.request.model for create in desk.started] == ["m", "other"]


def test_a_turn_is_the_one_of_the_source() -> None:
    desk = Desk()
    answer = desk.turn("a")
    assert isinstance(answer.turn, Turn)
    desk.start("a", previous_response_id="resp_0")
    assert desk.started[-1].parent is answer.turn


def test_the_same_idempotent_request_again_on_the_same_socket_starts_the_reading_anew() -> None:
    play, first, again = Playbook(), Asked(Create), Asked(Create, stream_id="b")
    answer = Answer("resp_0", stream_id="a").say("x")
    play << create_in("a") >> first << first.opened(answer) >> Events(answer, *range(5)) >> NOTHING
    play << create_in("b") >> again << again.opened(answer)
    answer.finish()
    play >> Events(answer, *range(answer.log.tip)) >> Leave("resp_0", detached=False) >> NOTHING
    assert play.connection.idle


def test_leaving_comes_before_what_the_freed_lane_starts() -> None:
    """The next create may be the same request again; it must not lose the follower that it has just got."""
    play, create = Playbook(), Asked(Create)
    play << create_in() >> create << create.opened(Answer("resp_0")) << create_in() << detach("resp_0")
    play >> Leave("resp_0", detached=True) >> Asked(Create)


# -- the greeting


def test_a_native_client_is_greeted_and_warned() -> None:
    desk = Desk(Profile.NATIVE)
    desk.connection.open(SESSION, 0.0)
    desk.start()
    desk << drain
    desk >> {"type": "session.created", "sequence_number": 0, "done": False, "response_id": None}
    desk >> {"type": "session.draining", "sequence_number": 1, "done": False, "response_id": None}
    desk >> Events(desk.answers["resp_0"], 0, 1) >> NOTHING


def test_a_plain_client_hears_nothing_that_it_did_not_ask_for() -> None:
    desk = Desk(Profile.PLAIN)
    desk.connection.open(SESSION, 0.0)
    assert not desk.connection.pending
    answer = desk.start().say("x")
    desk << drain
    answer.finish()
    assert {frame["type"].partition(".")[0] for frame in desk.pull()} == {"response"}


# -- the end


def test_drain_refuses_what_waits_and_what_comes_and_closes_when_what_runs_is_delivered() -> None:
    desk = Desk()
    answer = desk.start("a")
    desk << create_in("a", event_id="waiting") << drain << create_in("b", event_id="new")
    for event_id, lane in (("waiting", "a"), ("new", "b")):
        desk >> error("server_draining", retry=True, event_id=event_id, stream_id=lane)
    assert desk.connection.close is None
    answer.say("x").finish()
    desk >> Events(answer, *range(answer.log.tip)) >> NOTHING
    assert desk.connection.close == (CloseCode.RESTART, "server_draining")


def test_drain_closes_an_idle_connection_at_once() -> None:
    desk = Desk()
    desk << drain
    assert desk.connection.close is not None


def test_when_the_socket_is_gone_everything_is_left_and_nothing_starts() -> None:
    play, a, b = Playbook(limits=ConnectionLimits(max_in_flight=2)), Asked(Create), Asked(Create)
    play << create_in("a") >> a << a.opened(Answer("resp_0")) << create_in("b") >> b << b.opened(Answer("resp_1"))
    play << create_in("c") << gone
    play >> Leave("resp_0", detached=False) >> Leave("resp_1", detached=False) >> NOTHING
    assert play.connection.frames(PULL) == []


def test_no_message_raises() -> None:
    """What the codec rejects is fuzzed in tests/wire; this is about what the connection makes of it."""
    desk = Desk(limits=ConnectionLimits(message=codec.Limits(max_depth=4)))
    for message in (b"", b"\x00", b"null", b"[" * 9, b'{"type":"response.create","stream_id":' + b"[" * 9 + b"}"):
        desk << message
    assert len(codes(desk.pull())) == 5
