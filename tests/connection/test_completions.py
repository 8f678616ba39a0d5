"""Commands that complete later, in any order: what is asked in between is right, and nothing leaks."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from realtime.connection.commands import Beat, Command, Create, Identify, Leave, Resume, Stop
from realtime.connection.pending import HeldEvent, PendingCommands
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.wire.errors import CloseCode, ErrorCode, WireError
from realtime.wire.requests import ResponseCreate, ResponseDetach
from tests.connection.playbook import (
    NOTHING,
    PULL,
    TENANT,
    Asked,
    Events,
    Playbook,
    cancel,
    cancel_lane,
    create_in,
    detach,
    drain,
    error,
    event,
    gone,
    refusal,
    resume,
)  # fmt: skip
from tests.support.fuzz import examples
from tests.support.responses import Answer


def answer(number: int = 0, lane: str | None = "a") -> Answer:
    return Answer(f"resp_{number}", stream_id=lane)


# -- creates


def test_a_create_that_is_on_its_way_keeps_its_lane_and_its_place() -> None:
    play, first, second, other = Playbook(limits=ConnectionLimits(max_in_flight=2)), *(Asked(Create) for _ in range(3))
    play << create_in("a") >> first << create_in("a") << create_in("b") >> other << create_in("c") >> NOTHING
    assert not play.connection.idle
    play << other.opened(answer(1, "b")) >> Events(other_answer := answer(1, "b"), 0, 1) >> NOTHING
    assert other_answer.response_id == "resp_1"
    play << first.refused(refusal()) >> second >> error("server_is_overloaded", stream_id="a") >> NOTHING
    assert second.command.stream_id == "c", "that lane has waited longer"


def test_completions_may_come_in_another_order_than_the_commands() -> None:
    play, a, b = Playbook(), Asked(Create, stream_id="a"), Asked(Create, stream_id="b")
    first, second = answer(0, "a"), answer(1, "b")
    play << create_in("a") << create_in("b") >> a >> b
    play << b.opened(second) >> Events(second, 0, 1) >> NOTHING
    play << a.opened(first) >> Events(first, 0, 1) >> NOTHING


def test_a_cancel_of_a_lane_reaches_the_create_as_soon_as_it_opens() -> None:
    play, create, found = Playbook(), Asked(Create), answer()
    play << create_in("a") >> create << cancel_lane("a", event_id="e", through=-1) >> NOTHING
    stop = Asked(Stop, response_id="resp_0", how="cancel", followed=True, delivered=0, through=-1, event_id="e")
    play << create.opened(found) >> stop << stop.stopped(found)
    found.cancel()
    play >> Events(found, *range(found.log.tip)) >> Leave("resp_0", detached=False) >> NOTHING
    assert play.connection.idle


def test_a_cancel_of_a_lane_whose_create_is_refused_says_that_nothing_runs() -> None:
    play, create, queued = Playbook(), Asked(Create), Asked(Create)
    play << create_in("a", event_id="create") >> create << cancel_lane("a", event_id="cancel")
    play << create_in("a") >> NOTHING
    play << create.refused(refusal()) >> queued
    play >> error("server_is_overloaded", event_id="create", stream_id="a")
    play >> error("response_not_found", event_id="cancel", stream_id="a") >> NOTHING
    found = answer(1)
    play << queued.opened(found) >> Events(found, 0, 1) >> NOTHING


def test_a_cancel_of_a_lane_leaves_alone_what_waits_behind_the_create() -> None:
    play, create, queued, found = Playbook(), Asked(Create), Asked(Create), answer()
    play << create_in("a") << create_in("a", user="queued") >> create << cancel_lane("a") >> NOTHING
    play << create.opened(found) >> Asked(Stop, response_id="resp_0")
    found.cancel()
    play >> Events(found, *range(found.log.tip)) >> Leave("resp_0", detached=False) >> queued >> NOTHING
    assert queued.command.request.user == "queued"


def test_cancels_of_one_lane_are_bounded_while_it_opens() -> None:
    play, create = Playbook(limits=ConnectionLimits(max_pending=2)), Asked(Create)
    play << create_in("a") >> create << cancel_lane("a") << cancel_lane("a") << cancel_lane("a", event_id="e")
    play >> error("too_many_queued_requests", status=429, stream_id="a", event_id="e") >> NOTHING
    play << create.opened(answer()) >> Asked(Stop) >> Asked(Stop)


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        (event("response.steer", previous_response_id="resp_0", input="x"), "response.steer.failed"),
        (event("response.inject", response_id="resp_0", input=[]), "response.inject.failed"),
    ],
)
def test_what_is_given_into_a_response_that_has_not_opened_is_for_an_unknown_one(
    given: dict[str, Any], answered: str
) -> None:
    play, create = Playbook(), Asked(Create)
    play << create_in("a") >> create << given
    play >> {"type": answered, "error": {"code": "response_not_found"}} >> NOTHING


def test_a_cancel_by_name_does_not_wait_for_a_create() -> None:
    play, create = Playbook(), Asked(Create)
    play << create_in("a") >> create << cancel("resp_0") >> Asked(Stop, response_id="resp_0", followed=False)


def test_a_drain_waits_for_a_create_that_is_on_its_way() -> None:
    play, create, found = Playbook(), Asked(Create), answer()
    play << create_in("a") << create_in("a", event_id="queued") >> create << drain
    play >> error("server_draining", event_id="queued") >> NOTHING
    assert play.connection.close is None
    play << create.opened(found)
    found.say("x").finish()
    play >> Events(found, *range(found.log.tip)) >> Leave("resp_0", detached=False) >> NOTHING
    assert play.connection.close == (CloseCode.RESTART, "server_draining")


def test_a_drain_ends_when_the_last_create_is_refused() -> None:
    play, create = Playbook(), Asked(Create)
    play << create_in("a") >> create << drain >> NOTHING
    play << create.refused(refusal(ErrorCode.SERVER_DRAINING)) >> error("server_draining") >> NOTHING
    assert play.connection.close is not None


# -- a lost socket


def test_a_response_that_opens_after_the_socket_is_gone_is_left() -> None:
    play, create, attach = Playbook(), Asked(Create), Asked(Resume)
    play << create_in("a") >> create << resume("resp_1") >> attach << gone >> NOTHING
    assert play.connection.idle
    play << create.opened(answer()) >> Leave("resp_0", detached=False) >> NOTHING
    play << attach.resumed(answer(1)) >> Leave("resp_1", detached=False) >> NOTHING
    assert play.connection.idle


def test_a_refusal_after_the_socket_is_gone_is_nobodys() -> None:
    play, create, attach, stop, key = Playbook(), Asked(Create), Asked(Resume), Asked(Stop), Asked(Identify)
    play << create_in("a") << resume("x") << cancel("y") << event("session.update", api_key="k")
    play >> create >> attach >> stop >> key << cancel_lane("a") << gone
    for one in (create, attach, stop, key):
        play << one.refused(refusal()) >> NOTHING
    assert play.connection.idle


def test_a_key_that_is_known_after_the_socket_is_gone_is_nobodys() -> None:
    play, key = Playbook(), Asked(Identify)
    play << event("session.update", api_key="k") >> key << gone << key.identified(TENANT) >> NOTHING


@pytest.mark.parametrize("followed", [True, False])
def test_a_stop_after_the_socket_is_gone_leaves_what_the_shell_follows_for_its_receipt(followed: bool) -> None:
    play, create, stop, found = Playbook(), Asked(Create), Asked(Stop, followed=followed), answer()
    if followed:
        play << create_in("a") >> create << create.opened(found)
    play << cancel("resp_0") >> stop << gone
    if followed:
        play >> Leave("resp_0", detached=False)
    play << stop.stopped(found)
    if not followed:
        play >> Leave("resp_0", detached=False)
    play >> NOTHING


def test_what_is_to_be_left_is_left_also_when_the_socket_goes_first() -> None:
    """The command may not have been drained."""
    play, create = Playbook(), Asked(Create)
    play << create_in("a") >> create << create.opened(answer())

    def detached_and_gone(connection: Connection) -> None:
        connection.receive(b'{"type":"response.detach","response_id":"resp_0"}', 0.0)
        connection.receive(b'{"type":"response.create","input":"hi"}', 0.0)
        connection.disconnected()

    play << detached_and_gone >> Leave("resp_0", detached=True) >> NOTHING


# -- resumes


def test_resumes_on_their_way_count_as_followed() -> None:
    play, first, second = Playbook(limits=ConnectionLimits(max_followed=2)), Asked(Resume), Asked(Resume)
    create = Asked(Create)
    play << create_in("a") >> create << resume("x") >> first << resume("y") >> second
    play << resume("z", event_id="e") >> error("too_many_followed_responses", event_id="e") >> NOTHING
    play << first.refused(refusal(ErrorCode.RESPONSE_NOT_FOUND)) >> error("response_not_found")
    play << resume("z") >> Asked(Resume, response_id="z") << resume("w") >> error("too_many_followed_responses")


def test_a_resume_of_what_is_read_already_does_not_count_twice() -> None:
    play, create, again = Playbook(limits=ConnectionLimits(max_followed=1)), Asked(Create), Asked(Resume)
    play << create_in("a") >> create << create.opened(answer()) << resume("resp_0") >> again
    play << resume("x") >> Asked(Resume, response_id="x")


def test_a_detach_waits_for_the_resume_of_its_response() -> None:
    play, attach, again, found = Playbook(), Asked(Resume), Asked(Resume, starting_after=3), answer().say("x")
    play << resume("resp_0") >> attach << detach("resp_0") << resume("resp_0", starting_after=3) >> NOTHING
    play << attach.resumed(found) >> Leave("resp_0", detached=True) >> again
    play >> {"type": "response.resumed"} >> NOTHING
    play << again.resumed(found, 4) >> {"type": "response.resumed", "resumed": {"starting_after": 3}}
    play >> Events(found, 4) >> NOTHING


def test_a_detach_from_a_resume_that_is_refused_is_refused_after_it() -> None:
    play, attach = Playbook(), Asked(Resume)
    play << resume("x", event_id="1") >> attach << detach("x", event_id="2")
    play << attach.refused(refusal(ErrorCode.RESPONSE_NOT_FOUND))
    play >> error("response_not_found", event_id="1") >> error("response_not_found", event_id="2") >> NOTHING


def test_an_acknowledgement_waits_for_the_resume_of_its_response() -> None:
    play, attach, found = Playbook(), Asked(Resume), answer().say("x")
    play << resume("resp_0", starting_after=2) >> attach
    play << event("response.ack", response_id="resp_0", through=2) >> NOTHING
    play << attach.resumed(found, 3) << cancel("resp_0") >> Asked(Stop, delivered=3, through=2)


def test_a_cancel_comes_after_an_acknowledgement_that_waits_for_the_resume() -> None:
    play, attach, found = Playbook(), Asked(Resume), answer().say("x")
    play << resume("resp_0", starting_after=2) >> attach
    play << event("response.ack", response_id="resp_0", through=2) << cancel("resp_0") >> NOTHING
    play << attach.resumed(found, 3) >> Asked(Stop, delivered=3, through=2, followed=True)


def test_a_resume_and_a_stop_of_the_same_response_may_complete_in_either_order() -> None:
    for stop_first in (True, False):
        play, attach, stop, found = Playbook(), Asked(Resume), Asked(Stop, followed=False), answer().say("x")
        play << resume("resp_0") >> attach << cancel("resp_0") >> stop
        completions = [stop.stopped(found), attach.resumed(found, 0)]
        for complete in completions if stop_first else completions[::-1]:
            play << complete
        found.cancel()
        play >> {"type": "response.resumed"} >> Events(found, *range(found.log.tip))
        play >> Leave("resp_0", detached=False) >> NOTHING


# -- stops


def test_a_receipt_is_not_lost_when_the_response_ends_before_the_stop_is_reported() -> None:
    play, stop, found = Playbook(), Asked(Stop), answer().say("x").cancel()
    play << cancel("resp_0") >> stop << stop.stopped(found) >> Events(found, found.log.tip - 1)
    play >> Leave("resp_0", detached=False) >> NOTHING


def test_a_stop_that_completes_after_the_end_was_read_adds_nothing() -> None:
    play, create, stop, found = Playbook(), Asked(Create), Asked(Stop), answer()
    play << create_in("a") >> create << create.opened(found) << cancel("resp_0") >> stop
    found.cancel()
    play >> Events(found, *range(found.log.tip)) >> Leave("resp_0", detached=False)
    assert not play.connection.idle, "the stop is still on its way"
    play << stop.stopped(found) >> NOTHING
    assert play.connection.idle


def test_what_is_on_its_way_is_bounded() -> None:
    play, stop = Playbook(limits=ConnectionLimits(max_pending=2)), Asked(Stop)
    play << create_in("a") >> Asked(Create) << cancel("x") >> stop << resume("y") >> Asked(Resume)
    play << cancel("z", event_id="1") << event("session.update", api_key="k", event_id="2")
    play >> error("too_many_queued_requests", event_id="1") >> error("too_many_queued_requests", event_id="2")
    play << stop.refused(refusal()) >> error("server_is_overloaded") << cancel("z") >> Asked(Stop)
    play << create_in("b") >> Asked(Create) >> NOTHING


# -- the book itself


def test_a_command_is_awaited_by_identity() -> None:
    pending = PendingCommands(10)
    one, same = (Resume("resp_0", -1, None, None) for _ in range(2))
    pending.ask(one)
    held = HeldEvent(ResponseDetach(response_id="resp_0"), 5.0)
    pending.hold(one, held)
    assert one == same
    assert pending.complete(same) is None
    assert pending.resume_of("resp_0") is one
    assert (pending.resume_of("resp_1"), pending.identify) == (None, None)
    assert pending.complete(one) == [held]
    assert pending.complete(one) is None
    assert len(pending) == 0


def test_creates_are_not_counted_for_the_bound() -> None:
    pending = PendingCommands(1)
    for _ in range(3):
        pending.ask(create := Create(ResponseCreate(), None, None, 1))
    pending.hold(create, HeldEvent(ResponseDetach(response_id="x"), 0.0))
    with pytest.raises(WireError):
        pending.hold(create, HeldEvent(ResponseDetach(response_id="x"), 0.0))
    pending.ask(Identify("k", None, None))
    with pytest.raises(WireError):
        pending.ask(Identify("k", None, None))


# -- any order

LANES = [None, "a", "b"]


class Orders(RuleBasedStateMachine):
    """Random wishes; completions in random order; the server may go down, the socket be lost.

    The test is the service and the shell: it follows what a completion brings and obeys each Leave, so it knows whom
    the service would keep waking.
    """

    def __init__(self) -> None:
        super().__init__()
        limits = ConnectionLimits(max_in_flight=2, max_queued=3, max_followed=3, max_pending=6)
        self.connection = Connection(Profile.NATIVE, limits, tenant=TENANT, expires_at=float("inf"))
        self.on_their_way: list[Any] = []
        self.answers: dict[str, Answer] = {}
        self.following: set[str] = set()
        self.waits: set[str] = set()  # event ids of creates without an answer
        self.accepted: set[str] = set()  # steers, by what has become of them
        self.committed: set[str] = set()
        self.given_back: set[str] = set()
        self.names = count()
        self.lost = False

    # -- the client

    def send(self, **members: Any) -> None:
        self.connection.receive(json.dumps(members).encode(), 0.0)
        self.drain()

    @precondition(lambda self: not self.lost)
    @rule(lane=st.sampled_from(LANES))
    def create(self, lane: str | None) -> None:
        name = f"create {next(self.names)}"
        if self.connection.close is None:  # then nothing is taken any more
            self.waits.add(name)
        self.send(**create_in(lane, event_id=name))

    @precondition(lambda self: not self.lost)
    @rule(lane=st.sampled_from(LANES))
    def cancel_lane(self, lane: str | None) -> None:
        self.send(**cancel_lane(lane))

    @precondition(lambda self: not self.lost and self.answers)
    @rule(data=st.data(), make=st.sampled_from([cancel, resume, detach]))
    def say_of_a_response(self, data: Any, make: Any) -> None:
        self.send(**make(data.draw(st.sampled_from(sorted(self.answers)))))

    @precondition(lambda self: not self.lost and self.answers)
    @rule(data=st.data())
    def steer(self, data: Any) -> None:
        response_id = data.draw(st.sampled_from(sorted(self.answers)))
        self.send(**event("response.steer", previous_response_id=response_id, input="x"))

    @precondition(lambda self: not self.lost)
    @rule(key=st.sampled_from([None, "k"]))
    def update(self, key: str | None) -> None:
        self.send(type="session.update", heartbeat_seconds=5, **({"api_key": key} if key else {}))

    @precondition(lambda self: not self.lost)
    @rule()
    def pull(self) -> None:
        for frame in map(json.loads, self.connection.frames(PULL)):
            match frame["type"]:
                case "error":
                    if str(frame.get("event_id", "")).startswith("create"):
                        self.answered(frame["event_id"])
                case "response.steer.accepted":
                    self.accepted.add(frame["steer"]["id"])
                case "response.steer.failed":
                    self.given_back |= {frame["steer"]["id"]} if "id" in frame["steer"] else set()
        self.drain()

    def answered(self, name: str) -> None:
        assert name in self.waits, "a second answer, or one to nobody"
        self.waits.remove(name)

    # -- the service

    def drain(self) -> None:
        for command in self.connection.commands():
            match command:
                case Leave():
                    self.following.discard(command.response_id)
                case Beat():
                    pass
                case Stop(how="steer"):
                    pass
                case _:
                    self.on_their_way.append(command)

    @precondition(lambda self: self.on_their_way)
    @rule(data=st.data(), refused=st.booleans())
    def complete(self, data: Any, refused: bool) -> None:
        index = data.draw(st.integers(0, len(self.on_their_way) - 1))
        self.complete_one(self.on_their_way.pop(index), refused)

    def complete_one(self, command: Command, refused: bool) -> None:
        if refused:
            self.connection.refused(command, refusal())
            self.drain()
            return
        match command:
            case Create():
                found = Answer(f"resp_{next(self.names)}", stream_id=command.stream_id)
                self.answers[found.response_id] = found
                self.connection.opened(command, found)
                self.following.add(found.response_id)
                self.committed |= {steer.id for steer in command.steers if steer.id is not None}
                if not command.automatic and not self.lost:
                    self.answered(str(command.request.event_id))
            case Stop():
                found = self.answers[command.response_id]
                self.connection.stopped(command, found)
                if not command.followed:
                    self.following.add(found.response_id)
                if not found.log.sealed:
                    found.cancel()
            case Resume():
                found = self.answers[command.response_id]
                self.connection.resumed(command, found, 0)
                self.following.add(found.response_id)
            case Identify():
                self.connection.identified(command, TENANT, 0.0)
        self.drain()

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        found = self.answers[data.draw(st.sampled_from(sorted(self.answers)))]
        if not found.log.sealed:
            found.finish()

    @precondition(lambda self: not self.lost)
    @rule(now=st.integers(0, 19))
    def go_down(self, now: int) -> None:
        if now == 0:
            drain(self.connection)
            self.drain()

    @rule(now=st.integers(0, 19))
    def lose(self, now: int) -> None:
        if now == 0:
            self.lost = True
            self.connection.disconnected()
            self.drain()

    # -- in the end

    def teardown(self) -> None:
        for _ in range(100):
            while self.on_their_way:
                self.complete_one(self.on_their_way.pop(), refused=False)
            for found in self.answers.values():
                if not found.log.sealed:
                    found.finish()
            if self.lost:
                break
            self.pull()
            if self.connection.idle and not self.on_their_way:
                break
        assert self.connection.idle
        assert not self.following, "the service keeps a follower that reads nothing"
        assert self.lost or not self.waits, "a create without an answer"
        assert not self.committed & self.given_back
        assert self.lost or self.accepted == self.committed | self.given_back, "input that vanished"
        assert not self.connection.pending


TestOrders = Orders.TestCase
TestOrders.settings = examples(40, stateful_step_count=40)
