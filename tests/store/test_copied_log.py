"""A copy of a log: its readers see the bytes and the numbers of the original, within the same bounds."""

from __future__ import annotations

import pytest

from realtime.service.remote import Remote
from realtime.store.copied_log import CopiedLog, NotTheSame, State
from realtime.store.event_log import BelowFloor, EventLog
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate
from tests.support.responses import PLENTY, Answer, make_response


def copy_of(log: EventLog, start: int = 0, *, max_bytes: int = PLENTY, max_entries: int = PLENTY) -> CopiedLog:
    return CopiedLog(log.response_id, State.of(log, start), max_bytes=max_bytes, max_entries=max_entries)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("end", [Answer.finish, Answer.cancel, Answer.fail])
def test_what_is_copied_is_the_same(size: int, end: object) -> None:
    answer = Answer("resp_1").say("a", "b", "c")
    assert callable(end)
    end(answer)
    log, entries = answer.log, answer.log.read(0, 1000)
    copy = copy_of(log)
    for first in range(0, len(entries), size):
        assert not copy.sealed
        copy.take(first, entries[first : first + size])
    assert copy.read(0, 1000) == entries
    for name in ("tip", "floor", "sealed", "milestone", "epoch", "num_bytes"):
        assert getattr(copy, name) == getattr(log, name)


def test_long_texts_that_events_repeat_are_held_once() -> None:
    answer = Answer("resp_1", request=ResponseCreate(instructions="x" * 100_000)).say("a").finish()
    copy = copy_of(answer.log)
    copy.take(0, answer.log.read(0, 1000))
    assert copy.read(0, 1000) == answer.log.read(0, 1000)
    assert copy.num_bytes == answer.log.num_bytes < 150_000


def test_a_copy_is_bounded_as_its_log_is() -> None:
    answer = Answer("resp_1").say(*"abcdefgh" * 10)
    copy = copy_of(answer.log, max_entries=20)
    copy.take(0, answer.log.read(0, 1000))
    assert 0 < copy.floor < copy.tip == answer.log.tip
    assert copy.read(copy.floor, 100) == answer.log.read(copy.floor, 100)
    with pytest.raises(BelowFloor):
        copy.read(0, 1)


def test_only_what_follows_is_taken() -> None:
    answer = Answer("resp_1").say("a").finish()
    entries = answer.log.read(0, 1000)
    copy = copy_of(answer.log)
    copy.take(0, entries[:2])
    for first, some in ((1, entries[1:2]), (3, entries[3:4]), (0, entries)):
        with pytest.raises(NotTheSame):
            copy.take(first, some)
    with pytest.raises(NotTheSame):
        copy.go_on(State("other", 1))
    copy.go_on(State("other", 2, 2, earlier={copy.epoch: 2}))
    assert (copy.epoch, copy.earlier) == ("other", {"epoch of resp_1": 2})
    copy.take(2, entries[2:])
    with pytest.raises(NotTheSame):
        copy.take(copy.tip, entries[-1:])


def test_a_copy_that_fails_says_why_to_whoever_reads() -> None:
    answer = Answer("resp_1").say("a")
    copy = copy_of(answer.log)
    copy.take(0, answer.log.read(0, 1000))
    error = WireError(ErrorCode.NODE_UNAVAILABLE, "gone")
    copy.fail(error)
    for start in (0, copy.tip):
        with pytest.raises(BelowFloor) as caught:
            copy.read(start, 1)
        assert caught.value.error is error


def test_a_copy_shows_the_response_as_it_was_last_shown() -> None:
    answer = Answer("resp_1").say("a").finish()
    entries = answer.log.read(0, 1000)
    told: list[tuple[str, bool]] = []
    remote = Remote(
        "t", copy_of(answer.log), make_response("resp_1"), lambda how, detached: told.append((how, detached))
    )
    assert remote.output == []
    remote.log.take(0, entries[:-1])
    assert (remote.over, len(remote.output)) == (False, 1)
    remote.log.take(len(entries) - 1, entries[-1:])
    assert remote.over
    assert remote.response.status == "completed"
    assert remote.output == answer.output


def test_what_its_readers_are_together_is_told() -> None:
    told: list[tuple[str, bool]] = []
    remote = Remote("t", copy_of(Answer().log), make_response(), lambda how, detached: told.append((how, detached)))
    audience = remote.audience
    one, two, viewer = (lambda: None), (lambda: None), (lambda: None)
    audience.look_on(viewer)
    audience.follow(one)
    audience.follow(two)
    audience.leave(one, detached=True)
    audience.leave(two, detached=False)
    audience.leave(viewer, detached=False)
    assert told == [("watches", False), ("follows", False), ("watches", True), ("left", True)]
    told.clear()
    audience.leave(one, detached=False)
    assert told == [("left", False)], "it was asked for here, and nobody came"
