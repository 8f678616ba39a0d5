"""The log of one response: numbers without a gap, one end, bounded, and encoded once for all who read."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.store.event_log import BelowFloor, EventLog
from realtime.wire import events as e
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.grammar import GrammarError
from realtime.wire.items import Message, OutputText
from tests.support.fuzz import examples
from tests.support.responses import Answer, make_log, make_response

ENDS = {"completed": Answer.finish, "incomplete": Answer.cancel, "failed": Answer.fail}


def decoded(log: EventLog, start: int = 0) -> list[dict[str, Any]]:
    return [json.loads(entry) for entry in log.read(start, 10_000)]


@pytest.mark.parametrize("end", ENDS)
def test_numbers_are_without_a_gap_and_exactly_the_last_event_is_done(end: str) -> None:
    answer = Answer("resp_1").say("a", "b", "c")
    assert not answer.log.sealed
    ENDS[end](answer)
    events = decoded(answer.log)
    assert [event["sequence_number"] for event in events] == list(range(len(events))) == list(range(answer.log.tip))
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["type"] == f"response.{end}"
    assert answer.log.sealed


@pytest.mark.parametrize("text", ["a", "é", "“", "\u2028", "x\u2029\x85"])
def test_every_entry_is_one_line_whatever_counts_as_the_end_of_one(text: str) -> None:
    answer = Answer("resp_1").say(text).finish()
    entries = answer.log.read(0, 100)
    assert [len(entry.decode().splitlines()) for entry in entries] == [1] * len(entries)
    assert [event["delta"] for event in decoded(answer.log) if "delta" in event] == [text]
    assert answer.log.num_bytes == sum(map(len, entries))


def test_every_event_names_its_response_and_its_lane_if_it_has_one() -> None:
    named, plain = Answer("resp_1", stream_id="a").say("x").finish(), Answer("resp_2").say("x").finish()
    assert {(event["response_id"], event["stream_id"]) for event in decoded(named.log)} == {("resp_1", "a")}
    assert {event["response_id"] for event in decoded(plain.log)} == {"resp_2"}
    assert not any("stream_id" in event for event in decoded(plain.log))


def test_the_milestone_is_the_newest_event_that_is_more_than_a_delta() -> None:
    assert make_log().milestone == -1
    answer = Answer()
    assert answer.log.milestone == answer.log.tip - 1 == 1
    answer.say("a")
    assert answer.log.milestone == answer.log.tip - 2
    begun = answer.log.milestone
    answer.say("b", "c")
    assert answer.log.milestone == begun
    answer.finish()
    assert answer.log.milestone == answer.log.tip - 1 == answer.log.stored().milestone


def test_what_the_grammar_refuses_changes_nothing() -> None:
    answer = Answer().say("a")
    before = (answer.log.tip, answer.log.num_bytes, answer.log.read(0, 100))
    with pytest.raises(GrammarError):
        answer.log.append(e.ResponseCompleted(response=answer.response))
    assert (answer.log.tip, answer.log.num_bytes, answer.log.read(0, 100)) == before
    answer.say("b").finish()  # and the log goes on


def test_after_the_end_nothing_can_be_appended() -> None:
    answer = Answer().finish()
    tip = answer.log.tip
    for event in (e.ResponseFailed(response=answer.response), e.ResponseInProgress(response=answer.response)):
        with pytest.raises(GrammarError):
            answer.log.append(event)
    assert answer.log.tip == tip


def test_an_event_that_cannot_be_encoded_changes_nothing_either() -> None:
    """Else the log would be sealed without a terminal event in it, and its readers would wait for ever."""
    log = make_log()
    log.append(e.ResponseCreated(response=make_response(), epoch="x"))
    with pytest.raises(UnicodeEncodeError):
        log.append(e.ResponseFailed(response=make_response(user="\ud800")))
    assert (log.sealed, log.tip) == (False, 1)
    log.append(e.ResponseFailed(response=make_response()))
    assert log.sealed


def test_all_readers_get_the_same_bytes() -> None:
    log = Answer().say("a", "b").finish().log
    for number in range(log.tip):
        (one,), (other,) = log.read(number, 1), log.read(number, 1)
        assert one is other
        assert one is log.read(0, 100)[number]


def test_reading_takes_as_much_as_it_asks_for_and_nothing_at_the_tip() -> None:
    log = Answer().say("a", "b").finish().log
    assert len(log.read(0, 3)) == 3
    assert log.read(2, 3) == log.read(0, 5)[2:]
    assert log.read(log.tip, 3) == []
    assert len(log.read(log.tip - 1, 3)) == 1


def test_below_the_floor_a_read_is_told_so() -> None:
    log = Answer(max_entries=8).say(*"abcdefghij").log
    assert log.floor > 0
    with pytest.raises(BelowFloor) as caught:
        log.read(log.floor - 1, 1)
    assert caught.value.floor == log.floor
    assert json.loads(log.read(log.floor, 1)[0])["sequence_number"] == log.floor


@pytest.mark.parametrize("bounds", [{"max_entries": 1}, {"max_bytes": 1}], ids=["entries", "bytes"])
def test_the_newest_always_stays(bounds: dict[str, Any]) -> None:
    answer = Answer(**bounds).say("a", "b").finish()
    assert (answer.log.floor, answer.log.read(answer.log.floor, 9)) == (answer.log.tip - 1, [answer.written[-1]])


@examples(24)
@given(st.integers(1, 12), st.integers(1, 3000), st.lists(st.text("ab", min_size=1, max_size=80), max_size=30))
def test_whatever_is_dropped_the_rest_is_in_its_place(max_entries: int, max_bytes: int, texts: list[str]) -> None:
    answer = Answer(max_entries=max_entries, max_bytes=max_bytes)
    log = answer.log
    for text in texts:
        answer.say(text)
        kept = log.read(log.floor, 1000)
        assert kept == answer.written[log.floor :]
        assert log.tip == len(answer.written)
        assert log.num_bytes == sum(map(len, kept))
        assert len(kept) == 1 or (len(kept) <= max_entries and log.num_bytes <= max_bytes)


def test_room_is_made_for_more_than_one_event_at_a_time() -> None:
    """Dropping one entry per append would copy the list each time."""
    answer = Answer(max_entries=100)
    floors = [answer.say("x").log.floor for _ in range(200)]
    assert len(set(floors)) < 10


def test_what_is_appended_later_does_not_change_what_was_encoded() -> None:
    """Events hold live objects (the Response); the log holds bytes."""
    log, response = make_log(), make_response()
    log.append(e.ResponseCreated(response=response, epoch="x"))
    log.append(e.ResponseInProgress(response=response))
    response.status = "completed"
    item = Message(id="m", status="in_progress", role="assistant", content=[])
    log.append(e.OutputItemAdded(output_index=0, item=item))
    item.content = [OutputText(text="later")]
    statuses = [event["response"]["status"] for event in decoded(log)[:2]]
    assert (statuses, decoded(log)[2]["item"]["content"]) == (["in_progress"] * 2, [])


def test_a_stored_log_reads_like_the_log_that_it_was() -> None:
    answer = Answer("resp_1", max_entries=8).say(*"abcdefghij").finish()
    stored = answer.log.stored()
    assert (stored.epoch, stored.floor, stored.tip) == (answer.log.epoch, answer.log.floor, answer.log.tip)
    assert (stored.sealed, stored.num_bytes) == (True, answer.log.num_bytes)
    assert stored.floor > 0, "the log has dropped some"
    for start in range(stored.floor, stored.tip + 2):
        assert stored.read(start, 3) == answer.log.read(start, 3)
    with pytest.raises(BelowFloor) as below:
        stored.read(stored.floor - 1, 1)
    assert below.value.floor == stored.floor


NAMES = st.text(max_size=12)  # of a lane, and texts: also what looks like a form, like JSON, or like the end of a line
TEXTS = st.one_of(NAMES, st.sampled_from(["%d", "%b%%", '","delta":""', '"sequence_number":0', "\u2028\x85é", "\0\n"]))


@given(st.sampled_from(e.DELTAS), st.none() | TEXTS, TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
@examples(200)
def test_to_extend_is_to_append_the_same_delta_with_another_text(
    kind: Any, lane: str | None, first: str, texts: list[str]
) -> None:
    places = {name: 0 for name in kind.__struct_fields__ if name.endswith("_index")}

    def delta(text: str) -> Any:
        return kind(item_id=f"item_{lane}", delta=text, **places)

    logs = [make_log(stream_id=lane, max_entries=3) for _ in range(2)]
    for log in logs:
        log._grammar = SimpleNamespace(accept=lambda event: None)  # type: ignore[assignment]
        log.append(delta(first))
    for text in texts:
        assert logs[0].extend(text) == logs[1].append(delta(text))
    one, other = ([log.floor, log.tip, log.num_bytes, log.newest_delta, log.read(log.floor, 9)] for log in logs)
    assert one == other


def test_nothing_but_a_delta_can_be_extended() -> None:
    answer = Answer()
    with pytest.raises(ValueError, match="not a delta"):
        answer.log.extend("x")
    answer.say("a")
    assert answer.log.extend("b") == answer.log.newest_delta == answer.log.read(answer.log.tip - 1, 1)[0]
    answer.finish()
    assert answer.log.newest_delta is None
    tip = answer.log.tip
    with pytest.raises(ValueError, match="not a delta"):
        answer.log.extend("x")
    assert answer.log.tip == tip


def test_an_end_that_is_withheld_is_in_what_is_stored_and_not_in_what_is_read() -> None:
    shown, answer = Answer("resp_1").say("a", "b").finish(), Answer("resp_1").say("a", "b")
    log = answer.log
    tip, milestone = log.tip, log.milestone
    log.withhold()
    answer.finish()
    assert (log.tip, log.milestone, log.sealed, log.ended) == (tip, milestone, False, True)
    assert log.read(0, 100) == shown.log.read(0, tip)
    assert log.num_unseen == shown.log.tip - tip
    assert log.stored() == shown.log.stored()
    log.show()
    assert (log.tip, log.milestone, log.sealed, log.num_unseen) == (shown.log.tip, shown.log.milestone, True, 0)
    assert log.read(0, 100) == shown.log.read(0, 100)
    assert log.stored() == shown.log.stored()


def test_what_is_withheld_is_bounded_with_the_rest() -> None:
    answer = Answer("resp_1", max_bytes=4000).say(*["word "] * 100)
    answer.log.withhold()
    answer.finish()
    assert answer.log.floor < answer.log.tip
    before = answer.log.floor
    answer.log.show()
    assert answer.log.sealed
    assert answer.log.read(answer.log.tip - 1, 1)
    assert answer.log.stored().floor >= before


def test_the_readers_of_a_log_that_fails_are_told_why_wherever_they_are() -> None:
    answer = Answer("resp_1").say("a")
    answer.log.fail(WireError(ErrorCode.STORE_UNAVAILABLE, "later"))
    for place in (0, answer.log.tip, answer.log.tip + 5):
        with pytest.raises(BelowFloor) as below:
            answer.log.read(place, 10)
        assert below.value.error is not None
        assert below.value.error.response_id == "resp_1"
