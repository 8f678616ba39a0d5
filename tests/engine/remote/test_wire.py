"""What an engine says, cut anywhere; and lies, of which none is passed on."""

from __future__ import annotations

import itertools
import json
from array import array
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.base import EngineError, EngineOverloaded, EngineRefused, FinishReason
from realtime.engine.remote.wire import (
    DONE,
    MAX_MESSAGE_CHARS,
    Answer,
    Event,
    Events,
    Untrue,
    body,
    failure,
    failure_of,
)
from tests.support.token_engine import event

STREAM = b": hello\r\n\r\n" + event([1]) + event([2, 3], "stop", stop_reason="é") + b"event: x\ndata:[DONE]\n\n"


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(STREAM)]
    events = Events()
    found = [one for start, end in itertools.pairwise(at) for one in events.feed(STREAM[start:end])]
    assert found == list(Events().feed(STREAM))
    assert found[-1] == DONE
    assert [one.choices[0].token_ids for one in found if isinstance(one, Event)] == [[1], [2, 3]]


@pytest.mark.parametrize(
    "line",
    [
        b"data: {",
        b"data: [1]",
        b'data: {"choices": 3}',
        b'data: {"choices":[{"token_ids":["a"]}]}',
        b"data: \xff",
        b"data: " + b"[" * 100_000,
        b'data: {"choices":[{"token_ids":[1.5]}]}',
        b"data: null",
    ],
)
def test_garbage(line: bytes) -> None:
    with pytest.raises(Untrue):
        list(Events().feed(line + b"\n\n"))


def test_a_line_without_end() -> None:
    events = Events(max_line_bytes=100)
    list(events.feed(b"data: 1234" * 9))
    with pytest.raises(Untrue, match="100 bytes"):
        list(events.feed(b"data: 1234" * 2))


NOTHING = [b": still there\n", b"data: {}\n", b"\n", b'data: {"choices": [{"token_ids": []}]}\n']


@pytest.mark.parametrize("line", NOTHING)
def test_much_that_brings_no_tokens_has_an_end(line: bytes) -> None:
    events, fed = Events(max_line_bytes=1000), 0
    with pytest.raises(Untrue, match="bytes than its tokens"):  # noqa: PT012 - which line is too many
        while fed < 2000:
            fed += len(line)
            list(events.feed(line))
    assert 1000 < fed <= 1000 + len(line)


def test_tokens_may_take_what_they_take() -> None:
    events = Events(max_line_bytes=1000)
    line = event([1, 2], logprobs={"content": [{"token_id": 1, "logprob": -1.0, "x": "y" * 900}]})
    for _ in range(100):
        assert len(list(events.feed(line))) == 1


def told(*events: dict[str, Any], logprobs: bool = False) -> Answer:
    answer = Answer(num_prompt=3, max_tokens=4, vocab_size=10, logprobs=logprobs, stop=("END", "é"))
    for one in events:
        answer.take(msgspec.convert(one, Event))
    return answer


def choice(ids: Any, finish: str | None = None, **members: Any) -> dict[str, Any]:
    return {"choices": [{"token_ids": ids, "finish_reason": finish, **members}]}


def usage(cached: int, completion: int) -> dict[str, Any]:
    return {"usage": {"completion_tokens": completion, "prompt_tokens_details": {"cached_tokens": cached}}}


def positions(*ids: int, top: int = 1) -> dict[str, Any]:
    tops = [{"token_id": top, "logprob": -1, "rank": 1}]
    return {"content": [{"token_id": one, "logprob": -1.0, "top_logprobs": tops} for one in ids]}


def test_the_truth() -> None:
    answer = told(choice([1, 2]), choice(None), choice([3], "length"), usage(2, 3))
    assert (answer.finish, answer.num_tokens, answer.num_cached) == (FinishReason.LENGTH, 3, 2)
    assert told(choice([1, 2], "stop", stop_reason=2)).stop_reason == 2
    assert told(choice([1, 2]), choice([], "stop", stop_reason=2)).stop_reason == 2
    assert told(choice([1], "stop", stop_reason="END")).stop_reason == "END"
    assert told(choice([1], "repetition", stop_reason="repetition_detected")).finish is FinishReason.STOP
    assert told(choice([1], logprobs=positions(1)), logprobs=True).num_tokens == 1


