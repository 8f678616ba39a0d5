"""What comes with an answer of real vLLM, and how it may end.

The starter model is tiny: what it says is asserted where it is certain at temperature 0, the structure always.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.real import RealServer
from tests.support.sdk import Talk

from .asked import IN_PARIS, WEATHER, WRITE, custom, input_tokens, output_of

pytestmark = pytest.mark.vllm


# -- what comes with the answer


def test_logprobs_of_every_token_of_the_text(talk: Talk) -> None:
    answer = talk.turn(input="add 3 and 4", include=["message.output_text.logprobs"], top_logprobs=3)
    (message,) = answer.items("message")
    (part,) = message.content
    assert "".join(entry.token for entry in part.logprobs) == part.text
    for entry in part.logprobs:
        assert [entry.token, entry.logprob] == [entry.top_logprobs[0].token, entry.top_logprobs[0].logprob]
        assert len(entry.top_logprobs) == 3
        assert bytes(entry.bytes).decode() == entry.token
    deltas = [
        entry for event in answer.events if event.type == "response.output_text.delta" for entry in event.logprobs
    ]
    assert [entry.token for entry in deltas] == [entry.token for entry in part.logprobs]


def test_no_logprobs_unless_included(talk: Talk) -> None:
    (message,) = talk.turn(input="add 3 and 4", top_logprobs=3).items("message")
    assert message.content[0].logprobs == []


def test_reasoning_is_shown_as_a_summary_raw_or_not_at_all(talk: Talk) -> None:
    hidden = talk.turn(input="add 3 and 4")
    summary = talk.turn(input="add 3 and 4", reasoning={"summary": "auto"})
    raw = talk.turn(input="add 3 and 4", include=["reasoning.content"])
    assert hidden.final.output_text == summary.final.output_text == raw.final.output_text
    assert (
        hidden.deltas("reasoning_summary_text") == hidden.deltas("reasoning_text") == summary.deltas("reasoning_text")
    )
    assert summary.deltas("reasoning_summary_text") == raw.deltas("reasoning_text") != ""
    (item,) = hidden.items("reasoning")
    assert (item.summary, item.content, item.encrypted_content) == ([], None, None)


def test_no_reasoning_when_none_is_wanted(talk: Talk) -> None:
    answer = talk.turn(input="add 3 and 4", reasoning={"effort": "none"})
    assert answer.kinds == ["message"]
    assert answer.final.usage is not None
    assert answer.final.usage.output_tokens_details.reasoning_tokens == 0


def test_instructions_are_not_inherited(talk: Talk) -> None:
    said = {"instructions": "You are a pirate. " * 20}
    first = talk.turn(input="add 3 and 4", **said)
    without = talk.turn(input="add 5 and 6", previous_response_id=first.id)
    again = talk.turn(input="add 5 and 6", previous_response_id=first.id, **said)
    history = [
        {"role": "user", "content": "add 3 and 4"},
        *first.done_items(),
        {"role": "user", "content": "add 5 and 6"},
    ]
    assert input_tokens(without) == input_tokens(talk.turn(input=history)) < input_tokens(again)
    assert without.final.instructions is None


# -- how it may end


@pytest.mark.parametrize(
    ("cut", "members"),
    [
        ("reasoning", {"input": "add 3 and 4", "max_output_tokens": 5}),
        ("message", {"input": "Tell me a long story", "ignore_eos": True, "max_output_tokens": 60}),
        ("function_call", {"input": "hello", "tools": [WRITE], "tool_choice": "required", "max_output_tokens": 100}),
        (
            "custom_tool_call",
            {
                "input": "hello",
                "tools": [custom("regex", "([0-9]{3} ){200}")],
                "tool_choice": "required",
                "max_output_tokens": 100,
            },
        ),
    ],
)
def test_a_cut_by_length_leaves_the_open_item_incomplete(talk: Talk, cut: str, members: dict[str, Any]) -> None:
    answer = talk.turn(**members)
    assert answer.final.incomplete_details is not None
    assert (answer.final.status, answer.final.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (answer.kinds[-1], answer.final.output[-1].status) == (cut, "incomplete")  # type: ignore[union-attr]
    assert answer.final.usage is not None
    assert answer.final.usage.output_tokens == members["max_output_tokens"]


def test_a_cancel_in_the_middle_of_arguments(talk: Talk, real: RealServer) -> None:
    talk.send(input="hello", tools=[WRITE], tool_choice="required")
    events: list[Any] = []
    while sum(event.type == "response.function_call_arguments.delta" for event in events) < 20:
        events.append(talk.connection.recv())
    talk.connection.send({"type": "response.cancel", "response_id": events[0].response.id})
    answer = talk.rest(events)
    assert answer.events[-1].type == "response.incomplete"
    assert answer.final.status == "cancelled"
    (call,) = answer.calls()
    assert call.status == "incomplete"
    assert len(call.arguments) < 1500
    assert answer.final.usage is not None
    assert answer.final.usage.output_tokens > 20
    assert real.ready()["engine_running"] == 0


def test_an_output_for_no_call_is_refused_and_takes_the_parent_with_it(talk: Talk) -> None:
    first = talk.turn(input=IN_PARIS, tools=[WEATHER], store=False)
    orphan = {"type": "function_call_output", "call_id": "call_of_nobody", "output": "sunny"}
    error = talk.refused(input=[orphan], previous_response_id=first.id, tools=[WEATHER], store=False)
    assert "call_of_nobody" in error["message"]
    right = output_of(first.calls()[0], "sunny")
    error = talk.refused(input=[right], previous_response_id=first.id, tools=[WEATHER], store=False)
    assert error["code"] == "previous_response_not_found"


def test_a_conversation_that_does_not_fit_fails_with_its_own_code(talk: Talk) -> None:
    answer = talk.turn(input="word " * 6000)
    assert [event.type for event in answer.events] == ["response.created", "response.in_progress", "response.failed"]
    assert answer.final.error is not None
    assert answer.shown["error"]["code"] == "context_length_exceeded"
    assert answer.final.usage is not None
    assert answer.final.usage.input_tokens > 4096


def test_truncation_drops_the_oldest_turns_whole(talk: Talk) -> None:
    def exchange(number: int) -> list[dict[str, Any]]:
        return [
            {"role": "user", "content": f"{number} " + "word " * 700},
            {"role": "assistant", "content": "Yes. " * 200},
        ]

    turns = [exchange(number) for number in range(6)]
    question = {"role": "user", "content": "add 3 and 4"}
    everything = [item for turn in turns for item in turn] + [question]
    assert talk.turn(input=everything).final.status == "failed"
    answer = talk.turn(input=everything, truncation="auto", max_output_tokens=100)
    assert answer.final.truncation == "auto"
    fitting = [
        input_tokens(talk.turn(input=everything[2 * dropped :], max_output_tokens=100)) for dropped in range(3, 7)
    ]
    assert input_tokens(answer) in fitting


def test_what_was_cached_is_in_the_usage_of_every_kind_of_end(talk: Talk) -> None:
    instructions = "You are helpful. " * 30
    talk.turn(input="add 3 and 4", instructions=instructions)
    ends = [
        talk.turn(input="add 3 and 4", instructions=instructions),
        talk.turn(input="add 3 and 4", instructions=instructions, max_output_tokens=5),
    ]
    talk.send(input="Tell me a long story", instructions=instructions, ignore_eos=True)
    events = [talk.connection.recv() for _ in range(30)]
    talk.connection.send({"type": "response.cancel", "response_id": events[0].response.id})
    ends.append(talk.rest(events))
    assert [end.final.status for end in ends] == ["completed", "incomplete", "cancelled"]
    for end in ends:
        assert end.final.usage is not None
        assert end.final.usage.input_tokens_details.cached_tokens > 0
        assert end.final.usage.output_tokens_details.reasoning_tokens > 0
