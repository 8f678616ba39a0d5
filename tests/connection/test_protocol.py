"""One socket's state machine, with a service that the test plays: lanes, limits, readers, errors, the end."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from realtime.connection.commands import Beat, Command, Create, Identify, Leave, Resume, Stop
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.context.turns import Turn
from realtime.store import cursor
from realtime.wire import codec, events
from realtime.wire.errors import CloseCode, ErrorCode, WireError
from tests.support.fuzz import examples
from tests.support.responses import Answer

LIMITS = ConnectionLimits()
FOREVER = float("inf")
PULL = 1 << 20


class Desk:
    """A connection and the service behind it. `answers` are the responses that it started, by id."""

    def __init__(
        self, profile: Profile = Profile.PLAIN, limits: ConnectionLimits = LIMITS, *, expires_at: float = FOREVER,
        **log: int,
    ) -> None:  # fmt: skip
        self.connection = Connection(profile, limits, tenant="t", expires_at=expires_at, default_model="m")
        self.answers: dict[str, Answer] = {}
        self.started: list[Create] = []
        self.cancelled: list[Stop] = []
        self.left: list[Leave] = []
        self.cuts: list[str] = []
        self.refuse: WireError | None = None  # what the next creates are answered with
        self._ids = count()
        self._log = log

    def send(self, type: str, *, now: float = 0.0, **members: Any) -> None:
        self.connection.receive(json.dumps({"type": type, **members}).encode(), now)
        self._obey()

    def create(self, lane: str | None = None, **members: Any) -> Answer | None:
        """A create; the answer, if it was started at once."""
        before = len(self.answers)
        self.send("response.create", input="hi", **({"stream_id": lane} if lane is not None else {}), **members)
        return list(self.answers.values())[before] if len(self.answers) > before else None

    def start(self, lane: str | None = None, **members: Any) -> Answer:
        """A create that must be started at once."""
        answer = self.create(lane, **members)
        assert answer is not None
        return answer

    def turn(self, lane: str | None = None, **members: Any) -> Answer:
        """A whole turn: created, answered, delivered."""
        answer = self.start(lane, **members).say("x").finish()
        self.pull()
        return answer

    def pull(self, max_bytes: int = PULL) -> list[dict[str, Any]]:
        frames = [json.loads(frame) for frame in self.connection.frames(max_bytes)]
        self._obey()
        return frames

    def errors(self) -> list[dict[str, Any]]:
        return [frame for frame in self.pull() if frame["type"] == "error"]

    def error(self) -> tuple[str, dict[str, Any]]:
        """The one error that is on its way: its code, and the whole event."""
        (frame,) = self.errors()
        return frame["error"]["code"], frame

    def _obey(self) -> None:
        while commands := self.connection.commands():
            for command in commands:
                try:
                    self._carry_out(command)
                except WireError as error:
                    self.connection.refused(command, error)

    def _carry_out(self, command: Command) -> None:
        match command:
            case Create():
                if self.refuse is not None:
                    raise self.refuse
                self.started.append(command)
                response_id = f"resp_{next(self._ids)}"
                answer = Answer(response_id, request=command.request, stream_id=command.stream_id, **self._log)
                self.answers[response_id] = answer
                self.connection.opened(command, answer)
            case Stop():
                if command.how == "steer":
                    self.cuts.append(command.response_id)
                    return
                answer = self._find(command.response_id)
                if answer.log.sealed:
                    raise WireError(ErrorCode.RESPONSE_ALREADY_COMPLETED, "over")
                self.cancelled.append(command)
                self.connection.stopped(command, answer)
            case Resume():
                answer = self._find(command.response_id)
                start = cursor.resolve(answer.log, command.starting_after, command.epoch)
                self.connection.resumed(command, answer, start)
            case Identify() | Beat():
                pass
            case Leave():
                self.left.append(command)

    def _find(self, response_id: str) -> Answer:
        if response_id not in self.answers:
            raise WireError(ErrorCode.RESPONSE_NOT_FOUND, "unknown")
        return self.answers[response_id]


def numbers(frames: list[dict[str, Any]], answer: Answer) -> list[int]:
    return [frame["sequence_number"] for frame in frames if frame.get("response_id") == answer.response_id]


def responses(frames: list[dict[str, Any]]) -> list[str]:
    """Whose frames, in order."""
    return [frame["response_id"] for frame in frames if "response_id" in frame]


# -- one response


def test_a_response_is_delivered_from_its_first_event_to_its_last() -> None:
    desk = Desk()
    answer = desk.start()
    assert numbers(desk.pull(), answer) == [0, 1]
    answer.say("a", "b")
    assert desk.connection.pending
    assert numbers(desk.pull(), answer) == [2, 3, 4, 5]
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
        assert numbers(desk.pull(), answer) == list(range(answer.log.tip))
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


# -- lanes


def test_a_lane_is_first_in_first_out_and_lanes_run_beside_each_other() -> None:
    desk = Desk()
    first = desk.start("a", user="1")
    assert desk.create("a", user="2") is None
    assert desk.create("a", user="3") is None
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
    assert desk.create() is None
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
        assert desk.create(f"lane-{n}") is None
    assert desk.create("lane-16", user="second in its lane") is None
    for done in (3, 0, 9):
        running[done].say("x").finish()
        desk.pull()
    assert [create.stream_id for create in desk.started[16:]] == ["lane-16", "lane-17", "lane-18"]
    running[1].say("x").finish()
    list(desk.answers.values())[16].say("x").finish()
    desk.pull()
    assert [create.stream_id for create in desk.started[19:]] == ["lane-19", "lane-16"]


def test_thirty_two_names_in_the_life_of_a_connection() -> None:
    desk = Desk()
    desk.turn()  # the default lane is not counted
    for n in range(32):
        desk.turn(f"lane-{n}")
    desk.create("lane-32", event_id="e")
    code, frame = desk.error()
    assert (code, frame["status"], frame["stream_id"]) == ("websocket_stream_limit_reached", 400, "lane-32")
    assert (frame["error"]["param"], frame["event_id"]) == ("stream_id", "e")
    desk.turn()
    desk.turn("lane-0")  # a name may be used again


@pytest.mark.parametrize("stream_id", ["", "x" * 257, "a b", "a\n", "a/b", "\u00e9", 5, True, [], {}, ["a"], 1.5])
@pytest.mark.parametrize("wrong_besides", [{}, {"temperature": "hot"}], ids=["well formed", "malformed"])
def test_a_bad_stream_id_is_refused_and_not_echoed(stream_id: Any, wrong_besides: dict[str, Any]) -> None:
    desk = Desk()
    desk.send("response.create", stream_id=stream_id, input="hi", **wrong_besides)
    code, frame = desk.error()
    assert code == ("invalid_request" if wrong_besides else "invalid_stream_id")
    assert frame["status"] == 400
    assert "stream_id" not in frame
    assert desk.started == []


@pytest.mark.parametrize("stream_id", ["a", "x" * 256, "A-z_0.9", ".", "-", None])
def test_good_stream_ids(stream_id: str | None) -> None:
    desk = Desk()
    desk.start(stream_id)
    assert [create.stream_id for create in desk.started] == [stream_id]


def test_the_queue_is_bounded_in_number() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1, max_queued=3))
    desk.start()
    for _ in range(3):
        desk.create()
    desk.create("a", event_id="e")
    code, frame = desk.error()
    assert (code, frame["status"], frame["stream_id"], frame["event_id"]) == ("too_many_queued_requests", 429, "a", "e")
    next(iter(desk.answers.values())).say("x").finish()
    desk.pull()  # one has left the queue
    desk.create()
    assert desk.errors() == []


def test_the_queue_is_bounded_in_bytes() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1, max_queued_bytes=1000))
    desk.start(instructions="x" * 5000)  # does not wait, so it does not count
    desk.create(instructions="x" * 500)
    assert desk.errors() == []
    desk.create(instructions="x" * 500)
    assert desk.error()[0] == "too_many_queued_requests"
    desk.create(instructions="x" * 100)
    assert desk.errors() == []


def test_without_a_queue_what_can_run_at_once_still_runs() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=2, max_queued=0))
    desk.start("a")
    desk.create("a")
    assert desk.error()[0] == "too_many_queued_requests"
    desk.start("b")
    desk.create("c")
    assert desk.error()[0] == "too_many_queued_requests"


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
    assert desk.create("b", previous_response_id="resp_0", user="fork") is None
    desk.turn("a", previous_response_id="resp_0")
    desk.turn("a")
    busy.say("x").finish()
    desk.pull()
    assert desk.started[-1].request.user == "fork"
    assert parents(desk)[-1] == "resp_0"


def test_a_pipelined_continuation_finds_its_parent_when_its_turn_comes() -> None:
    desk = Desk()
    first = desk.start("a")
    assert desk.create("a", previous_response_id="resp_0") is None
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
    desk.create(lane, previous_response_id="resp_0")
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
    desk.create("a", event_id="e")
    code, frame = desk.error()
    assert (code, frame["status"], frame["stream_id"], frame["event_id"]) == ("server_is_overloaded", 503, "a", "e")
    assert (frame["error"]["retry"], frame["error"]["retry_after"]) == (True, 3.0)
    desk.refuse = None
    desk.start("a")


# -- resume, detach, cancel


def test_a_resume_says_where_it_starts_and_then_starts_there() -> None:
    desk = Desk()
    answer = desk.start().say("a", "b")
    desk.pull()
    other = Desk()
    other.answers = desk.answers
    other.send("response.resume", response_id="resp_0", starting_after=3, epoch=answer.log.epoch)
    resumed, *rest = other.pull()
    assert resumed["type"] == "response.resumed"
    assert "response_id" not in resumed, "at the top it would mean: numbered by that response"
    assert resumed["resumed"] == {
        "response_id": "resp_0", "epoch": answer.log.epoch, "starting_after": 3, "tip": 6, "status": "in_progress",
    }  # fmt: skip
    assert numbers(rest, answer) == [4, 5]
    answer.finish()
    assert numbers(other.pull(), answer) == [6, 7, 8, 9]
    assert other.connection.idle


@pytest.mark.parametrize("starting_after", [-1, 4, 8])
def test_a_finished_response_is_resumed_to_its_end_and_left(starting_after: int) -> None:
    desk = Desk()
    answer = desk.turn()
    desk.left.clear()
    desk.send("response.resume", response_id="resp_0", starting_after=starting_after)
    frames = desk.pull()
    assert frames[0]["resumed"]["status"] == "finished"
    assert numbers(frames, answer) == list(range(starting_after + 1, answer.log.tip))
    assert desk.left == [Leave("resp_0", detached=False)]
    assert desk.connection.idle


def test_a_second_resume_moves_the_reader_it_does_not_add_one() -> None:
    desk = Desk()
    answer = desk.start("a").say("a", "b")
    desk.pull()
    for _ in range(2):
        desk.send("response.resume", response_id="resp_0", starting_after=2)
    assert numbers(desk.pull(), answer) == [3, 4, 5]
    assert desk.create("a") is None, "the lane is still busy"
    answer.finish()
    assert numbers(desk.pull(), answer) == [6, 7, 8, 9]
    assert len(desk.started) == 2


@pytest.mark.parametrize(
    ("resume", "code"),
    [
        ({"response_id": "resp_9"}, "response_not_found"),
        ({"response_id": "resp_0", "starting_after": 99}, "cursor_ahead"),
        ({"response_id": "resp_0", "epoch": "another"}, "epoch_mismatch"),
    ],
)
def test_a_resume_that_cannot_be_served_changes_nothing(resume: dict[str, Any], code: str) -> None:
    desk = Desk()
    answer = desk.start().say("a")
    desk.pull()
    desk.send("response.resume", event_id="e", **resume)
    found, frame = desk.error()
    assert (found, frame["event_id"]) == (code, "e")
    answer.say("b")
    assert numbers(desk.pull(), answer) == [5]


def test_one_connection_follows_a_bounded_number_of_responses() -> None:
    desk = Desk(limits=ConnectionLimits(max_followed=2))
    for lane in "abc":
        desk.start(lane)  # its own do not count
    for response_id in ("other_0", "other_1", "other_2"):
        desk.answers[response_id] = Answer(response_id)
        desk.send("response.resume", response_id=response_id)
    assert desk.error()[0] == "too_many_followed_responses"
    desk.send("response.detach", response_id="other_0")
    desk.send("response.resume", response_id="other_2")
    assert desk.errors() == []


def test_detach_stops_the_events_and_frees_the_lane() -> None:
    desk = Desk()
    answer = desk.start("a").say("x")
    desk.pull()
    assert desk.create("a") is None
    desk.send("response.detach", response_id="resp_0")
    assert desk.left == [Leave("resp_0", detached=True)]
    assert len(desk.started) == 2
    answer.say("y").finish()
    assert numbers(desk.pull(), answer) == []
    desk.send("response.detach", response_id="resp_0", event_id="e")
    code, frame = desk.error()
    assert (code, frame["status"], frame["event_id"]) == ("response_not_found", 404, "e")


def test_leaving_comes_before_what_the_freed_lane_starts() -> None:
    """The next create may be the same request again; it must not lose the follower that it has just got."""
    connection = Connection(Profile.PLAIN, LIMITS, tenant="t", expires_at=FOREVER)
    connection.receive(b'{"type":"response.create","input":"hi"}', 0.0)
    (create,) = connection.commands()
    assert isinstance(create, Create)
    connection.opened(create, Answer("resp_0"))
    connection.receive(b'{"type":"response.create","input":"hi"}', 0.0)
    connection.receive(b'{"type":"response.detach","response_id":"resp_0"}', 0.0)
    assert [type(command) for command in connection.commands()] == [Leave, Create]


def test_a_detached_response_can_be_resumed_on_the_same_socket() -> None:
    desk = Desk()
    answer = desk.start("a").say("x")
    desk.pull()
    desk.send("response.detach", response_id="resp_0")
    desk.send("response.resume", response_id="resp_0", starting_after=3)
    answer.finish()
    assert numbers(desk.pull(), answer) == [4, 5, 6, 7, 8]


def test_cancel_by_id_says_how_much_this_socket_had_taken() -> None:
    desk = Desk()
    answer = desk.start().say("a", "b")
    desk.pull()
    answer.say("c", "d")
    desk.send("response.cancel", response_id="resp_0")
    assert desk.cancelled == [Stop(response_id="resp_0", how="cancel", followed=True, delivered=6)]
    answer.cancel()
    frames = desk.pull()
    assert frames[-1]["response"]["status"] == "cancelled"
    assert numbers(frames, answer) == list(range(6, answer.log.tip))


@pytest.mark.parametrize("lane", [None, "a"])
def test_cancel_by_lane(lane: str | None) -> None:
    desk = Desk()
    desk.start("b")
    desk.start("a")
    desk.start()
    members = {} if lane is None else {"stream_id": lane}
    desk.send("response.cancel", **members)
    assert [cancel.response_id for cancel in desk.cancelled] == ["resp_1" if lane else "resp_2"]


def test_who_cancels_what_it_does_not_read_gets_the_receipt() -> None:
    elsewhere = Desk()
    answer = elsewhere.start().say("a", "b")
    desk = Desk()
    desk.answers = elsewhere.answers
    desk.send("response.cancel", response_id="resp_0")
    assert desk.cancelled == [Stop(response_id="resp_0", how="cancel", followed=False)]
    answer.cancel()
    assert numbers(desk.pull(), answer) == [6, 7, 8, 9]


def test_cancelling_a_lane_that_has_not_started_answers_each_of_its_requests() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1))
    running = desk.start("a")
    for n in range(3):
        desk.create("b", event_id=f"e{n}")
    desk.create("c")
    desk.send("response.cancel", stream_id="b")
    found = desk.errors()
    assert {(frame["error"]["code"], frame["status"], frame["stream_id"]) for frame in found} == {
        ("request_cancelled", 409, "b")
    }
    assert [frame["event_id"] for frame in found] == ["e0", "e1", "e2"]
    running.say("x").finish()
    desk.pull()
    assert [create.stream_id for create in desk.started] == ["a", "c"]
    assert desk.create("b") is None
    list(desk.answers.values())[1].say("x").finish()
    desk.pull()
    assert [create.stream_id for create in desk.started] == ["a", "c", "b"]


@pytest.mark.parametrize(
    "members", [{}, {"stream_id": "a"}, {"stream_id": "unknown"}, {"stream_id": 5}, {"stream_id": []}]
)
def test_cancelling_a_lane_in_which_nothing_runs(members: dict[str, Any]) -> None:
    desk = Desk()
    desk.turn("a")
    desk.send("response.cancel", event_id="e", **members)
    code, frame = desk.error()
    stream_id = members.get("stream_id")
    assert (code, frame["event_id"]) == ("response_not_found", "e")
    assert frame.get("stream_id") == (stream_id if isinstance(stream_id, str) else None)


@pytest.mark.parametrize(
    ("response_id", "code"), [("resp_0", "response_already_completed"), ("x", "response_not_found")]
)
def test_a_cancel_that_comes_too_late_changes_nothing(response_id: str, code: str) -> None:
    desk = Desk()
    desk.turn()
    desk.send("response.cancel", response_id=response_id, event_id="e")
    found, frame = desk.error()
    assert (found, frame["event_id"]) == (code, "e")


# -- the socket is the bottleneck


def test_responses_share_the_socket_event_by_event() -> None:
    desk = Desk()
    for lane in "abc":
        desk.start(lane).say(*["x"] * 400).finish()
    order: list[str] = []
    while chunk := responses(desk.pull(max_bytes=4000)):
        order += chunk
    longest = 0
    for index, name in enumerate(order[:1000]):
        run = next((n for n, other in enumerate(order[index:]) if other != name), 0)
        longest = max(longest, run)
    assert longest <= 32, "nobody waits for a whole answer of another"
    thirds = [order[: len(order) // 3].count(f"resp_{n}") for n in range(3)]
    assert max(thirds) - min(thirds) <= 32


def test_one_pull_takes_about_as_much_as_it_may() -> None:
    desk = Desk()
    answer = desk.start().say(*["x"] * 1000)
    sizes = []
    while frames := desk.connection.frames(10_000):
        sizes.append(sum(map(len, frames)))
    assert sum(sizes) == sum(map(len, answer.written))
    assert max(sizes) < 10_000 + 16 * max(map(len, answer.written))
    assert min(sizes[:-1]) >= 10_000
    desk.turn("a")
    for lane in "ab":
        desk.start(lane).say(*["x"] * 100)
    assert len(set(responses(desk.pull(max_bytes=1)))) == 1, "also in the middle of a round"


def test_a_reader_below_the_floor_is_told_so_and_frees_its_lane() -> None:
    desk = Desk(max_entries=10)
    answer = desk.start("a")
    other = desk.start("b")
    desk.pull()
    assert desk.create("a") is None
    answer.say(*"abcdefghijklmnopqrst")
    other.say("x")
    frames = desk.pull()
    (error,) = [frame for frame in frames if frame["type"] == "error"]
    assert (error["error"]["code"], error["status"], error["stream_id"]) == ("slow_reader", 410, "a")
    assert "resp_0" in error["error"]["message"]
    assert numbers(frames, answer) == []
    assert numbers(frames, other) == [2, 3, 4], "it costs nobody else anything"
    assert desk.left == [Leave("resp_0", detached=False)]
    assert [create.stream_id for create in desk.started] == ["a", "b", "a"]


# -- errors


def test_errors_are_numbered_by_the_connection_and_are_each_their_own_end() -> None:
    desk = Desk(Profile.NATIVE)
    desk.start()
    for _ in range(3):
        desk.send("nonsense")
    desk.connection.receive_binary()
    found = desk.errors()
    assert [frame["sequence_number"] for frame in found] == [0, 1, 2, 3]
    assert all(frame["done"] and "response_id" not in frame for frame in found)


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
    desk.connection.receive(message, 0.0)
    found, frame = desk.error()
    assert (found, frame.get("stream_id"), frame.get("event_id")) == (code, stream_id, event_id)
    assert desk.connection.close is None
    desk.turn()  # and life goes on


def test_who_floods_and_does_not_read_is_cut_off() -> None:
    desk = Desk(limits=ConnectionLimits(max_unsent_control=10))
    for _ in range(10):
        desk.send("nonsense")
    assert desk.connection.close is None
    desk.send("nonsense")
    assert desk.connection.close == (CloseCode.POLICY, "too many unread errors")
    desk.create()
    assert desk.started == [], "too late"
    assert [frame["sequence_number"] for frame in desk.errors()] == list(range(10))


def test_who_floods_and_reads_is_not() -> None:
    desk = Desk(limits=ConnectionLimits(max_unsent_control=10))
    for _ in range(50):
        desk.send("nonsense")
        desk.pull()
    assert desk.connection.close is None


# -- the life of a connection

SESSION = events.Session(
    id="sess_0", model="m",
    limits=events.SessionLimits(max_message_bytes=1, max_in_flight=1, max_streams=1, lifetime_seconds=1),
)  # fmt: skip


def test_a_native_client_is_greeted_and_warned() -> None:
    desk = Desk(Profile.NATIVE)
    desk.connection.open(SESSION, 0.0)
    desk.start()
    desk.connection.drain(5.0)
    frames = [frame for frame in desk.pull() if "response_id" not in frame]
    assert [(frame["type"], frame["sequence_number"], frame["done"]) for frame in frames] == [
        ("session.created", 0, False),
        ("session.draining", 1, False),
    ]


def test_a_plain_client_hears_nothing_that_it_did_not_ask_for() -> None:
    desk = Desk(Profile.PLAIN)
    desk.connection.open(SESSION, 0.0)
    assert not desk.connection.pending
    answer = desk.start().say("x")
    desk.connection.drain(5.0)
    answer.finish()
    assert {frame["type"].partition(".")[0] for frame in desk.pull()} == {"response"}


def test_drain_refuses_what_waits_and_what_comes_and_closes_when_what_runs_is_delivered() -> None:
    desk = Desk()
    answer = desk.start("a")
    desk.create("a", event_id="waiting")
    desk.connection.drain(5.0)
    desk.create("b", event_id="new")
    found = desk.errors()
    assert [(frame["event_id"], frame["stream_id"]) for frame in found] == [("waiting", "a"), ("new", "b")]
    assert {(frame["error"]["code"], frame["error"]["retry"]) for frame in found} == {("server_draining", True)}
    assert desk.connection.close is None
    answer.say("x").finish()
    assert numbers(desk.pull(), answer)[-1] == answer.log.tip - 1
    assert desk.connection.close == (CloseCode.RESTART, "server_draining")


def test_drain_closes_an_idle_connection_at_once() -> None:
    desk = Desk()
    desk.connection.drain(5.0)
    assert desk.connection.close is not None


def test_past_its_lifetime_a_connection_starts_nothing_and_closes_when_idle() -> None:
    desk = Desk(expires_at=100.0)
    answer = desk.start("a", now=99.9)
    assert desk.create("a", now=99.9) is None
    for event_id in ("e", "f"):
        desk.create("b", now=100.0, event_id=event_id)
        code, frame = desk.error()
        assert (code, frame["status"]) == ("websocket_connection_limit_reached", 400)
        assert frame["event_id"] == event_id
        assert "stream_id" not in frame
    assert desk.connection.close is None
    answer.say("x").finish()
    desk.pull()
    assert len(desk.started) == 2, "what was accepted in time is served"
    assert desk.connection.close is None
    list(desk.answers.values())[1].say("x").finish()
    desk.pull()
    assert desk.connection.close is not None
    assert desk.connection.close[0] in (CloseCode.RESTART, CloseCode.GOING_AWAY), "clients come back after these"


def test_age_alone_closes_nothing() -> None:
    desk = Desk(expires_at=100.0)
    desk.turn(now=99.0)
    desk.send("response.cancel", now=200.0)
    assert desk.error()[0] == "response_not_found"
    assert desk.connection.close is None


def test_when_the_socket_is_gone_everything_is_left_and_nothing_starts() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=2))
    desk.start("a")
    desk.start("b")
    desk.create("c")
    desk.connection.disconnected()
    assert desk.connection.commands() == [Leave("resp_0", detached=False), Leave("resp_1", detached=False)]
    assert desk.connection.frames(PULL) == []


def test_the_same_idempotent_request_again_on_the_same_socket_starts_the_reading_anew() -> None:
    desk = Desk()
    answer = desk.start("a").say("x")
    desk.pull()
    desk.connection.receive(b'{"type":"response.create","input":"hi","stream_id":"b"}', 0.0)
    (command,) = desk.connection.commands()
    assert isinstance(command, Create)
    desk.connection.opened(command, answer)
    answer.finish()
    assert numbers(desk.pull(), answer) == list(range(answer.log.tip))
    assert desk.connection.idle


# -- any schedule

LANES = [None, "a", "b", "c", "d"]


class Schedules(RuleBasedStateMachine):
    """Random creates, tokens, ends, pulls, cancels, resumes and detaches, against an oracle of what may be sent.

    The oracle knows for each followed response the number that must come next, and for each lane what occupies it.
    """

    following = Bundle("responses")

    @initialize(
        max_in_flight=st.integers(1, 3), max_queued=st.integers(0, 4), max_entries=st.sampled_from([12, 10_000])
    )
    def connect(self, max_in_flight: int, max_queued: int, max_entries: int) -> None:
        limits = ConnectionLimits(max_in_flight=max_in_flight, max_queued=max_queued, max_followed=1000)
        self.limits = limits
        self.desk = Desk(limits=limits, max_entries=max_entries)
        self.expected: dict[str, int] = {}  # response id -> the number that must come next
        self.occupied: dict[str | None, str] = {}  # lane -> the response that runs in it
        self.accepted: dict[str | None, list[str]] = {lane: [] for lane in LANES}  # names of requests, in order
        self.names = count()
        self.num_started = 0

    @rule(target=following, lane=st.sampled_from(LANES), refused=st.sampled_from([False, False, False, True]))
    def create(self, lane: str | None, refused: bool) -> Any:
        name = f"request {next(self.names)}"
        self.accepted[lane].append(name)
        self.desk.refuse = WireError(ErrorCode.SERVER_IS_OVERLOADED, "full") if refused else None
        self.desk.create(lane, user=name, event_id=name)
        self.desk.refuse = None
        return self.note_starts()

    @rule(response_id=following, texts=st.lists(st.sampled_from(["x", "y" * 300]), min_size=1, max_size=9))
    def say(self, response_id: str, texts: list[str]) -> None:
        answer = self.desk.answers[response_id]
        if not answer.log.sealed:
            answer.say(*texts)

    @rule(response_id=following, end=st.sampled_from([Answer.finish, Answer.fail, Answer.cancel]))
    def end(self, response_id: str, end: Any) -> None:
        answer = self.desk.answers[response_id]
        if not answer.log.sealed:
            end(answer)

    @rule(target=following, max_bytes=st.sampled_from([1, 3000, PULL]))
    def pull(self, max_bytes: int) -> Any:
        for frame in self.desk.pull(max_bytes):
            self.note_frame(frame)
        return self.note_starts()

    @rule(target=following, lane=st.sampled_from(LANES))
    def cancel_lane(self, lane: str | None) -> Any:
        self.desk.send("response.cancel", **({"stream_id": lane} if lane else {}))
        return self.obey_cancels()

    @rule(target=following, response_id=following)
    def cancel(self, response_id: str) -> Any:
        followed = len(self.expected)
        self.desk.send("response.cancel", response_id=response_id)
        answer = self.desk.answers[response_id]
        if not answer.log.sealed and len(self.expected) == followed:
            self.expected.setdefault(response_id, answer.log.tip)
        return self.obey_cancels()

    @rule(response_id=following, starting_after=st.integers(-1, 30))
    def resume(self, response_id: str, starting_after: int) -> None:
        log = self.desk.answers[response_id].log
        if log.floor <= starting_after + 1 <= log.tip:
            self.expected[response_id] = starting_after + 1
        self.desk.send("response.resume", response_id=response_id, starting_after=starting_after)

    @rule(target=following, response_id=following)
    def detach(self, response_id: str) -> Any:
        self.desk.send("response.detach", response_id=response_id)
        self.gone(response_id)
        return self.note_starts()

    @rule(response_id=consumes(following))
    def forget(self, response_id: str) -> None:
        """Nobody asks about this one again; it stays as it is."""

    @rule(garbage=st.binary(max_size=9))
    def garbage(self, garbage: bytes) -> None:
        self.desk.connection.receive(garbage, 0.0)

    # -- the oracle

    def obey_cancels(self) -> Any:
        for cancel in self.desk.cancelled:
            answer = self.desk.answers[cancel.response_id]
            if cancel.delivered is not None:
                assert cancel.delivered == self.expected[cancel.response_id]
            if not answer.log.sealed:
                answer.cancel()
        self.desk.cancelled.clear()
        return self.note_starts()

    def note_starts(self) -> Any:
        """Requests of a lane start in their order, one at a time."""
        self.settle()
        started = list(self.desk.answers)[self.num_started :]
        for response_id in started:
            create = self.desk.started[self.num_started]
            self.num_started += 1
            lane = create.stream_id
            assert lane not in self.occupied, "two at once in one lane"
            self.occupied[lane] = response_id
            self.expected[response_id] = 0
            waiting = self.accepted[lane]
            assert create.request.user in waiting
            # Those before it have been refused or cancelled; the error is in the frames that have not been taken yet.
            self.accepted[lane] = waiting[waiting.index(create.request.user) + 1 :]
        return multiple(*started)

    def note_frame(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "error":
            if frame["error"]["code"] == "slow_reader":
                self.gone(frame["error"]["message"].split("'")[1])
            elif "event_id" in frame:
                waiting = self.accepted[frame.get("stream_id")]
                if frame["event_id"] in waiting:
                    waiting.remove(frame["event_id"])
            return
        if frame["type"] == "response.resumed":
            return
        response_id, number = frame["response_id"], frame["sequence_number"]
        assert number == self.expected[response_id], "a gap, a repetition, or an event that nobody asked for"
        assert json.loads(self.desk.answers[response_id].written[number]) == frame
        self.expected[response_id] += 1
        if frame["done"]:
            self.gone(response_id)

    def settle(self) -> None:
        """Resumed after its last event, a response is over without another one."""
        for response_id, number in list(self.expected.items()):
            log = self.desk.answers[response_id].log
            if log.sealed and number == log.tip:
                self.gone(response_id)

    def gone(self, response_id: str) -> None:
        """The connection does not follow it any more."""
        self.expected.pop(response_id, None)
        self.occupied = {lane: other for lane, other in self.occupied.items() if other != response_id}

    @invariant()
    def no_more_than_the_limit(self) -> None:
        if hasattr(self, "desk"):
            assert len(self.occupied) <= self.limits.max_in_flight
            assert self.desk.connection.close is None

    def teardown(self) -> None:
        """Let everything end and be read: then nothing may be stuck."""
        if not hasattr(self, "desk"):
            return
        for _ in range(60):
            for answer in list(self.desk.answers.values()):
                if not answer.log.sealed:
                    answer.finish()
            self.pull(PULL)
            if self.desk.connection.idle:
                break
        assert self.expected == {}
        assert not any(self.accepted.values()), "a request without an answer"
        assert self.desk.connection.idle
        assert not self.desk.connection.pending


class TestSchedules(Schedules.TestCase):
    settings = examples(25, stateful_step_count=30)


def test_no_message_raises() -> None:
    """What the codec rejects is fuzzed in tests/wire; this is about what the connection makes of it."""
    desk = Desk(limits=ConnectionLimits(message=codec.Limits(max_depth=4)))
    for message in (b"", b"\x00", b"null", b"[" * 9, b'{"type":"response.create","stream_id":' + b"[" * 9 + b"}"):
        desk.connection.receive(message, 0.0)
    assert len(desk.errors()) == 5


def test_a_turn_is_the_one_of_the_source() -> None:
    desk = Desk()
    answer = desk.turn("a")
    assert isinstance(answer.turn, Turn)
    desk.start("a", previous_response_id="resp_0")
    assert desk.started[-1].parent is answer.turn
