"""Reasoning, text and calls with real vLLM, as OpenAI's SDK sees them.

The starter model is tiny: what it says is asserted where it is certain at temperature 0, the structure always.
"""

from __future__ import annotations

from typing import Any

import pytest
import tokenizers

from tests.support.play import STARTER
from tests.support.sdk import Talk

from .asked import IN_BOTH, IN_PARIS, WEATHER, WRITE, cities, input_tokens, named, output_of

pytestmark = pytest.mark.vllm


# -- what the model says, and in which items


def test_reasoning_then_text(talk: Talk) -> None:
    answer = talk.turn(input="add 3 and 4", reasoning={"summary": "auto"})
    assert answer.kinds == ["reasoning", "message"]
    assert "7" in answer.final.output_text
    assert answer.final.usage is not None
    assert 0 < answer.final.usage.output_tokens_details.reasoning_tokens < answer.final.usage.output_tokens


def test_reasoning_then_a_call_and_its_result_in_the_next_turn(talk: Talk) -> None:
    first = talk.turn(input=IN_PARIS, tools=[WEATHER])
    assert first.kinds == ["reasoning", "function_call"]
    (call,) = first.calls()
    assert (call.name, cities(first)) == ("get_weather", ["Paris"])
    second = talk.turn(previous_response_id=first.id, input=[output_of(call, "sunny, 21 degrees")], tools=[WEATHER])
    assert second.kinds == ["reasoning", "message"]
    assert "21" in second.final.output_text


def test_two_calls_in_parallel_and_both_results(talk: Talk) -> None:
    first = talk.turn(input=IN_BOTH, tools=[WEATHER])
    assert first.kinds == ["reasoning", "function_call", "function_call"]
    assert cities(first) == ["Paris", "London"]
    paris, london = first.calls()
    assert paris.call_id != london.call_id
    outputs = [output_of(paris, "sunny, 21 degrees"), output_of(london, "rain, 9 degrees")]
    second = talk.turn(previous_response_id=first.id, input=outputs, tools=[WEATHER])
    assert "message" in second.kinds


