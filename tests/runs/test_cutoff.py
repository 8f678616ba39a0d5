"""Where an answer is cut when its user stopped listening, against a log that was really written."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator

import msgspec
import pytest

from realtime.context.turns import ExpandedCompaction, Prompt, Turn
from realtime.dialects.base import TextDelta
from realtime.runs.cutoff import Cutoff, Written, find_cutoff
from realtime.store.records import Record
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import Compaction, FunctionCall, Message, OutputItem, OutputText
from realtime.wire.requests import Characters, Place, Through
from tests.support.responses import Answer, make_response, text_in

# created, in_progress, item added, part added, then the deltas
FIRST_DELTA = 4
WORDS = ("one ", "two ", "drei\N{PILE OF POO} ", "four")


def cutoff(answer: Answer, place: Place) -> Cutoff:
    """As it is found while the answer runs, and when it is over."""
    assembler = answer._assembler
    return find_cutoff(
        Written.of(answer.log, place, assembler.output, assembler.open_index, assembler.open_message), place
    )


def texts(items: list[OutputItem]) -> list[str]:
    return [text_in(item) for item in items if isinstance(item, Message)]


def places(answer: Answer, item_id: str) -> Iterator[tuple[Place, str]]:
    """Every place that can be named, and the text up to there."""
    text, num = "", answer.log.floor
    for number, entry in enumerate(answer.written):
        event = json.loads(entry)
        if event["type"] == "response.output_text.delta":
            text += event["delta"]
        if number >= num:
            yield Through(number), text
    for num_characters in range(len(text) + 1):
        yield Characters(item_id, 0, num_characters), text[:num_characters]


def item_id_of(answer: Answer) -> str:
    added = json.loads(answer.written[2])
    return str(added["item"]["id"])


def record_of(answer: Answer, turn: Turn | None) -> Record:
    return Record(
        owner="t", response=answer.response, epoch="e", turn=turn, continuable=True, expires_at=0.0
    )  # fmt: skip


def test_every_place_in_an_answer_that_runs_can_be_where_it_is_cut() -> None:
    answer = Answer().say(*WORDS)
    cuts = [(cutoff(answer, place), heard) for place, heard in places(answer, item_id_of(answer))]
    answer.cancel()
    for cut, heard in cuts:
        assert texts(cut.apply(answer.output)) == ([heard] if heard else []), cut


def test_a_place_that_was_found_while_it_ran_holds_however_it_went_on() -> None:
    answer = Answer().say(*WORDS)
    cuts = [(cutoff(answer, place), heard) for place, heard in places(answer, item_id_of(answer))]
    answer.say("five", "six").finish()
    for cut, heard in cuts:
        assert texts(cut.apply(answer.output)) == ([heard] if heard else []), cut


def test_every_place_in_a_finished_answer_can_be_where_it_is_cut() -> None:
    answer = Answer().say(*WORDS).finish()
    for place, heard in places(answer, item_id_of(answer)):
        cut = cutoff(answer, place)
        left = cut.apply(answer.output)
        assert texts(left) == ([heard] if heard else []), place
        if left and heard != "".join(WORDS):
            assert left[0].status == "incomplete"
        elif left:
            assert left[0] is answer.output[0], "it was heard to its end, whatever events came after that"


def test_nothing_comes_back_whatever_the_order_of_the_cuts() -> None:
    answer = Answer().say(*WORDS).finish()
    named = list(places(answer, item_id_of(answer)))
    whole = record_of(answer, Turn("resp_0", None, (), tuple(answer.output)))
    cuts = [(cutoff(answer, place), heard) for place, heard in named]
    for first, heard_first in cuts:
        for second, heard_second in cuts:
            left = second.apply_to_record(first.apply_to_record(whole))
            heard = min(heard_first, heard_second, key=len)
            assert texts(left.output) == ([heard] if heard else [])
            assert left.turn is not None
            assert list(left.turn.output) == left.output
            assert left.response.truncated
            assert left.response.truncated.through == min(first.through, second.through)
            together = second.or_earlier(first).apply_to_record(whole)
            assert together.output == left.output


def test_characters_of_a_message_end_in_the_last_event_of_which_anything_was_heard() -> None:
    answer = Answer().say(*WORDS).finish()
    item_id = item_id_of(answer)
    heard = [(0, FIRST_DELTA - 2), (1, 4), (4, 4), (5, 5), (8, 5), (9, 6), (13, 6), (14, 6), (15, 7), (18, 7)]
    assert [(num, cutoff(answer, Characters(item_id, 0, num)).through) for num, _ in heard] == heard


def test_an_item_whose_end_was_seen_is_whole() -> None:
    answer = Answer().say("one ", "two").finish()
    whole = cutoff(answer, Through(answer.log.tip - 1))
    assert whole.apply(answer.output) == answer.output
    almost = cutoff(answer, Through(FIRST_DELTA))
    assert texts(almost.apply(answer.output)) == ["one "]


def test_a_call_counts_when_its_end_was_seen_and_not_before() -> None:
    call = FunctionCall(call_id="c", name="f", arguments="{}", status="completed")
    assert Cutoff(9, 0, 3).apply([call]) == []
    assert Cutoff(9, 1).apply([call]) == [call]


def test_a_compaction_stays_because_it_stands_for_all_before_it() -> None:
    compaction = ExpandedCompaction.of(Compaction(id="cmp", encrypted_content="x"), [])
    message = Message(role="assistant", status="completed", content=[OutputText(text="abcd")])
    assert Cutoff(-1, 0).apply([compaction, message]) == [compaction]
    assert texts(Cutoff(9, 1, 2).apply([compaction, message])) == ["ab"]
    assert Cutoff(-1, 0).apply([message]) == []


def test_log_probabilities_are_cut_with_their_text() -> None:
    part = OutputText(text="abcd", logprobs=[1, 2, 3, 4])
    (cut,) = Cutoff(9, 0, 3, 2).apply([Message(role="assistant", status="completed", content=[part])])
    assert isinstance(cut, Message)
    assert cut.content == [OutputText(text="abc", logprobs=[1, 2])]


def test_a_turn_that_is_cut_keeps_the_tokens_of_its_prompt_and_one_that_is_not_keeps_all() -> None:
    message = Message(role="assistant", status="completed", content=[OutputText(text="abcd")])
    prompt = Prompt("p", array("I", [1]))
    turn = Turn("resp_0", None, (), (message,), prompt, array("I", [2, 3]))
    assert Cutoff(9, 0, 4).apply_to_turn(turn) is turn
    cut = Cutoff(9, 0, 2).apply_to_turn(turn)
    assert (cut.prompt, list(cut.token_ids), texts(list(cut.output))) == (prompt, [], ["ab"])
    assert texts(list(turn.output)) == ["abcd"], "who holds it goes on with what it was"


def test_what_was_shown_of_the_whole_answer_is_shown_no_more_when_that_is_cut() -> None:
    answer = Answer().say("one ", "two").finish()
    response = msgspec.structs.replace(answer.response, output_token_ids=[1], output_messages=[], input_token_ids=[0])
    record = msgspec.structs.replace(record_of(answer, None), response=response)
    cut = Cutoff(4, 0, 2).apply_to_record(record).response
    assert (cut.output_token_ids, cut.output_messages, cut.input_token_ids) == (msgspec.UNSET, msgspec.UNSET, [0])
    whole = Cutoff(9).apply_to_record(record).response
    assert whole.output_token_ids == [1]


def test_what_was_never_sent_and_what_is_gone_are_refused() -> None:
    answer = Answer(max_entries=3).say("one ", "two ", "three ", "four")
    answer.log.abridged = None  # of a store that keeps nothing of them
    for number, code in ((answer.log.tip, ErrorCode.CURSOR_AHEAD), (answer.log.floor - 2, ErrorCode.CURSOR_TOO_OLD)):
        with pytest.raises(WireError) as refused:
            cutoff(answer, Through(number))
        assert (refused.value.code, refused.value.param) == (code, "through")
    assert cutoff(answer, Through(answer.log.floor - 1)).through == answer.log.floor - 1


@pytest.mark.parametrize(
    ("place", "code", "param"),
    [
        (Characters("msg_none", 0, 1), ErrorCode.ITEM_NOT_FOUND, "item_id"),
        (Characters("", 0, 0), ErrorCode.ITEM_NOT_FOUND, "item_id"),
        (Characters("$", 1, 1), ErrorCode.ITEM_NOT_FOUND, "content_index"),
        (Characters("$", 0, 8), ErrorCode.CURSOR_AHEAD, "num_characters"),
    ],
)
@pytest.mark.parametrize("is_over", [False, True])
def test_characters_that_are_not_there_are_refused(
    place: Characters, code: ErrorCode, param: str, is_over: bool
) -> None:
    answer = Answer().say("one ", "two")
    if is_over:
        answer.finish()
    named = msgspec.structs.replace(place, item_id=place.item_id.replace("$", item_id_of(answer)))
    with pytest.raises(WireError) as refused:
        cutoff(answer, named)
    assert (refused.value.code, refused.value.param, refused.value.response_id) == (code, param, "resp_0")


@pytest.mark.parametrize("max_entries", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("is_over", [False, True])
@pytest.mark.parametrize("logprobs", [False, True])
def test_what_has_left_the_log_is_found_as_well(max_entries: int, is_over: bool, logprobs: bool) -> None:
    short, long = Answer(max_entries=max_entries), Answer()
    for answer in (short, long):
        pieces = [TextDelta(word, list(range(n)) if logprobs else []) for n, word in enumerate(WORDS)]
        answer._append(*answer._assembler.feed(pieces))
        if is_over:
            answer.finish()
    assert short.log.floor > 0
    for place, _ in [(Through(-1), ""), *places(long, item_id_of(long))]:
        named = msgspec.structs.replace(place, item_id=item_id_of(short)) if isinstance(place, Characters) else place
        assert cutoff(short, named) == cutoff(long, place), place


def test_characters_of_whose_events_nothing_is_kept_are_refused_and_later_ones_found() -> None:
    answer = Answer(max_entries=8)
    answer.say("one ", "two ", "three ", "four")
    item_id = item_id_of(answer)
    answer.finish()
    answer.log.abridged = None
    assert 0 < answer.log.floor <= FIRST_DELTA + 3
    with pytest.raises(WireError) as refused:
        cutoff(answer, Characters(item_id, 0, 2))
    assert refused.value.code is ErrorCode.CURSOR_TOO_OLD
    assert texts(cutoff(answer, Characters(item_id, 0, 17)).apply(answer.output)) == ["one two three fou"]


def test_an_item_all_of_whose_events_are_gone_is_known_still() -> None:
    answer = Answer(max_entries=2).say("one ", "two ").finish()
    answer.log.abridged = None
    with pytest.raises(WireError) as refused:
        cutoff(answer, Characters(item_id_of(answer), 0, 2))
    assert refused.value.code is ErrorCode.CURSOR_TOO_OLD


def test_a_response_that_said_nothing_can_be_cut_to_nothing() -> None:
    answer = Answer().finish()
    assert make_response().output == []
    assert cutoff(answer, Through(-1)).apply(answer.output) == []
