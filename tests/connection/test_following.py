"""What a client says of responses: resume, detach, cancel, interrupt, acknowledge."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.connection import successors
from realtime.connection.commands import Create, Leave, Stop
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.wire.errors import ErrorCode
from tests.connection.playbook import (
    NOTHING,
    Asked,
    Desk,
    Events,
    Playbook,
    cancel,
    cancel_lane,
    codes,
    create_in,
    detach,
    error,
    event,
    numbers,
    refusal,
    resume,
)  # fmt: skip
from tests.support.responses import Answer

# -- resume


def test_a_resume_says_where_it_starts_and_then_starts_there() -> None:
    desk, other = Desk(), Desk()
    answer = desk.start().say("a", "b")
    desk.pull()
    other.answers = desk.answers
    other << resume("resp_0", starting_after=3, epoch=answer.log.epoch)
    resumed, *rest = other.pull()
    assert resumed["type"] == "response.resumed"
    assert "response_id" not in resumed, "at the top it would mean: numbered by that response"
    assert resumed["resumed"] == {
        "response_id": "resp_0", "epoch": answer.log.epoch, "starting_after": 3, "tip": 6, "status": "in_progress",
        "pending_calls": [],
    }  # fmt: skip
    assert numbers(rest, answer) == [4, 5]
    answer.finish()
    other >> Events(answer, 6, 7, 8, 9) >> NOTHING
    assert other.connection.idle


@pytest.mark.parametrize("starting_after", [-1, 4, 8])
def test_a_finished_response_is_resumed_to_its_end_and_left(starting_after: int) -> None:
    desk = Desk()
    answer = desk.turn()
    desk.left.clear()
    desk << resume("resp_0", starting_after=starting_after)
    desk >> {"type": "response.resumed", "resumed": {"status": "finished"}}
    desk >> Events(answer, *range(starting_after + 1, answer.log.tip)) >> NOTHING
    assert desk.left == [Leave("resp_0", detached=False)]
    assert desk.connection.idle


def test_a_second_resume_moves_the_reader_it_does_not_add_one() -> None:
    desk = Desk()
    answer = desk.start("a").say("a", "b")
    desk.pull()
    for _ in range(2):
        desk << resume("resp_0", starting_after=2)
    assert numbers(desk.pull(), answer) == [3, 4, 5]
    desk << create_in("a")
    assert len(desk.started) == 1, "the lane is still busy"
    answer.finish()
    desk >> Events(answer, 6, 7, 8, 9)
    assert len(desk.started) == 2


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (resume("resp_9"), "response_not_found"),
        (resume("resp_0", starting_after=99), "cursor_ahead"),
        (resume("resp_0", epoch="another"), "epoch_mismatch"),
    ],
)
def test_a_resume_that_cannot_be_served_changes_nothing(wanted: dict[str, Any], code: str) -> None:
    desk = Desk()
    answer = desk.start().say("a")
    desk.pull()
    desk << {**wanted, "event_id": "e"} >> error(code, event_id="e") >> NOTHING
    answer.say("b")
    desk >> Events(answer, 5) >> NOTHING


def test_one_connection_follows_a_bounded_number_of_responses() -> None:
    desk = Desk(limits=ConnectionLimits(max_followed=2))
    for lane in "abc":
        desk.start(lane)  # its own do not count
    for response_id in ("other_0", "other_1", "other_2"):
        desk.answers[response_id] = Answer(response_id)
        desk << resume(response_id)
    assert codes(desk.pull()) == ["too_many_followed_responses"]
    desk << detach("other_0") << resume("other_2")
    assert codes(desk.pull()) == []


# -- detach


def test_detach_stops_the_events_and_frees_the_lane() -> None:
    desk = Desk()
    answer = desk.start("a").say("x")
    desk.pull()
    desk << create_in("a")
    assert len(desk.started) == 1
    desk << detach("resp_0")
    assert desk.left == [Leave("resp_0", detached=True)]
    assert len(desk.started) == 2
    answer.say("y").finish()
    assert numbers(desk.pull(), answer) == []
    desk << detach("resp_0", event_id="e") >> error("response_not_found", status=404, event_id="e") >> NOTHING


def test_a_detached_response_can_be_resumed_on_the_same_socket() -> None:
    desk = Desk()
    answer = desk.start("a").say("x")
    desk.pull()
    desk << detach("resp_0") << resume("resp_0", starting_after=3)
    answer.finish()
    assert numbers(desk.pull(), answer) == [4, 5, 6, 7, 8]


# -- cancel and interrupt


def test_cancel_by_id_says_how_much_this_socket_had_taken() -> None:
    desk = Desk()
    answer = desk.start().say("a", "b")
    desk.pull()
    answer.say("c", "d")
    desk << cancel("resp_0")
    assert desk.stops == [Stop(response_id="resp_0", how="cancel", followed=True, delivered=6)]
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
    desk << cancel_lane(lane)
    assert [stop.response_id for stop in desk.stops] == ["resp_1" if lane else "resp_2"]


def test_who_cancels_what_it_does_not_read_gets_the_receipt() -> None:
    elsewhere, desk = Desk(), Desk()
    answer = elsewhere.start().say("a", "b")
    desk.answers = elsewhere.answers
    desk << cancel("resp_0")
    assert desk.stops == [Stop(response_id="resp_0", how="cancel", followed=False)]
    answer.cancel()
    desk >> Events(answer, 6, 7, 8, 9) >> NOTHING


def test_cancelling_a_lane_that_has_not_started_answers_each_of_its_requests() -> None:
    desk = Desk(limits=ConnectionLimits(max_in_flight=1))
    running = desk.start("a")
    desk.pull()
    for n in range(3):
        desk << create_in("b", event_id=f"e{n}")
    desk << create_in("c") << cancel_lane("b")
    for n in range(3):
        desk >> error("request_cancelled", status=409, stream_id="b", event_id=f"e{n}")
    desk >> NOTHING
    running.say("x").finish()
    desk.pull()
    assert [create.stream_id for create in desk.started] == ["a", "c"]
    desk << create_in("b")
    assert len(desk.started) == 2
    list(desk.answers.values())[1].say("x").finish()
    desk.pull()
    assert [create.stream_id for create in desk.started] == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("members", "quiet"),
    [
        ({}, False), ({"stream_id": "a"}, True), ({"stream_id": "unknown"}, False), ({"stream_id": "refused"}, False),
        ({"stream_id": 5}, False), ({"stream_id": []}, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("profile", Profile)
def test_cancelling_a_lane_in_which_nothing_runs(profile: Profile, members: dict[str, Any], quiet: bool) -> None:
    desk = Desk(profile)
    desk.turn("a")
    desk.refuse = refusal()
    desk << create_in("refused") >> error("server_is_overloaded")
    desk << event("response.cancel", event_id="e", **members)
    stream_id = members.get("stream_id")
    if not quiet or profile.native:
        echoed = stream_id if isinstance(stream_id, str) else None
        desk >> error("response_not_found", event_id="e", stream_id=echoed)
    desk >> NOTHING


@pytest.mark.parametrize(
    ("response_id", "code"), [("resp_0", "response_already_completed"), ("x", "response_not_found")]
)
def test_a_cancel_that_comes_too_late_changes_nothing(response_id: str, code: str) -> None:
    desk = Desk(Profile.NATIVE)
    desk.turn()
    desk << cancel(response_id, event_id="e") >> error(code, event_id="e") >> NOTHING


@pytest.mark.parametrize("end", [Answer.finish, Answer.cancel, Answer.fail])
def test_a_plain_client_is_not_told_that_its_cancel_came_too_late(end: Any) -> None:
    play, create, answer = Playbook(), Asked(Create), Answer("resp_0")
    play << create_in() >> create << create.opened(answer)
    end(answer)
    play >> Events(answer, *range(answer.log.tip)) >> Leave("resp_0", detached=False)
    play << event("response.ack", response_id="resp_0", through=1)
    play << cancel("resp_0") << cancel_lane() >> NOTHING


@pytest.mark.parametrize("code", ["response_already_completed", "response_not_found", "server_is_overloaded"])
@pytest.mark.parametrize("left", [False, True])
def test_a_plain_client_is_not_told_that_its_cancel_met_the_end(left: bool, code: str) -> None:
    play, create, stop, answer = Playbook(), Asked(Create), Asked(Stop, how="cancel"), Answer("resp_0")
    play << create_in() >> create << create.opened(answer) >> Events(answer, 0, 1)
    if left:
        play << detach("resp_0") >> Leave("resp_0", detached=True)
    play << cancel("resp_0") >> stop << stop.refused(refusal(next(one for one in ErrorCode if one.value.code == code)))
    if code == "server_is_overloaded":  # that the cancel is lost has to be told
        play >> error(code)
    play >> NOTHING


def test_who_did_not_create_a_response_is_told_that_its_cancel_came_too_late() -> None:
    elsewhere, desk = Desk(), Desk()
    elsewhere.turn()
    desk.answers = elsewhere.answers
    desk << cancel("resp_0") >> error("response_already_completed") >> NOTHING
    desk << resume("resp_0")
    desk.pull()
    desk << cancel("resp_0") >> error("response_already_completed") >> NOTHING
    desk << cancel("x") >> error("response_not_found") >> NOTHING
    desk << event("response.interrupt", response_id="resp_0") >> error("response_already_completed") >> NOTHING


def test_an_interrupt_that_comes_too_late_is_answered() -> None:
    desk = Desk()
    desk.turn()
    desk << event("response.interrupt", response_id="resp_0") >> error("response_already_completed") >> NOTHING


def test_a_plain_client_is_told_of_a_cancel_of_what_was_created_too_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successors, "_MAX_CREATED", 2)
    desk = Desk()
    for _ in range(3):
        desk.turn()
    desk << cancel("resp_2") << cancel("resp_1") >> NOTHING
    desk << cancel("resp_0") >> error("response_already_completed") >> NOTHING


@pytest.mark.parametrize("followed", [True, False])
def test_an_interruption_does_not_say_how_much_was_taken(followed: bool) -> None:
    elsewhere, desk = Desk(), Desk()
    (desk if followed else elsewhere).start().say("a")
    desk.answers = elsewhere.answers = desk.answers | elsewhere.answers
    desk << event("response.interrupt", response_id="resp_0", event_id="e")
    assert desk.stops == [Stop(response_id="resp_0", how="interrupt", followed=followed, event_id="e")]
    desk.answers["resp_0"].cancel()
    assert numbers(desk.pull(), desk.answers["resp_0"])[-1] == desk.answers["resp_0"].log.tip - 1


# -- acknowledge


@pytest.mark.parametrize(("named", "through"), [(None, 4), (2, 2), (5, 5)], ids=["acknowledged", "less", "more"])
def test_a_cancel_forgets_what_was_not_acknowledged_unless_it_says_more(named: int | None, through: int) -> None:
    desk = Desk()
    desk.start().say("a", "b")
    desk.pull()
    for number in (3, 4, 2):  # one that is late takes nothing back
        desk << event("response.ack", response_id="resp_0", through=number)
    desk << cancel("resp_0", **({"through": named} if named is not None else {}))
    assert [stop.through for stop in desk.stops] == [through]


def test_what_was_not_sent_cannot_be_acknowledged_and_what_is_not_read_is_ignored() -> None:
    desk = Desk()
    answer = desk.start()
    desk >> Events(answer, 0, 1)
    desk << event("response.ack", response_id="resp_0", through=2, event_id="e")
    desk >> error("cursor_ahead", param="through", event_id="e") >> NOTHING
    desk << event("response.ack", response_id="unknown", through=2) >> NOTHING