@pytest.mark.parametrize("kind", ["local_shell", "shell", "apply_patch", "tool_search"])
def test_a_tool_that_the_client_runs_comes_in_an_item_of_its_own(talk: Talk, kind: str) -> None:
    """What the model writes is held to the tool's schema, so it fits. It is pressed to end its strings, and the rest:
    it has never seen these tools, and would ramble until it is cut.
    """
    vocabulary = tokenizers.Tokenizer.from_file(str(STARTER / "tokenizer.json")).get_vocab()
    pressed = {str(vocabulary['"']): 100, str(vocabulary["]"]): 50, str(vocabulary["}"]): 50}
    tool = {"type": kind, "execution": "client"} if kind == "tool_search" else {"type": kind}
    choice = {"type": kind} if kind in ("shell", "apply_patch") else named(kind)  # of the others the SDK has no type
    answer = talk.turn(
        input="Do it.", tools=[tool, WEATHER], tool_choice=choice, logit_bias=pressed, reasoning={"effort": "none"},
        max_output_tokens=400,
    )  # fmt: skip
    (call,) = answer.calls()
    assert (call.type, call.status) == (f"{kind}_call", "completed")
    outputs: dict[str, dict[str, Any]] = {
        "local_shell": {"output": "21 degrees"},
        "shell": {"output": [{"stdout": "21", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        "apply_patch": {"status": "completed"},
        "tool_search": {"tools": []},
    }
    answered = [
        {"type": f"{kind}_call_output".replace("search_call", "search"), "call_id": call.call_id, **outputs[kind]}
    ]
    second = talk.turn(previous_response_id=answer.id, input=answered, tools=[tool], max_output_tokens=100)
    assert second.final.usage is not None
    assert second.final.usage.input_tokens_details.cached_tokens > 0


@pytest.mark.parametrize("members", [{"logit_bias": {"999999": 1}}, {"stop_token_ids": [999999]}])
def test_a_token_that_the_model_has_not_fails_the_response_and_harms_no_other(
    talk: Talk, members: dict[str, Any]
) -> None:
    failed = talk.turn(input="hi", **members).final
    assert (failed.status, failed.error and failed.error.code) == ("failed", "invalid_prompt")
    assert failed.error is not None
    assert "999999" in failed.error.message
    assert talk.turn(input="hi", max_output_tokens=4).final.usage is not None


def test_only_one_call_without_parallel_tool_calls(talk: Talk) -> None:
    for choice in ("auto", "required"):
        answer = talk.turn(input=IN_BOTH, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)
        assert answer.final.parallel_tool_calls is False
        assert cities(answer) == ["Paris"]


def test_a_client_that_keeps_the_history_itself_sends_it_all_again(talk: Talk) -> None:
    """Stateless: nothing stored, reasoning comes back sealed. The model sees the same as with a stored history."""
    members: dict[str, Any] = {"tools": [WEATHER], "include": ["reasoning.encrypted_content"]}
    question = {"role": "user", "content": IN_PARIS}
    first = talk.turn(input=[question], store=False, **members)
    (call,) = first.calls()
    assert first.items("reasoning")[0].encrypted_content
    result = output_of(call, "sunny, 21 degrees")
    again = talk.turn(input=[question, *first.done_items(), result], store=False, **members)
    assert "21" in again.final.output_text
    unsealed = talk.turn(input=[question, *first.done_items()[1:], result], store=False, **members)
    stored = talk.turn(input=[question], tools=[WEATHER])
    result = output_of(stored.calls()[0], "sunny, 21 degrees")
    chained = talk.turn(input=[result], previous_response_id=stored.id, tools=[WEATHER])
    assert input_tokens(again) == input_tokens(chained) > input_tokens(unsealed)


# -- what the client may choose


def test_no_tool_is_called_when_none_may_be(talk: Talk) -> None:
    answer = talk.turn(input=IN_PARIS, tools=[WEATHER], tool_choice="none")
    assert answer.kinds == ["reasoning", "message"]
    assert answer.final.tool_choice == "none"


def test_a_call_is_made_when_one_is_required(talk: Talk) -> None:
    answer = talk.turn(input="hello", tools=[WEATHER, WRITE], tool_choice="required", max_output_tokens=1000)
    assert answer.calls()
    assert "message" not in answer.kinds


def test_required_calls_may_be_parallel_too(talk: Talk) -> None:
    answer = talk.turn(input=IN_BOTH, tools=[WEATHER], tool_choice="required")
    assert answer.kinds == ["reasoning", "function_call", "function_call"]
    assert cities(answer) == ["Paris", "London"]


def test_a_named_tool_is_called_exactly_once(talk: Talk) -> None:
    other = {**WEATHER, "name": "get_time"}
    answer = talk.turn(input=IN_BOTH, tools=[WEATHER, other], tool_choice=named("get_time"))
    assert [call.name for call in answer.calls()] == ["get_time"]
    assert answer.shown["tool_choice"] == named("get_time")


def test_only_allowed_tools_are_offered(talk: Talk) -> None:
    other = {**WEATHER, "name": "get_time"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [named("get_time")]}
    answer = talk.turn(input=IN_PARIS, tools=[WEATHER, other], tool_choice=allowed)
    assert {call.name for call in answer.calls()} == {"get_time"}


def test_tools_in_a_namespace_are_called_by_it(talk: Talk) -> None:
    space = {"type": "namespace", "name": "sky", "description": "Weather", "tools": [WEATHER]}
    first = talk.turn(input=IN_PARIS, tools=[space], tool_choice="required", parallel_tool_calls=False)
    (call,) = first.calls()
    assert (call.namespace, call.name) == ("sky", "get_weather")
    second = talk.turn(previous_response_id=first.id, input=[output_of(call, "sunny, 21 degrees")], tools=[space])
    assert second.final.status == "completed"


def test_hosted_tools_are_accepted_and_hidden_from_the_model(talk: Talk) -> None:
    hosted = [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]
    with_them = talk.turn(input=IN_PARIS, tools=[*hosted, WEATHER])
    without = talk.turn(input=IN_PARIS, tools=[WEATHER])
    assert input_tokens(with_them) == input_tokens(without)
    assert [tool["type"] for tool in with_them.shown["tools"]] == [
        "web_search",
        "code_interpreter",
        "function",
    ]
    assert talk.refused(input="hi", tools=hosted, tool_choice="required")["param"] == "tool_choice"
    assert "web_search" in talk.refused(input="hi", tools=hosted, tool_choice={"type": "web_search"})["message"]


def test_what_would_be_another_answer_if_it_were_ignored_is_refused_by_name(talk: Talk) -> None:
    for name, value in {"prompt": {"id": "pmpt_1"}, "background": True}.items():
        error = talk.refused(input="hi", **{name: value})
        assert (error["code"], error["param"]) == ("unsupported_parameter", name)
        assert f"`{name}`" in error["message"]