@pytest.mark.parametrize(
    ("events", "what"),
    [
        ([choice([1], "stop"), choice([2])], "behind the end"),
        ([choice([1, 2, 3, 4, 5])], "more tokens"),
        ([choice([10])], "does not have"),
        ([choice([-1])], "does not have"),
        ([choice([1], index=1)], "more than one"),
        ([{"choices": [{"token_ids": []}, {"token_ids": [1]}]}], "more than one"),
        ([usage(4, 0)], "more cached"),
        ([usage(-1, 0)], "more cached"),
        ([choice([1]), usage(0, 2)], "other tokens"),
        ([choice([1, 2], "stop", stop_reason=1)], "another token"),
        ([choice([1]), choice(None, "stop", stop_reason=2)], "another token"),
        ([choice([], "stop", stop_reason=2)], "another token"),
        ([choice([1], "length", stop_reason=1)], "another token"),
        ([choice([1], "stop", stop_reason="x" * 1000)], "a text"),
        ([choice([1], "stop", stop_reason="EN")], "a text"),
        ([choice([1], "length", stop_reason="END")], "a text"),
        ([choice([1], "length", stop_reason="repetition_detected")], "a text"),
    ],
)
def test_lies(events: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(Untrue, match=what):
        told(*events)


RANKED = {"content": [{"token_id": 1, "logprob": -1.0, "rank": 10**30}]}
MANY = {"content": [{"token_id": 1, "logprob": -1.0, "top_logprobs": [{"token_id": 1, "logprob": -1.0}] * 100}]}


@pytest.mark.parametrize("given", [None, positions(2), positions(1, 1), positions(1, top=10), RANKED, MANY])
def test_lies_about_probabilities(given: Any) -> None:
    with pytest.raises(Untrue):
        told(choice([1], logprobs=given), logprobs=True)


def test_an_end_that_is_none() -> None:
    with pytest.raises(EngineError, match="tired"):
        told(choice([1], "tired"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, EngineRefused),
        (422, EngineRefused),
        (413, EngineRefused),
        (429, EngineOverloaded),
        (503, EngineOverloaded),
        (500, EngineError),
        (401, EngineError),
        (403, EngineError),
        (404, EngineError),
        (301, EngineError),
        ("x", EngineError),
        (None, EngineError),
    ],
)
def test_failures(code: Any, kind: type[EngineError]) -> None:
    error = failure(code, "a\x00b" + "c" * 10_000)
    assert type(error) is kind
    assert len(str(error)) < MAX_MESSAGE_CHARS + 40
    assert "\x00" not in str(error)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"error": "no"}', b'{"error": {"message": "no", "code": 1}}'])
def test_a_refusal_is_by_its_status(text: bytes) -> None:
    refused = failure_of(400, text)
    assert type(refused) is EngineRefused
    assert str(refused) in ("no", "it gives no reason")


def test_the_request() -> None:
    sent = json.loads(
        body("a", (1, 2), {"max_tokens": 3}, salt="s", priority=2, reasoning_ended=True, template_kwargs={})
    )
    assert sent == {
        "request_id": "a", "token_ids": [1, 2], "sampling_params": {"max_tokens": 3}, "stream": True,
        "stream_options": {"include_usage": True}, "output_mode": "tokens", "priority": 2, "cache_salt": "s",
        "reasoning_ended": True, "reasoning_parser_kwargs": {"chat_template_kwargs": {}},
    }  # fmt: skip
    assert "cache_salt" not in json.loads(body("a", array("i", [1]), {}))
    with pytest.raises(EngineRefused):
        body("a", (1,), {}, template_kwargs={"a": object()})
