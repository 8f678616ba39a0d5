"""Lanes: first in, first out; beside each other; bounded; and which turn each of them holds."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.connection.lanes import Lanes
from realtime.connection.profiles import ConnectionLimits
from realtime.context.turns import Turn
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate
from tests.connection.playbook import NOTHING, Desk, Events, create_in, error, event

# -- order


def test_a_lane_is_first_in_first_out_and_lanes_run_beside_each_other() -> None:
    desk = Desk()
    first = desk.start("a", user="1")
    desk << create_in("a", user="2") << create_in("a", user="3")
    assert len(desk.started) == 1
    other = desk.start("b", user="4")
    default = desk.start(user="5")
    first.say("x").finish()
    desk.pull()
    assert [create.request.user for create in desk.started] == ["1", "4", "5", "2"]
    assert not other.log.sealed
    assert not default.log.sealed


def test_the_next_in_a_lane_starts_when_the_last_event_has_been_taken_not_before() -> None:
    desk = Desk()
    first = desk.start().say("x").finish()
    desk << create_in()
    assert len(desk.started) == 1
    desk.pull(max_bytes=1)
    assert (len(desk.started), first.log.sealed) == (2, True)


def test_every_event_of_a_named_lane_says_so_and_none_of_the_default_lane() -> None:
    desk = Desk()
    desk.start("a").say("x").finish()
    desk.start().say("x").finish()
    for frame in desk.pull():
        assert frame.get("stream_id") == ("a" if frame["response_id"] == "resp_0" else None)


def test_sixteen_run_at_once_and_the_others_wait_in_the_order_in_which_they_came() -> None:
    desk = Desk()
    running = [desk.start(f"lane-{n}") for n in range(16)]
    for n in range(16, 20):
        desk << create_in(f"lane-{n}")
    desk << create_in("lane-16", user="second in its lane")
    assert len(desk.started) == 16
    for done in (3, 0, 9):
        running[done].say("x").finish()
        desk.pull()
    assert [create.stream_id for create in desk.started[16:]] == ["lane-16", "lane-17", "lane-18"]
    running[1].say("x").finish()
    list(desk.answers.values())[16].say("x").finish()
    desk.pull()
    assert [create.stream_id for create in desk.started[19:]] == ["lane-19", "lane-16"]


# -- names


def test_thirty_two_names_in_the_life_of_a_connection() -> None:
    desk = Desk()
    desk.turn()  # the default lane is not counted
    for n in range(32):
        desk.turn(f"lane-{n}")
    desk << create_in("lane-32", event_id="e")
    desk >> error(
        "websocket_stream_limit_reached", status=400, stream_id="lane-32", param="stream_id", event_id="e"
    ) >> NOTHING  # fmt: skip
    desk.turn()
    desk.turn("lane-0")  # a name may be used again


@pytest.mark.parametrize("stream_id", ["", "x" * 257, "a b", "a\n", "a/b", "\u00e9", 5, True, [], {}, ["a"], 1.5])
@pytest.mark.parametrize("wrong_besides", [{}, {"temperature": "hot"}], ids=["well formed", "malformed"])
def test_a_bad_stream_id_is_refused_and_not_echoed(stream_id: Any, wrong_besides: dict[str, Any]) -> None:
    desk = Desk()
    desk << event("response.create", stream_id=stream_id, input="hi", **wrong_besides)
    (frame,) = desk.pull()
    assert frame["error"]["code"] == ("invalid_request" if wrong_besides else "invalid_stream_id")
    assert frame["status"] == 400
    assert "stream_id" not in frame
    assert desk.started == []


@pytest.mark.parametrize("stream_id", ["a", "x" * 256, "A-z_0.9", ".", "-", None])
def test_good_stream_ids(stream_id: str | None) -> None:
    desk = Desk()
    desk.start(stream_id)
    assert [create.stream_id for create in desk.started] == [stream_id]


# -- bounds


def test_the_queue_is_bounded_in_number() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1, max_queued=3))
    running = desk.start()
    desk << create_in() << create_in() << create_in() << create_in("a", event_id="e")
    desk >> error("too_many_queued_requests", status=429, stream_id="a", event_id="e")
    running.say("x").finish()
    desk.pull()  # one has left the queue
    desk << create_in()
    desk >> Events(desk.answers["resp_1"], 0, 1) >> NOTHING


def test_the_queue_is_bounded_in_bytes() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1, max_queued_bytes=1000))
    running = desk.start(instructions="x" * 5000)  # does not wait, so it does not count
    desk << create_in(instructions="x" * 500) >> Events(running, 0, 1) >> NOTHING
    desk << create_in(instructions="x" * 500) >> error("too_many_queued_requests") >> NOTHING
    desk << create_in(instructions="x" * 100) >> NOTHING


def test_without_a_queue_what_can_run_at_once_still_runs() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=2, max_queued=0))
    desk.start("a")
    desk << create_in("a") >> error("too_many_queued_requests")
    desk.start("b")
    desk << create_in("c")
    frames = desk.pull()
    assert [frame["error"]["code"] for frame in frames if frame["type"] == "error"] == ["too_many_queued_requests"]


# -- continuing (docs/protocol.md 5)


def parents(desk: Desk) -> list[str | None]:
    return [create.parent.response_id if create.parent else None for create in desk.started]


def test_the_last_turn_of_a_lane_can_be_continued_from_any_lane() -> None:
    desk = Desk()
    desk.turn("a")
    desk.turn("a", previous_response_id="resp_0")
    desk.turn("b", previous_response_id="resp_1")
    desk.turn("a", previous_response_id="resp_0")  # no longer held here: the service may know it
    desk.turn("a")
    assert parents(desk) == [None, "resp_0", "resp_1", None, None]


def test_a_fork_is_pinned_when_it_is_received_even_if_its_source_moves_on_before_it_starts() -> None:
    desk = Desk()
    desk.turn("a")
    busy = desk.start("b")
    desk << create_in("b", previous_response_id="resp_0", user="fork")
    assert len(desk.started) == 2
    desk.turn("a", previous_response_id="resp_0")
    desk.turn("a")
    busy.say("x").finish()
    desk.pull()
    assert desk.started[-1].request.user == "fork"
    assert parents(desk)[-1] == "resp_0"


def test_a_pipelined_continuation_finds_its_parent_when_its_turn_comes() -> None:
    desk = Desk()
    first = desk.start("a")
    desk << create_in("a", previous_response_id="resp_0")
    assert len(desk.started) == 1
    first.say("x").finish()
    desk.pull()
    assert parents(desk) == [None, "resp_0"]


def test_what_the_model_said_before_a_cancel_can_be_continued() -> None:
    desk = Desk()
    desk.start().say("half").cancel()
    desk.pull()
    desk.start(previous_response_id="resp_0")
    assert parents(desk) == [None, "resp_0"]


REFUSALS = {
    "by the service": lambda desk, lane: _refused(desk, lane),
    "by the engine": lambda desk, lane: desk.start(lane, previous_response_id="resp_0").fail(),
}


def _refused(desk: Desk, lane: str) -> None:
    desk.refuse = WireError(ErrorCode.INVALID_REQUEST, "no")
    desk << create_in(lane, previous_response_id="resp_0")
    desk.refuse = None


@pytest.mark.parametrize("fail", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(("lane", "still_there"), [("a", False), ("b", True)], ids=["same lane", "cross lane"])
def test_a_failed_continuation_evicts_its_parent_in_the_same_lane_only(fail: Any, lane: str, still_there: bool) -> None:
    desk = Desk()
    desk.turn("a")
    fail(desk, lane)
    desk.pull()
    desk.start("c", previous_response_id="resp_0")
    assert parents(desk)[-1] == ("resp_0" if still_there else None)


def test_a_failure_that_continues_nothing_evicts_nothing() -> None:
    desk = Desk()
    desk.turn("a")
    desk.start("a").fail()
    desk.pull()
    desk.start("a", previous_response_id="resp_0")
    assert parents(desk)[-1] == "resp_0"


def test_a_refused_create_frees_its_lane_and_names_it() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1))
    desk.refuse = WireError(ErrorCode.SERVER_IS_OVERLOADED, "full", retry_after=3.0)
    desk << create_in("a", event_id="e")
    desk >> error("server_is_overloaded", status=503, stream_id="a", event_id="e", retry=True, retry_after=3.0)
    desk >> NOTHING
    desk.refuse = None
    desk.start("a")


# -- the book itself


def test_a_lost_socket_has_no_lanes_and_counts_nothing() -> None:
    lanes = Lanes(ConnectionLimits(max_queued_bytes=10))
    for _ in range(2):
        lanes.offer(lanes.open("a"), ResponseCreate(), 10)
        list(lanes.start())
    lanes.clear()
    assert (lanes.num_in_flight, lanes.num_queued, list(lanes), list(lanes.start())) == (0, 0, [], [])


def test_a_successor_goes_before_its_lane_and_before_other_lanes() -> None:
    lanes = Lanes(ConnectionLimits(max_in_flight=1))
    a, b = lanes.open("a"), lanes.open("b")
    for lane in (a, b, a):
        lanes.offer(lane, ResponseCreate(), 10)
    [(lane, create)] = lanes.start()
    assert (lane.stream_id, lanes.num_queued, lanes.num_in_flight) == ("a", 2, 1)
    lanes.put_first(lane, type(create)(ResponseCreate(user="successor"), "a", None, 5, automatic=True))
    lanes.free(lane)
    [(lane, create)] = lanes.start()
    assert (lane.stream_id, create.request.user) == ("a", "successor")
    lanes.free(lane)
    assert [lane.stream_id for lane, _ in lanes.start()] == ["b"]


def test_who_waits_for_a_turn_holds_it_from_the_moment_that_it_is_there() -> None:
    lanes = Lanes(ConnectionLimits())
    a, b = lanes.open("a"), lanes.open("b")
    lanes.offer(b, ResponseCreate(), 1)
    list(lanes.start())
    lanes.offer(b, ResponseCreate(previous_response_id="resp_0"), 1)
    turn = Turn("resp_0", None, (), ())
    lanes.remember(a, turn)
    lanes.remember(a, Turn("resp_1", None, (), ()))
    assert lanes.find("resp_0") is None
    assert b.queue[0].parent is turn
    assert [create.parent for create in lanes.drop(b)] == [turn]
    assert (lanes.num_queued, lanes.get("b"), lanes.get(5)) == (0, b, None)
