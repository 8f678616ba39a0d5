"""Where an answer is cut when its user stopped listening, against a log that was really written."""

from __future__ import annotations

import json

import pytest

from realtime.runs.cutoff import Cutoff, cutoff
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import FunctionCall, Message, OutputText
from tests.support.responses import Answer, text_in

# created, in_progress, item added, part added, then the deltas
FIRST_DELTA = 4


def text_of(answer: Answer, cut: Cutoff) -> list[str]:
    return [text_in(item) for item in cut.apply(answer.output) if isinstance(item, Message)]


def deltas_up_to(answer: Answer, through: int) -> str:
    seen = [json.loads(entry) for entry in answer.written[: through + 1]]
    return "".join(event["delta"] for event in seen if event["type"] == "response.output_text.delta")


def test_the_text_is_what_the_deltas_up_to_there_say() -> None:
    answer = Answer().say("one ", "two ", "three ", "four")
    cuts = [cutoff(answer.log, through, 0, 0) for through in range(answer.log.tip)]
    answer.cancel()
    for through, cut in enumerate(cuts):
        expected = deltas_up_to(answer, through)
        assert text_of(answer, cut) == ([expected] if expected else []), through


def test_an_item_whose_end_was_seen_is_whole() -> None:
    answer = Answer().say("one ", "two").finish()
    whole = cutoff(answer.log, answer.log.tip - 1, 1, None)
    assert (whole.num_whole, whole.num_chars) == (1, None)
    assert whole.apply(answer.output) == answer.output
    almost = cutoff(answer.log, FIRST_DELTA, 1, None)
    assert text_of(answer, almost) == ["one "]


def test_a_call_counts_when_its_end_was_seen_and_not_before() -> None:
    call = FunctionCall(call_id="c", name="f", arguments="{}", status="completed")
    assert Cutoff(9, 0, 3).apply([call]) == []
    assert Cutoff(9, 1, None).apply([call]) == [call]


def test_log_probabilities_are_cut_with_their_text() -> None:
    part = OutputText(text="abcd", logprobs=[1, 2, 3, 4])
    (cut,) = Cutoff(9, 0, 1, 2).apply([Message(role="assistant", status="completed", content=[part])])
    assert isinstance(cut, Message)
    assert cut.content == [OutputText(text="abc", logprobs=[1, 2])]


def test_what_was_never_sent_and_what_is_gone_are_refused() -> None:
    answer = Answer(max_entries=3).say("one ", "two ", "three ", "four")
    with pytest.raises(WireError) as ahead:
        cutoff(answer.log, answer.log.tip, 0, 0)
    assert ahead.value.code is ErrorCode.CURSOR_AHEAD
    with pytest.raises(WireError) as old:
        cutoff(answer.log, answer.log.floor - 2, 0, 0)
    assert old.value.code is ErrorCode.CURSOR_TOO_OLD
    assert cutoff(answer.log, answer.log.floor - 1, 0, 0).through == answer.log.floor - 1
