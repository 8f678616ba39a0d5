"""Whatever the grammar of events allows becomes valid chunks, and joined they are the completion of the response."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as SdkCompletion
from openai.types.chat import ChatCompletionChunk as SdkChunk

from realtime.server.chat.chunks import Chunks
from realtime.server.chat.completions import Shown, to_completion
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.response import ResponseError
from tests.support.any_answer import ANSWERS, Answer, answer_of
from tests.support.fuzz import examples

SHOWN = st.builds(Shown, reasoning=st.booleans(), logprobs=st.booleans(), usage=st.booleans())
HEAD = ("id", "created", "model", "service_tier")
ALL = Shown(reasoning=True, logprobs=True, usage=True)


def refuse(error: ResponseError | None, response_id: str) -> WireError:
    return WireError(ErrorCode.SERVER_ERROR if error else ErrorCode.REQUEST_CANCELLED, "no", response_id=response_id)


def chunks_of(answer: Answer, shown: Shown) -> list[dict[str, Any]]:
    """What a client is sent, as JSON."""
    chunks = Chunks(shown, refuse, lambda error: error)
    sent = b"".join(chunks.event(number, entry) for number, entry in enumerate(answer.entries)).decode()
    assert sent.splitlines() == sent.split("\n")[:-1]
    events = sent.split("\n\n")
    assert events.pop() == ""
    assert all(one.startswith("data: ") for one in events)
    return [json.loads(one.removeprefix("data: ")) for one in events]


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message of a stream, as clients put it together, and why it ended."""
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": [], "logprobs": [], "finish": None}
    for chunk in chunks:
        for choice in chunk["choices"]:
            assert message["finish"] is None
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning_content"] += delta.get("reasoning_content", "")
            message["logprobs"] += (choice["logprobs"] or {}).get("content", [])
            message["finish"] = choice["finish_reason"]
            for call in delta.get("tool_calls", ()):
                _add(message["tool_calls"], call)
    return message


def _add(calls: list[dict[str, Any]], more: dict[str, Any]) -> None:
    index = more.pop("index")
    if index == len(calls):
        calls.append(more)
        return
    assert index == len(calls) - 1
    for kind, members in more.items():
        for name, text in members.items():
            calls[index][kind][name] += text


@given(ANSWERS, SHOWN)
@examples(60)
def test_joined_chunks_are_the_completion(drawn: Any, shown: Shown) -> None:
    answer = answer_of(drawn, logprobs=True)
    chunks = chunks_of(answer, shown)
    if drawn[1] in ("cancelled", "failed"):
        assert list(chunks.pop()) == ["error"]
        assert all(one["choices"][0]["finish_reason"] is None for one in chunks)
        return
    whole = json.loads(msgspec.json.encode(to_completion(answer.response, shown)))
    for chunk in chunks:
        assert [chunk[name] for name in HEAD] == [whole[name] for name in HEAD]
        if not any("custom" in kinds for kinds, _ in drawn[0]):  # for which the SDK has a type in completions only
            SdkChunk.model_validate(chunk)
    [choice] = whole["choices"]
    said = choice["message"]
    assert joined(chunks) == {
        "content": said["content"] or "",
        "reasoning_content": said.get("reasoning_content", ""),
        "tool_calls": said.get("tool_calls", []),
        "logprobs": choice["logprobs"]["content"] if shown.logprobs else [],
        "finish": choice["finish_reason"],
    }
    SdkCompletion.model_validate(whole)
    if shown.usage:
        assert chunks.pop() | {"choices": []} == chunks[0] | {"choices": [], "usage": whole["usage"]}
        assert all(chunk["usage"] is None for chunk in chunks)
    else:
        assert not any("usage" in chunk for chunk in chunks)


FINISHES: list[tuple[list[Any], str, str]] = [
    ([("message", [["a"]])], "completed", "stop"),
    ([("message", [["a"]])], "max_output_tokens", "length"),
    ([("call", ["{}"])], "completed", "tool_calls"),
    ([("custom", ["x"]), ("message", [["a"]])], "completed", "tool_calls"),
    ([("call", ["{}"]), ("broken call", ["{"])], "max_output_tokens", "length"),
    ([("broken call", ["{"])], "completed", "stop"),
    ([], "completed", "stop"),
]


@pytest.mark.parametrize(("items", "end", "reason"), FINISHES)
def test_why_it_ended(items: list[Any], end: str, reason: str) -> None:
    answer = answer_of((items, end, False))
    assert to_completion(answer.response, ALL).choices[0].finish_reason == reason
    assert joined(chunks_of(answer, ALL))["finish"] == reason


def test_a_message_without_text_is_null_beside_calls_only() -> None:
    def content(*items: Any) -> str | None:
        return to_completion(answer_of(([*items], "completed", False)).response, ALL).choices[0].message.content

    assert content(("call", ["{}"])) is None
    assert content(("raw", [["a"]])) == ""
    assert content(("message", [["a"], ["b"]]), ("message", [["c"]])) == "abc"
