"""A reader that takes deltas merged: it is given all of the log, in bounded bytes, however slow it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.connection.catch_up import FAR, CatchUp
from realtime.connection.readers import Reader, Readers
from realtime.dialects.base import Piece
from realtime.runs.open_items import ReasoningShown
from tests.connection.playbook import Desk, codes, event, resume
from tests.support.fuzz import examples
from tests.support.merged import PIECES, Writer, check_covers, merge
from tests.support.responses import PLENTY

PULL = 1 << 20
TOKEN_SECONDS = 1 / 200
BYTES_PER_SECOND = 10_000


def decoded(entries: list[bytes]) -> list[Any]:
    return [json.loads(entry) for entry in entries]


class FakeSource:
    """No more of a source than a reader looks at."""

    response_id = "resp_0"

    def __init__(self, writer: Writer) -> None:
        self.log = writer.log


def reading(writer: Writer, start: int, until: int) -> Readers:
    source: Any = FakeSource(writer)
    reader = Reader(source, start, None, None)
    reader.catch_up = CatchUp(until)
    readers = Readers()
    readers.add(reader)
    return readers


@examples(150)
@given(st.lists(PIECES | st.none(), max_size=40), st.sampled_from([4, 9, 30, PLENTY]), st.data())
def test_whenever_it_reads_it_gets_everything_once(
    steps: list[Piece | None], max_entries: int, data: st.DataObject
) -> None:
    """None among the steps: it reads what there is by then."""
    writer = Writer(ReasoningShown(raw=True), max_entries=max_entries)
    start = data.draw(st.integers(0, writer.log.tip))
    readers, out, done = reading(writer, start, writer.log.tip), [], []
    for step in steps:
        if step is None:
            frames, ended = readers.read(data.draw(st.sampled_from([1, 500, PULL])))
            out += frames
            done += ended
        else:
            writer.feed(step)
    writer.finish()
    for _ in range(1000):
        frames, ended = readers.read(data.draw(st.sampled_from([1, 500, PULL])))
        out += frames
        done += ended
        if ended:
            break
    assert [floor for _, floor in done] == [None], "it comes to the end, and is never told that it was too slow"
    assert check_covers(out, writer.written, start) == len(writer.written)


@pytest.mark.parametrize("way", ["resume", "create", "session.update"])
def test_it_is_asked_for_in_three_ways(way: str) -> None:
    desk = Desk()
    merged = {"catch_up": "merged"}
    if way == "session.update":
        desk << event("session.update", **merged)
        (told,) = desk.pull()
        assert told["session"] == {"heartbeat_seconds": 0.0, **merged}
    answer = desk.start("a", **(merged if way == "create" else {}))
    if way == "resume":
        desk.pull()
        answer.say(*"abcdef")
        desk << resume("resp_0", **merged)
    else:
        answer.say(*"abcdef" * 20)  # a create that is merged has nothing to catch up with, until it is far behind
    frames = [frame for frame in desk.pull() if "response_id" in frame]
    assert frames == merge([json.loads(entry) for entry in answer.written])
    answer.say("live", "again")
    assert [frame["delta"] for frame in desk.pull()] == ["live", "again"], "then live"


def test_who_has_not_asked_gets_the_events_as_they_were() -> None:
    desk = Desk()
    desk << event("session.update", catch_up="merged") << event("session.update", catch_up="events")
    answer = desk.start("a").say(*"abcdef" * 40).finish()
    desk.pull()
    desk << resume("resp_0")
    assert [f for f in desk.pull() if "response_id" in f] == decoded(answer.written)
    desk << resume("resp_0", catch_up="some")
    assert codes(desk.pull()) == ["invalid_request"]


def test_a_finished_answer_comes_in_a_handful_of_events() -> None:
    desk = Desk()
    answer = desk.start("a").say(*["word "] * 5000).finish()
    while desk.pull():
        pass
    desk << resume("resp_0", catch_up="merged")
    frames: list[dict[str, Any]] = []
    while desk.connection.pending:
        frames += desk.pull(max_bytes=64 * 1024)
    events = [frame for frame in frames if "response_id" in frame]
    assert events == merge([json.loads(entry) for entry in answer.written])
    assert len(events) == 9


def test_one_pull_looks_at_no_more_of_a_log_than_one_that_is_not_merged() -> None:
    """Else the catch-up of one would hold up everybody else."""
    desk = Desk()
    desk.start("a").say(*["x"] * 5000).finish()
    while desk.pull():
        pass
    desk << resume("resp_0", catch_up="merged")
    reader = desk.connection._readers.get("resp_0")
    assert reader is not None
    looked_at = []
    while desk.connection.pending:
        before = reader.position
        desk.connection.frames(10_000)
        looked_at.append(reader.position - before)
    assert len(looked_at) > 50
    assert max(looked_at) < 100


def test_what_is_held_back_counts_as_not_taken() -> None:
    desk = Desk()
    answer = desk.start("a", catch_up="merged").say(*"x" * 400)
    desk.connection.frames(10_000)
    reader = desk.connection._readers.get("resp_0")
    assert reader is not None
    assert (reader.num_taken, reader.position > 10) == (4, True)
    desk << event("response.ack", response_id="resp_0", through=4)
    assert codes(desk.pull()) == ["cursor_ahead"], "of this nothing was sent"
    assert reader.num_taken == answer.log.tip


@pytest.mark.parametrize("max_entries", [PLENTY, 100], ids=["roomy log", "tight log"])
def test_a_reader_of_ten_kilobytes_a_second_beside_a_model_of_two_hundred_tokens(max_entries: int) -> None:
    """In virtual time: a socket that takes so much, in front of which so much is buffered as a transport does."""
    high_water, low_water = 8192, 2048
    desk = Desk(max_entries=max_entries)
    answer = desk.start("a", catch_up="merged")
    words = [f"word{number} " for number in range(6000)]  # half a minute
    received: list[bytes] = []
    buffered, credit, writable, largest = 0, 0.0, True, 0
    queue: list[bytes] = []
    steps = iter(words)
    while not (answer.log.sealed and not desk.connection.pending and not queue):
        word = next(steps, None)
        if word is not None:
            answer.say(word)
        elif not answer.log.sealed:
            answer.finish()
        if writable:
            frames = desk.connection.frames(64 * 1024)
            queue += frames
            buffered += sum(map(len, frames))
            writable = buffered <= high_water
        largest = max(largest, buffered)
        credit += BYTES_PER_SECOND * TOKEN_SECONDS
        while queue and credit >= len(queue[0]):
            credit -= len(queue[0])
            buffered -= len(queue[0])
            received.append(queue.pop(0))
        writable = writable or buffered <= low_water
    num_chars = len("".join(words))
    live = sum(map(len, answer.written))
    assert live > 10 * num_chars
    assert not any(b'"slow_reader"' in frame for frame in received)
    assert check_covers(received, answer.written, 0) == len(answer.written)
    assert "".join(json.loads(frame).get("delta", "") for frame in received) == "".join(words)
    assert sum(map(len, received)) < BYTES_PER_SECOND * 6000 * TOKEN_SECONDS + 5 * num_chars, (
        "what it takes live, and the end"
    )
    before_end = received[:-4]
    assert max(map(len, before_end)) < high_water, "no event is longer than what was said while the socket was full"
    assert largest < high_water + FAR * 400 + 5 * num_chars


def test_a_slow_reader_that_has_not_asked_is_told_as_ever() -> None:
    desk = Desk(max_entries=10)
    plain, merged = desk.start("a"), desk.start("b", catch_up="merged")
    desk.pull()
    for answer in (plain, merged):
        answer.say(*"abcdefghijklmnopqrst")
    frames = desk.pull()
    assert codes(frames) == ["slow_reader"]
    assert [frame["delta"] for frame in frames if "delta" in frame] == ["abcdefghijklmnopqrst"]
