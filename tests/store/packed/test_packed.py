"""What is written is read again: logs, turns, records, heads, items, whatever is in them."""

from __future__ import annotations

import hashlib
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.turns import ExpandedCompaction, Prompt, Turn
from realtime.engine.pictures import Picture, attach, picture_of
from realtime.store.packed.items import pack_items, unpack_items
from realtime.store.packed.journal import Chunk, Shorthand, decode_chunks, encode_chunks, without
from realtime.store.packed.logs import decode_log, encode_log
from realtime.store.packed.marks import marked
from realtime.store.packed.packing import pack, unpack
from realtime.store.packed.records import decode_head, decode_record, encode_head, encode_record
from realtime.store.packed.turns import Row, decode_own_items, decode_turns, encode_turn
from realtime.store.records import Head, Record
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import (
    AdditionalTools,
    Compaction,
    InputImage,
    InputItem,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
)
from realtime.wire.requests import ResponseCreate
from tests.support.fuzz import TEXT, examples
from tests.support.responses import Answer, make_response

FILE = object()


def said(text: str) -> Message:
    return Message(role="user", content=text)


def answered(text: str) -> Message:
    return Message(id=f"msg_{text}", status="completed", role="assistant", content=[OutputText(text=text)])


@examples(50)
@given(st.binary(max_size=400))
def test_bytes_are_packed_and_unpacked(data: bytes) -> None:
    assert unpack(pack(data)) == data


@examples(50)
@given(st.binary(max_size=40))
def test_what_was_not_packed_is_an_error_of_one_kind(data: bytes) -> None:
    for read in (unpack, decode_chunks, decode_log, decode_head, decode_own_items):
        try:
            read(data)
        except ValueError:
            continue


@examples(50)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.lists(st.binary(max_size=9), max_size=3))))
def test_a_journal_keeps_chunks_in_order_and_loses_one_response_when_told(found: list[Any]) -> None:
    chunks = [Chunk(number, first, events, b"\1\0\0\0", first) for number, first, events in found]
    blob = encode_chunks(chunks)
    assert decode_chunks(blob) == chunks
    left = without(blob, 1)
    assert (decode_chunks(left) if left is not None else []) == [one for one in chunks if one.number != 1]


# -- logs


def test_a_log_is_the_same_to_the_byte() -> None:
    answer = Answer("resp_0").say("a", "b", "\u2028 \u00e9").finish()
    log = answer.log.stored()
    again = decode_log(encode_log(log))
    assert again == log
    assert again.read(0, 99) == answer.written


def test_texts_that_entries_share_are_stored_once() -> None:
    request = ResponseCreate(instructions="".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) * 4)
    answer = Answer("resp_0", request=request).say("a").finish()
    log = answer.log.stored()
    once = len(encode_log(log))
    assert once < 3 * len(pack(request.instructions.encode()))  # type: ignore[union-attr]
    again = decode_log(encode_log(log))
    assert again.read(0, 99) == answer.written
    assert again.num_bytes == log.num_bytes


@examples(20)
@given(st.lists(TEXT, min_size=30, max_size=60), st.integers(16, 30))
def test_what_a_log_has_dropped_can_be_read_merged_as_before(texts: list[str], max_entries: int) -> None:
    log = Answer("resp_0", max_entries=max_entries).say(*texts).finish().log.stored()
    again = decode_log(encode_log(log))
    assert (again.floor, again.entries) == (log.floor, log.entries)
    assert log.abridged is not None
    assert again.abridged is not None
    assert again.abridged.tip == log.abridged.tip
    for start in range(log.floor):
        assert again.abridged.read(start, 99) == log.abridged.read(start, 99)
        assert again.abridged.since(start) == log.abridged.since(start)


# -- items


def test_items_keep_what_is_no_member_of_them() -> None:
    url = InputImage(image_url="https://example.com/a.png")
    inline = InputImage(image_url="data:image/png;base64,QUJD")
    seen = Picture(hashlib.sha256(b"x").hexdigest(), b"x", 3, 4)
    embedded = Picture(hashlib.sha256(b"ABC").hexdigest(), b"ABC", 5, 6)
    attach(url, seen)
    attach(inline, embedded)
    items: list[InputItem] = [
        said("a"),
        Message(role="user", content=[inline, url]),
        ExpandedCompaction.of(Compaction(id="cmp", encrypted_content="x"), [said("before"), answered("b")]),
        HarmonyMessage(role="user", content="c"),
        Reasoning(id="rs", content=[ReasoningText(text="d")]),
    ]
    again = unpack_items(pack_items(items))
    assert again == items
    compaction, message = again[2], again[1]
    assert isinstance(compaction, ExpandedCompaction)
    assert compaction.content == (said("before"), answered("b"))
    assert isinstance(message, Message)
    assert [picture_of(part) for part in message.content] == [embedded, seen]  # type: ignore[arg-type]


