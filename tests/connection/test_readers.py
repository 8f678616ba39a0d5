"""The socket as the bottleneck: responses share it event by event, in bounded portions; who is too slow is told so."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.connection.commands import Leave
from realtime.connection.readers import Reader, Readers
from realtime.store.copied_log import CopiedLog, State
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCancel
from tests.connection.playbook import Desk, create_in, numbers
from tests.support.responses import Answer

PULL = 1 << 20


def responses(frames: list[dict[str, object]]) -> list[object]:
    """Whose frames, in order."""
    return [frame["response_id"] for frame in frames if "response_id" in frame]


def test_responses_share_the_socket_event_by_event() -> None:
    desk = Desk()
    for lane in "abc":
        desk.start(lane).say(*["x"] * 400).finish()
    order: list[object] = []
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


def test_the_newest_event_is_taken_if_it_is_the_one_that_is_missing_and_a_delta() -> None:
    desk = Desk()
    answer = desk.start("a")
    assert desk.connection.newest() is None, "there are others before it"
    desk.pull()
    assert desk.connection.newest() is None, "nothing is new"
    answer.say("x")
    assert desk.connection.newest() is None, "the item and the part are new as well"
    desk.pull()
    answer.say("y")
    assert desk.connection.newest() == answer.written[-1]
    assert desk.connection.newest() is None
    answer.say("y", "z")
    assert desk.connection.newest() is None
    assert [json.loads(entry)["delta"] for entry in desk.connection.frames(PULL)] == ["y", "z"]
    other = desk.start("b")
    desk.pull()
    answer.say("x")
    assert desk.connection.newest() is None, "two are read"
    desk.pull()
    other.finish()
    desk.pull()
    answer.say("y")
    assert desk.connection.newest() == answer.written[-1]
    answer.finish()
    assert desk.connection.newest() is None, "an end leads to more than a write"


def test_the_newest_event_of_each_response_is_taken_if_all_are_deltas_and_nothing_else_is_new() -> None:
    desk = Desk()
    first, second, third = (desk.start(lane).say("a") for lane in "abc")
    take = desk.connection.newest_of_all
    assert take() == [], "there are others before them"
    desk.pull()
    assert take() == [], "nothing is new"
    first.say("b")
    third.say("b")
    assert take() == [first.written[-1], third.written[-1]]
    assert take() == []
    first.say("c")
    second.say("c", "d")
    assert take() == [], "two of one are new"
    assert [json.loads(entry)["delta"] for entry in desk.connection.frames(PULL)] == ["c", "c", "d"], "none is lost"
    first.say("d")
    second.finish()
    assert take() == [], "an end leads to more than a write"
    desk.pull()
    first.say("e")
    third.log.fail(WireError(ErrorCode.SERVER_ERROR, "gone"))
    assert take() == [], "there is a failure to tell"
    desk.pull()
    first.say("e")
    assert take() == [first.written[-1]]


def test_a_log_of_another_epoch_or_that_has_failed_is_not_stepped_through() -> None:
    log = CopiedLog("resp_0", State("e", 0), max_bytes=1 << 20, max_entries=9)
    answer = Answer().say("a", "b")
    log.take(0, answer.written)
    source: Any = SimpleNamespace(log=log, response_id="resp_0")
    readers = Readers()
    readers.add(Reader(source, log.tip - 1, None, None))
    log.go_on(State("another", log.tip))
    assert readers.newest() is None, "the client does not know the epoch"
    assert readers.newest_of_all() == []
    log.fail(WireError(ErrorCode.SERVER_ERROR, "gone"))
    assert readers.newest() is None
    assert readers.newest_of_all() == []


def test_a_step_is_of_one_running_response_beside_which_nothing_is_to_be_said() -> None:
    desk = Desk()
    answer = desk.start("a")
    desk.pull()
    assert desk.connection.step() is None, "nothing is new"
    before = len(answer.written)
    answer.say("x", "y")
    assert desk.connection.step() == answer.written[before:]
    answer.say("z")
    desk << {"type": "no such event"}
    assert desk.connection.step() is None, "there is an error to send"
    assert [frame["type"] for frame in desk.pull()] == ["error", "response.output_text.delta"]
    other = desk.start("b")
    answer.say("z")
    assert desk.connection.step() is None, "there are two"
    other.finish()
    desk.pull()
    answer.say("z")
    assert desk.connection.step() == answer.written[-1:], "there is one again"
    answer.finish()
    assert desk.connection.step() is None, "its end is more than a step"
    assert desk.pull()[-1]["type"] == "response.completed"


def test_a_reader_below_the_floor_is_told_so_and_frees_its_lane() -> None:
    desk = Desk(max_entries=10)
    answer = desk.start("a")
    other = desk.start("b")
    desk.pull()
    desk << create_in("a")
    assert len(desk.started) == 2
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


# -- the book itself


def reading(*answers: Answer, position: int = 0) -> tuple[Readers, list[Reader]]:
    readers = Readers()
    made = [Reader(answer, position, None, None) for answer in answers]
    for reader in made:
        readers.add(reader)
    return readers, made


def test_a_reader_is_done_at_the_terminal_event_and_not_before() -> None:
    first, second = Answer("resp_0").say("x"), Answer("resp_1").say("x")
    readers, (reader, other) = reading(first, second)
    assert readers.behind
    assert readers.read(PULL) == (first.written + second.written, [])
    assert not readers.behind
    first.finish()
    entries, done = readers.read(PULL)
    assert (entries, done) == (first.written[5:], [(reader, None)])
    assert (readers.response_ids, len(readers), readers.get("resp_1")) == (["resp_1"], 1, other)


def test_a_reader_below_the_floor_is_done_with_the_floor() -> None:
    answer = Answer("resp_0", max_entries=10).say(*"abcdefghijklmnopqrst")
    readers, (reader,) = reading(answer)
    assert readers.read(PULL) == ([], [(reader, answer.log.floor)])
    assert "resp_0" not in readers


def test_a_reader_at_the_end_of_what_is_over_is_done_without_another_event() -> None:
    answer = Answer("resp_0").finish()
    readers, (reader,) = reading(answer, position=answer.log.tip)
    assert readers.read(PULL) == ([], [(reader, None)])


def test_turns_go_on_where_the_last_portion_stopped() -> None:
    answers = [Answer(f"resp_{n}") for n in range(3)]
    readers, _ = reading(*answers)
    assert [readers.read(1)[0] for _ in answers] == [answer.written for answer in answers]


def test_the_readers_of_lanes_are_not_foreign() -> None:
    desk = Desk()
    desk.start("a")
    readers = desk.connection._readers
    readers.add(Reader(Answer("other"), 0, None, None))
    assert (len(readers), readers.num_foreign) == (2, 1)
    lane = desk.connection._creates.lanes.get("a")
    assert lane is not None
    assert readers.of(lane) is readers.get("resp_0")


@pytest.mark.parametrize(("position", "processed"), [(3, None), (3, 1)])
def test_a_cancel_tells_how_far_the_reader_is(position: int, processed: int | None) -> None:
    readers, (reader,) = reading(Answer("resp_0").say("x"), position=position)
    reader.processed = processed
    stop = readers.new_cancel("resp_0", ResponseCancel(event_id="e"), native=True)
    assert (stop.followed, stop.delivered, stop.through, stop.event_id) == (True, position, processed, "e")
    unread = readers.new_cancel("resp_1", ResponseCancel(through=7), native=False)
    assert (unread.followed, unread.delivered, unread.through) == (False, None, 7)


def test_more_of_the_same_may_wait_and_nothing_else() -> None:
    desk = Desk()
    connection, answer = desk.connection, desk.start("a")
    assert not connection.may_wait, "the beginning"
    desk.pull()
    assert connection.may_wait, "there is nothing"
    answer.say("x")
    assert not connection.may_wait, "the first token"
    desk.pull()
    answer.say("y", "z")
    assert connection.may_wait
    other = desk.start("b")
    assert not connection.may_wait, "another one begins"
    desk.pull()
    other.say("x", "y")
    answer.say("x")
    assert not connection.may_wait, "of this one it is the first token"
    desk.pull()
    other.say("z")
    answer.say("y").finish()
    assert not connection.may_wait, "an end"
    desk.pull()
    assert connection.may_wait
    other.say("a")
    assert connection.may_wait
    desk << {"type": "nonsense"}
    assert not connection.may_wait, "what the client does is answered at once"


def test_nothing_is_due_until_there_is_something_to_send_or_the_connection_ends() -> None:
    desk = Desk()
    assert not desk.connection.due
    answer = desk.start("a")
    assert desk.connection.due
    desk.pull()
    assert not desk.connection.due
    answer.say("x")
    assert desk.connection.due
    desk.pull()
    desk << {"type": "no such event"}
    assert desk.connection.due
    desk.pull()
    assert not desk.connection.due
    desk.connection.drain(1.0)
    assert desk.connection.due


def test_an_end_without_events_is_told_though_others_have_a_delta_each() -> None:
    overtaken, other = Answer("resp_0").say("a"), Answer("resp_1").say("a")
    readers, (first, second) = reading(overtaken, other)
    first.position, second.position = overtaken.log.tip + 9, other.log.tip  # it has had what did not come again
    other.say("b")
    overtaken.finish()
    assert readers.newest_of_all() == []
    entries, done = readers.read(PULL)
    assert entries == [other.written[-1]]
    assert done == [(first, None)]


def test_what_a_reader_waits_for_in_vain_is_told_though_others_have_a_delta_each() -> None:
    gone, other = Answer("resp_0").say("a"), Answer("resp_1").say("a")
    readers, (first, second) = reading(gone, other)
    first.position, second.position = gone.log.tip + 9, other.log.tip
    other.say("b")
    gone.log.fail(WireError(ErrorCode.SERVER_ERROR, "gone"))
    assert readers.newest_of_all() == []
    _, done = readers.read(PULL)
    assert [one for one, _ in done] == [first]


def test_an_end_without_events_is_due() -> None:
    for end in (
        lambda log: log.fail(WireError(ErrorCode.SERVER_ERROR, "gone")),
        lambda log: setattr(log, "sealed", True),
    ):
        desk = Desk()
        answer = desk.start("a").say("a")
        desk.pull()
        assert not desk.connection.due
        end(answer.log)
        assert desk.connection.due
        desk.pull()
        assert not desk.connection.due
