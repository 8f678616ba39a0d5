"""Truncations on one connection: in which order they are answered, and what waits until they are."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.connection.commands import Create, Leave, Resume, Stop, Truncate
from realtime.connection.profiles import Profile
from realtime.wire.errors import ErrorCode
from realtime.wire.requests import Characters, Place, Through
from tests.connection.playbook import (
    NOTHING,
    Asked,
    Desk,
    Events,
    Frame,
    Playbook,
    cancel,
    cancel_lane,
    create_in,
    detach,
    error,
    event,
    gone,
    refusal,
    resume,
)
from tests.support.responses import Answer

TRUNCATED: Frame = {"type": "response.truncated", "done": True, "response_id": None}


def truncate(response_id: str, **members: Any) -> Frame:
    return event("response.truncate", response_id=response_id, **(members or {"through": 4}))


def finished(play: Playbook, response_id: str = "resp_0", lane: str | None = None) -> Answer:
    """A response that was created here and read to its end."""
    create, answer = Asked(Create), Answer(response_id, stream_id=lane)
    _ = play << create_in(lane) >> create << create.opened(answer.say("x", "y").finish())
    _ = play >> Events(answer, *range(answer.log.tip)) >> Leave(response_id, detached=False)
    return answer


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"through": -1}, Through(-1)),
        ({"item_id": "msg", "num_characters": 3}, Characters("msg", 0, 3)),
        ({"item_id": "msg", "content_index": 1, "num_characters": 0}, Characters("msg", 1, 0)),
    ],
)
def test_a_truncation_says_where(members: dict[str, Any], place: Place) -> None:
    play, cut = Playbook(), Asked(Truncate, place=place, followed=False, delivered=None, event_id="e")
    answer = finished(play)
    play << truncate("resp_0", **members, event_id="e") >> cut << cut.truncated(answer)
    play >> {**TRUNCATED, "event_id": "e", "response": {"id": "resp_0"}} >> NOTHING


def test_the_answer_comes_after_the_terminal_event_of_what_is_read_here() -> None:
    play, create, cut, answer = Playbook(), Asked(Create), Asked(Truncate, followed=True, delivered=4), Answer()
    play << create_in() >> create << create.opened(answer.say("x")) >> Events(answer, *range(5))
    answer.say("y")
    play << truncate("resp_0") >> Asked(Truncate, followed=True, delivered=5)
    play << truncate("resp_0") >> (cut := Asked(Truncate, followed=True, delivered=5))
    answer.cancel()
    play << cut.truncated(answer, ended=True)
    play >> Events(answer, *range(5, answer.log.tip)) >> TRUNCATED >> Leave("resp_0", detached=False) >> NOTHING


def test_who_does_not_read_what_is_ended_is_sent_its_end_first() -> None:
    play, cut, answer = Playbook(), Asked(Truncate, followed=False), Answer().say("x").cancel()
    play << truncate("resp_0") >> cut << cut.truncated(answer, ended=True)
    play >> Events(answer, answer.log.tip - 1) >> TRUNCATED >> Leave("resp_0", detached=False) >> NOTHING


def test_what_was_left_meanwhile_is_answered_at_once() -> None:
    play, create, cut, answer = Playbook(), Asked(Create), Asked(Truncate), Answer()
    play << create_in() >> create << create.opened(answer.say("x")) >> Events(answer, *range(5))
    play << truncate("resp_0") >> cut << detach("resp_0") >> Leave("resp_0", detached=True)
    play << cut.truncated(answer.cancel(), ended=True) >> TRUNCATED >> NOTHING


def test_an_answer_that_waits_for_an_end_is_not_lost_when_that_is_not_read() -> None:
    play, create, cut, answer = Playbook(), Asked(Create), Asked(Truncate), Answer()
    play << create_in() >> create << create.opened(answer.say("x"))
    play << truncate("resp_0") >> cut << cut.truncated(answer, ended=True)
    play >> Events(answer, *range(5)) << detach("resp_0") >> Leave("resp_0", detached=True) >> TRUNCATED >> NOTHING


def test_a_refused_truncation_is_answered_and_changes_nothing() -> None:
    play, cut = Playbook(), Asked(Truncate)
    finished(play)
    play << truncate("resp_0", through=1, event_id="e") >> cut
    play << cut.refused(refusal(ErrorCode.CONVERSATION_MOVED_ON)) >> error("conversation_moved_on", event_id="e")
    play << truncate("resp_0", event_id="e", item_id="x") >> error("invalid_request", param="num_characters") >> NOTHING


def test_after_the_socket_is_gone_nothing_is_answered() -> None:
    play, cut = Playbook(), Asked(Truncate)
    answer = finished(play)
    play << truncate("resp_0") >> cut << gone << cut.truncated(answer) >> NOTHING
    assert play.connection.idle


# -- what goes on after what is being cut


@pytest.mark.parametrize("by_cancel", [False, True])
@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("members", [{"previous_response_id": "resp_0"}, {"conversation": "conv"}], ids=str)
def test_a_create_behind_a_truncation_waits_for_it(by_cancel: bool, refused: bool, members: dict[str, Any]) -> None:
    play = Playbook()
    cut = Asked(Stop, cuts_late=True) if by_cancel else Asked(Truncate)
    create, other = Asked(Create, stream_id="b"), Asked(Create, stream_id="c")
    answer = finished(play, lane="a")
    play << (cancel("resp_0", through=4) if by_cancel else truncate("resp_0")) >> cut
    play << create_in("b", **members) << create_in("c") >> other >> NOTHING
    play << (cut.refused(refusal()) if refused else cut.truncated(answer))
    play >> create >> (error("server_is_overloaded") if refused else TRUNCATED) >> NOTHING


def test_a_create_waits_for_the_truncation_of_what_it_continues_and_for_no_other() -> None:
    play, first, second = Playbook(), Asked(Truncate, response_id="resp_0"), Asked(Truncate, response_id="resp_1")
    answer = finished(play, "resp_0", "a")
    other = finished(play, "resp_1", "b")
    play << truncate("resp_0") >> first << truncate("resp_1") >> second
    play << create_in("a", previous_response_id="resp_0") << create_in("b", previous_response_id="resp_1") >> NOTHING
    play << second.truncated(other) >> Asked(Create, stream_id="b") >> TRUNCATED >> NOTHING
    play << first.truncated(answer) >> Asked(Create, stream_id="a") >> TRUNCATED >> NOTHING


def test_what_waits_for_a_truncation_can_be_cancelled() -> None:
    play, cut = Playbook(), Asked(Truncate)
    answer = finished(play)
    play << truncate("resp_0") >> cut << create_in(previous_response_id="resp_0", event_id="e") >> NOTHING
    play << cancel_lane() >> error("request_cancelled", event_id="e") << cut.truncated(answer) >> TRUNCATED >> NOTHING


def test_a_truncation_waits_for_the_resume_of_its_response() -> None:
    play, attach, cut, answer = Playbook(), Asked(Resume), Asked(Truncate, followed=True), Answer().say("x")
    play << resume("resp_0") >> attach << truncate("resp_0") >> NOTHING
    play << attach.resumed(answer) >> cut


@pytest.mark.parametrize("refused", [False, True])
def test_a_create_waits_for_a_truncation_that_waits_for_a_resume(refused: bool) -> None:
    play, attach, cut = Playbook(), Asked(Resume), Asked(Truncate)
    answer = finished(play)
    play << resume("resp_0") >> attach << truncate("resp_0") << create_in(previous_response_id="resp_0") >> NOTHING
    if refused:
        play << attach.refused(refusal()) >> cut >> error("server_is_overloaded")
    else:
        play << attach.resumed(answer, answer.log.tip - 1) >> cut >> {"type": "response.resumed"}
        play >> Events(answer, answer.log.tip - 1) >> Leave("resp_0", detached=False)
    play >> NOTHING << cut.truncated(answer) >> Asked(Create) >> TRUNCATED >> NOTHING


def test_a_create_does_not_wait_for_a_truncation_that_comes_to_nothing() -> None:
    play, attach = Playbook(), Asked(Resume)
    answer = finished(play)
    play << resume("resp_0") >> attach << truncate("resp_0", item_id="msg")
    play << create_in(previous_response_id="resp_0") >> NOTHING << attach.resumed(answer, answer.log.tip - 1)
    play >> Asked(Create) >> {"type": "response.resumed"} >> error("invalid_request", param="num_characters")


# -- cancels that come late


@pytest.mark.parametrize("profile", Profile)
def test_a_late_cancel_with_a_number_cuts_on_every_profile(profile: Profile) -> None:
    play, stop = Playbook(profile), Asked(Stop, through=3, cuts_late=True, followed=False, event_id="e")
    answer = finished(play)
    play << cancel("resp_0", through=3, event_id="e") >> stop << stop.truncated(answer)
    play >> {**TRUNCATED, "event_id": "e"} >> NOTHING


def test_a_native_cancel_takes_what_was_acknowledged_before_and_after_the_end() -> None:
    for numbers, through in (((2,), 2), ((2, 5), 5), ((4, 2), 4)):
        play, create, answer = Playbook(Profile.NATIVE), Asked(Create), Answer()
        play << create_in() >> create << create.opened(answer.say("x")) >> Events(answer, *range(5))
        play << event("response.ack", response_id="resp_0", through=numbers[0])
        play >> Events(answer.finish(), *range(5, answer.log.tip)) >> Leave("resp_0", detached=False)
        for number in numbers[1:]:
            play << event("response.ack", response_id="resp_0", through=number)
        play << cancel("resp_0") >> Asked(Stop, through=through, cuts_late=True) >> NOTHING


@pytest.mark.parametrize("profile", Profile)
def test_a_cancel_of_a_lane_that_says_what_was_heard_is_answered_when_nothing_runs_there(profile: Profile) -> None:
    play = Playbook(profile)
    finished(play)
    play << cancel_lane(through=3, event_id="e") >> error("response_not_found", event_id="e") >> NOTHING


@pytest.mark.parametrize("is_over", [False, True])
def test_what_was_acknowledged_holds_on_this_socket_however_often_the_response_is_read(is_over: bool) -> None:
    desk = Desk(Profile.NATIVE)
    answer = desk.start().say("x", "y")
    desk.pull()
    desk << event("response.ack", response_id="resp_0", through=4)
    if is_over:
        answer.finish()
        desk.pull()
    else:
        desk << detach("resp_0") << event("response.ack", response_id="resp_0", through=5)
        desk << event("response.ack", response_id="resp_0", through=6) >> error("cursor_ahead")
    desk << resume("resp_0", starting_after=1)
    desk << cancel("resp_0")
    assert [stop.through for stop in (*desk.cuts, *desk.stops) if isinstance(stop, Stop)] == [4 if is_over else 5]


def test_a_plain_cancel_without_a_number_cuts_nothing_late_and_is_not_answered() -> None:
    play, create, answer, stop = Playbook(), Asked(Create), Answer(), Asked(Stop, through=2, cuts_late=False)
    play << create_in() >> create << create.opened(answer.say("x")) >> Events(answer, *range(5))
    play << event("response.ack", response_id="resp_0", through=2) << cancel("resp_0") >> stop
    play << stop.refused(refusal(ErrorCode.RESPONSE_ALREADY_COMPLETED)) >> NOTHING
    play >> Events(answer.finish(), *range(5, answer.log.tip)) >> Leave("resp_0", detached=False)
    play << event("response.ack", response_id="resp_0", through=4) << cancel("resp_0") >> NOTHING


@pytest.mark.parametrize("through", [9, 99])
def test_what_does_not_exist_can_not_be_acknowledged_after_the_end_either(through: int) -> None:
    play = Playbook()
    answer = finished(play)
    assert answer.log.tip == 10
    play << event("response.ack", response_id="resp_0", through=through, event_id="e")
    if through >= answer.log.tip:
        play >> error("cursor_ahead", param="through", event_id="e")
    play >> NOTHING


def test_the_newest_that_ended_are_remembered() -> None:
    desk = Desk(Profile.NATIVE)
    for _ in range(258):
        desk.turn()
    for response_id in ("resp_0", "resp_257"):
        desk << event("response.ack", response_id=response_id, through=4)
    desk << cancel("resp_257") >> TRUNCATED << cancel("resp_0") >> error("response_already_completed") >> NOTHING


def test_answers_that_wait_for_an_end_are_bounded() -> None:
    desk = Desk()
    answer = desk.start().say("x").finish()
    for _ in range(300):
        desk << truncate("resp_0")
    frames = desk.pull()
    assert sum(frame["type"] == "response.truncated" for frame in frames) == 300, "none is lost"
    early = [frame["type"] for frame in frames].index("response.created")
    assert early == 300 - 256, "but what is beyond the bound comes before the end"
    assert answer.over