def test_what_authorizes_calls_is_not_stored() -> None:
    tool = {"type": "mcp", "server_label": "w", "server_url": "https://w", "authorization": "s3cret"}
    function = {"type": "function", "name": "authorization", "headers": 1}
    more = {**tool, "headers": {"x-key": "s3cret"}}
    items: list[InputItem] = [AdditionalTools(tools=[more, function])]
    head = Head(
        response_id="resp_0", owner="t", epoch="e", stream_id="s", begun_at=7,
        request=ResponseCreate(tools=[tool], items=items, num_before=1),
    )  # fmt: skip
    blob = encode_head(head)
    assert b"s3cret" not in unpack(blob)
    again = decode_head(blob)
    assert again.request.tools == [{"type": "mcp", "server_label": "w", "server_url": "https://w"}]
    [kept] = again.request.items
    assert isinstance(kept, AdditionalTools)
    assert kept.tools[1] == function
    assert (again.stream_id, again.begun_at, again.request.num_before) == ("s", 7, 1)


def test_of_a_response_that_is_not_to_be_stored_its_head_says_nothing() -> None:
    metadata = {"s3cret": "s3cret"}
    request = ResponseCreate(items=[said("s3cret")], instructions="s3cret", metadata=metadata, user="s3cret")
    head = Head(response_id="resp_0", owner="t", epoch="e", stream_id="s3cret", request=request, stored=False)
    blob = encode_head(head)
    assert b"s3cret" not in unpack(blob)
    assert not decode_head(blob).stored


# -- turns and records


def chain(length: int) -> Turn:
    """Turns of which each was generated from what the one before was generated from, and its answer."""
    turn: Turn | None = None
    for n in range(length):
        before = turn.prompt if turn is not None else None
        text = f"{before.text if before is not None else ''}[{n}]"
        tokens = array("I", [*(before.token_ids if before else []), *(turn.token_ids if turn else []), n])
        turn = Turn(f"resp_{n}", turn, (said(f"{n}?"),), (answered(f"{n}!"),), Prompt(text, tokens), array("I", [9, n]))
    assert turn is not None
    return turn


def rows_of(turn: Turn) -> list[Row]:
    turns = []
    at: Turn | None = turn
    while at is not None:
        turns.append(at)
        at = at.parent
    return [Row(number, encode_turn(one, "v")) for number, one in enumerate(reversed(turns), 1)]


def test_a_chain_of_turns_is_read_with_the_tokens_of_the_newest() -> None:
    turn = chain(5)
    again = decode_turns(rows_of(turn), FILE, "v")
    assert (again.items(), again.prompt, again.token_ids) == (turn.items(), turn.prompt, turn.token_ids)
    assert (again.response_id, again.input, again.output) == (turn.response_id, turn.input, turn.output)
    assert again.parent is not None
    assert (again.parent.response_id, again.parent.prompt) == ("resp_3", None)
    assert [marked(again, FILE), marked(again.parent, FILE), marked(again, object())] == [5, 4, None]


def test_tokens_of_another_vocabulary_are_not_used() -> None:
    turn = chain(2)
    again = decode_turns(rows_of(turn), FILE, "another")
    assert (again.items(), again.prompt, again.token_ids) == (turn.items(), None, array("I"))


def test_a_prompt_takes_the_room_of_what_is_new_in_it() -> None:
    short, long = rows_of(chain(3))[-1], rows_of(chain(300))[-1]
    assert len(long.body) < len(short.body) + 40


def test_a_prompt_is_made_anew_if_a_picture_of_it_is_gone() -> None:
    picture = Picture("d", b"x", 1, 1)
    turn = Turn("resp_0", None, (said("?"),), (), Prompt("p", array("I", [1]), (picture,), letters=(0,)))
    assert decode_turns(rows_of(turn), FILE, "v").prompt is None


@pytest.mark.parametrize("failed", [False, True])
def test_a_record_is_read_with_its_turn(failed: bool) -> None:
    turn = None if failed else Turn("resp_0", None, (said("?"),), (answered("!"),))
    status = "failed" if failed else "completed"
    response = make_response("resp_0", metadata={"a": "b"}, output=[answered("!")], status=status)
    members: dict[str, Any] = {"expires_at": 1.5, "begun_at": 3, "input": (said("?"),)}
    record = Record(owner="t", response=response, epoch="e", turn=turn, continuable=True, **members)
    assert decode_record(encode_record(record), turn) == record


@examples(30)
@given(st.lists(st.lists(TEXT, min_size=1, max_size=4), max_size=6))
def test_what_deltas_have_in_common_is_written_once(said: list[list[str]]) -> None:
    answer = Answer("resp_0123456789")
    for texts in said:
        answer.say(*texts)
    answer.finish()
    writing, reading = Shorthand(), Shorthand()
    short = [writing.shorten([entry]) for entry in answer.written]
    assert [entry for events in short for entry in reading.spell_out(events)] == answer.written
    deltas = [events[0] for events in short if events[0].startswith(b"\2")]
    assert len(deltas) == max(sum(map(len, said)) - 1, 0)
    assert not any(b"resp_0123456789" in delta for delta in deltas)
