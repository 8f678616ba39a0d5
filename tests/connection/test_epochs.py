"""A response that goes on in another epoch while it is read: its client is told before anything of that epoch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from realtime.connection.commands import Create, Resume
from realtime.connection.profiles import Profile
from tests.connection.playbook import NOTHING, Asked, Desk, Events, Playbook, create_in, numbers, resume
from tests.support.responses import Answer


def go_on(answer: Answer, epoch: str = "later") -> Answer:
    """Begin another epoch behind what was written."""
    log = answer.log
    log.earlier, log.epoch = {**log.earlier, log.epoch: log.tip}, epoch
    return answer


def told(after: int, epoch: str = "later") -> dict[str, Any]:
    return {
        "type": "response.resumed", "response_id": None, "done": False,
        "resumed": {"response_id": "resp_0", "epoch": epoch, "starting_after": after, "status": "in_progress"},
    }  # fmt: skip


def test_a_follower_is_told_before_the_first_event_of_the_new_epoch_and_once() -> None:
    desk = Desk(Profile.NATIVE)
    answer = desk.start("a").say("x")
    assert numbers(desk.pull(), answer) == [0, 1, 2, 3, 4]
    go_on(answer)
    desk >> NOTHING  # it has nothing of it, and its cursor is of both
    assert desk.connection.step() is None
    answer.say("y", "z")
    assert desk.connection.step() is None, "an event is to come first"
    desk >> told(4) >> Events(answer, 5, 6) >> NOTHING
    answer.say("z")
    assert desk.connection.step() == answer.written[-1:]
    go_on(answer, "and later").say("z")
    desk >> told(7, "and later") >> Events(answer, 8) >> NOTHING
    answer.finish()
    assert numbers(desk.pull(), answer)[-1] == answer.log.tip - 1


@pytest.mark.parametrize("asks", ["by a create", "by a resume"])
def test_a_plain_client_is_told_if_it_knows_our_events(asks: str) -> None:
    desk, other = Desk(), Desk()
    answer = desk.start().say("x")
    desk.pull()
    other.answers = desk.answers
    other << resume("resp_0", starting_after=4)
    other.pull()
    go_on(answer).say("y")
    reader = desk if asks == "by a create" else other
    types = [frame["type"] for frame in reader.pull()]
    assert types == ["response.output_text.delta"] if asks == "by a create" else ["response.resumed", types[1]]
    answer.say("z")
    assert [frame["type"] for frame in reader.pull()] == ["response.output_text.delta"]


def test_whoever_attaches_by_its_request_is_told_behind_the_first_event() -> None:
    """That one tells the epoch in which the response began."""
    play, create = Playbook(Profile.NATIVE), Asked(Create)
    answer = go_on(Answer().say("x")).say("y")
    play << create_in() >> create << create.opened(answer)
    play >> Events(answer, 0) >> told(0) >> Events(answer, 1, 2, 3, 4, 5) >> NOTHING


def test_whoever_resumes_is_told_once_by_the_answer() -> None:
    play, asked = Playbook(Profile.NATIVE), Asked(Resume)
    answer = go_on(Answer().say("x")).say("y")
    play << resume("resp_0") >> asked << asked.resumed(answer)
    play >> told(-1) >> Events(answer, 0, 1, 2, 3, 4, 5) >> NOTHING


def test_merged_deltas_that_wait_come_behind_it() -> None:
    play, asked = Playbook(Profile.NATIVE), Asked(Resume)
    answer = Answer().say(*"abcdefghijklmnopqrstuvwxyz")
    play << resume("resp_0", catch_up="merged") >> asked << asked.resumed(answer)
    play.connection.frames(1)  # of the deltas it holds some back
    go_on(answer).say("0", "1")
    frames = play.pull()
    [at] = [n for n, frame in enumerate(frames) if frame["type"] == "response.resumed"]
    spans = [(f.get("first_sequence_number", f["sequence_number"]), f["sequence_number"]) for f in frames[at + 1 :]]
    assert spans[0][0] == frames[at]["resumed"]["starting_after"] + 1
    assert all(before + 1 == first for (_, before), (first, _) in pairwise(spans))
    assert spans[-1][1] == answer.log.tip - 1


def test_answers_that_wait_are_sent_before_the_events_of_others() -> None:
    """What a resume is answered with comes before its events, whoever is told of an epoch in the same round."""
    desk = Desk(Profile.NATIVE)
    first, second = desk.start("a"), desk.start("b")
    desk.pull()
    go_on(second).say("x")
    first.say("x")
    desk << resume("resp_0", starting_after=0)
    frames = desk.pull()
    resumed = {f["resumed"]["response_id"]: n for n, f in enumerate(frames) if f["type"] == "response.resumed"}
    firsts = {one: next(n for n, f in enumerate(frames) if f.get("response_id") == one) for one in resumed}
    assert all(resumed[one] < firsts[one] for one in ("resp_0", "resp_1")), frames
