"""Merged deltas are the events of the log, with each run of deltas as one, wherever a reader begins and stops."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from realtime.dialects.base import Piece, TextDelta
from realtime.runs.open_items import ReasoningShown
from realtime.store import cursor
from realtime.store.abridged import Abridged
from realtime.store.event_log import EventLog
from realtime.store.merging import TYPES, DeltaEvent, Merger
from realtime.wire import events as e
from realtime.wire.errors import WireError
from tests.support.fuzz import examples
from tests.support.merged import PIECES, Writer, check_covers, merge
from tests.support.responses import Answer

SHOWN = st.builds(ReasoningShown, summary=st.booleans(), raw=st.booleans())


def written(shown: ReasoningShown, pieces: list[Any], **bounds: int) -> tuple[EventLog, list[bytes]]:
    writer = Writer(shown, **bounds)
    for piece in pieces:
        writer.feed(piece)
    writer.finish()
    return writer.log, writer.written


def decoded(entries: list[bytes]) -> list[Any]:
    return [json.loads(entry) for entry in entries]


@examples(150)
@given(SHOWN, st.lists(PIECES, max_size=24), st.data())
def test_merged_is_what_the_events_are_for_any_log_and_any_cut(
    shown: ReasoningShown, pieces: list[Piece], data: st.DataObject
) -> None:
    _, entries = written(shown, pieces)
    start = position = data.draw(st.integers(0, len(entries)))
    merger, out = Merger(), []
    while position < len(entries):
        behind = data.draw(st.integers(position + 1, len(entries)))
        out += merger.put(entries[position:behind])
        position = behind
    out += merger.flush()
    assert decoded(out) == merge(decoded(entries[start:]))
    assert check_covers(out, entries, start) == len(entries)
    assert merger.held is None


@examples(150)
@given(SHOWN, st.lists(PIECES, max_size=24), st.integers(1, 12), st.data())
def test_what_a_log_has_dropped_can_still_be_read_merged_from_anywhere(
    shown: ReasoningShown, pieces: list[Piece], max_entries: int, data: st.DataObject
) -> None:
    log, entries = written(shown, pieces, max_entries=max_entries)
    assume(log.abridged is not None)
    assert log.abridged is not None
    assert log.abridged.tip == log.floor
    start = data.draw(st.integers(0, log.floor - 1))
    merger, out, position = Merger(), [], start
    while position < log.floor:
        some, position = log.abridged.read(position, data.draw(st.integers(1, 3)))
        out += merger.put(some)
    assert position == log.floor
    out += merger.put(log.read(position, 1000)) + merger.flush()
    assert decoded(out) == merge(decoded(entries[start:]))
    assert check_covers(out, entries, start) == len(entries)


def test_what_is_kept_of_dropped_events_is_about_their_text() -> None:
    answer = Answer(max_entries=16)
    for number in range(5000):
        answer.say(f"word{number} ")
    log, num_chars = answer.log, sum(len(f"word{number} ") for number in range(5000))
    assert log.abridged is not None
    assert sum(map(len, answer.written)) > 180 * 5000, "so much it was"
    assert log.abridged.num_bytes < num_chars + 4 * 5000 + 4096
    kept = log.abridged.read(0, 100)[0]
    assert len(kept) == 5, "the four events before the first word, and one run"


def test_a_log_within_its_bounds_abridges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Abridged, "add", None)
    assert Answer(max_entries=100).say(*"abcdefgh").finish().log.abridged is None


def test_a_burst_that_is_dropped_is_bounded() -> None:
    answer = Answer(max_entries=8000)
    floors = [0]
    for _ in range(9000):
        answer.say("x")
        if answer.log.floor != floors[-1]:
            floors.append(answer.log.floor)
    assert max(later - earlier for earlier, later in pairwise(floors)) <= 513


@pytest.mark.parametrize("stored", [False, True], ids=["running", "stored"])
def test_a_cursor_below_the_floor_can_be_served_merged_and_not_otherwise(stored: bool) -> None:
    answer = Answer(max_entries=8).say(*"abcdefghij").finish()
    log = answer.log.stored() if stored else answer.log
    assert log.floor > 3
    with pytest.raises(WireError, match="gone"):
        cursor.resolve(log, 2, None)
    assert cursor.resolve(log, 2, None, merged=True) == 3
    with pytest.raises(WireError, match="newest event"):
        cursor.resolve(log, log.tip, None, merged=True)


def test_every_delta_of_the_wire_can_be_merged_with_all_its_members() -> None:
    deltas = e.Delta.__subclasses__()
    assert {kind.__struct_config__.tag.encode() for kind in deltas} == TYPES  # type: ignore[union-attr]
    known = {*DeltaEvent.__struct_fields__}
    for kind in deltas:
        assert {*kind.__struct_fields__} <= known
    others = [kind for kind in e.InItem.__subclasses__() if "delta" in kind.__struct_fields__]
    assert others == [], "an event with a delta that can't be merged"


def test_logprobs_are_joined_and_members_that_were_not_there_are_not() -> None:
    writer = Writer(ReasoningShown())
    for text in "ab":
        writer.feed(TextDelta(text, [{"token": text}]))
    merger = Merger()
    merger.put(writer.written)
    assert merger.held == 4
    (entry,) = merger.flush()
    event = json.loads(entry)
    assert (event["delta"], event["logprobs"]) == ("ab", [{"token": "a"}, {"token": "b"}])
    assert (event["first_sequence_number"], event["sequence_number"], event["content_index"]) == (4, 5, 0)
    assert "stream_id" not in event
