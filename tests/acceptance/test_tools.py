"""Reasoning, text, calls and formats with real vLLM, as OpenAI's SDK sees them (issue 3).

The starter model is tiny: what it says is asserted where it is certain at temperature 0, the structure always.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import lark
import pytest
import tokenizers

from tests.support.play import STARTER
from tests.support.real import RealServer
from tests.support.sdk import Answer, Talk, talking

pytestmark = pytest.mark.vllm

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": "get_weather", "description": "Weather in a city", "parameters": CITY}
PERSON = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["person", "robot"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "name": {"type": "string", "maxLength": 12},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["kind", "age", "name", "tags"],
    "additionalProperties": False,
}
SUM = 'start: NUMBER OP NUMBER (OP NUMBER)? ";"\nOP: "+" | "-"\nNUMBER: /[0-9]{1,3}/\n'
QUOTED = 'start: "\\"" NUMBER "\\"" "\\n" "\\\\" NUMBER\nNUMBER: /[0-9]{1,3}/\n'  # all that JSON escapes
SUM_BY_REGEX = r"[0-9]{1,3}( [+-] [0-9]{1,3}){1,3};"
LONG_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1500}},
    "required": ["text"],
    "additionalProperties": False,
}
WRITE = {"type": "function", "name": "write", "description": "Write a text", "parameters": LONG_TEXT, "strict": True}
IN_PARIS = "What is the weather in Paris?"
IN_BOTH = "What is the weather in Paris and London?"


@pytest.fixture
def talk(real: RealServer) -> Iterator[Talk]:
    with talking(real) as opened:
        yield opened


def custom(syntax: str | None = None, definition: str = "", name: str = "calculate") -> dict[str, Any]:
    form = {"type": "grammar", "syntax": syntax, "definition": definition} if syntax else {"type": "text"}
    return {"type": "custom", "name": name, "description": "Calculate a sum", "format": form}


def named(name: str, kind: str = "function") -> dict[str, Any]:
    return {"type": kind, "name": name}


def cities(answer: Answer) -> list[str]:
    return [json.loads(call.arguments)["city"] for call in answer.items("function_call")]


def output_of(call: Any, text: str) -> dict[str, Any]:
    return {"type": f"{call.type}_output", "call_id": call.call_id, "output": text}


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


# -- what is constrained holds, whatever the model would like to say


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_arguments_keep_to_a_strict_schema_at_any_temperature(talk: Talk, seed: int) -> None:
    tool = {"type": "function", "name": "register", "parameters": PERSON, "strict": True}
    wild: dict[str, Any] = {"temperature": 2, "seed": seed, "max_output_tokens": 2000}
    answer = talk.turn(input="count to 5", tools=[tool], tool_choice=named("register"), **wild)
    (call,) = answer.calls()
    jsonschema.validate(json.loads(call.arguments), PERSON)


@pytest.mark.parametrize("temperature", [0, 2])
def test_an_answer_keeps_to_a_json_schema(talk: Talk, temperature: float) -> None:
    form = {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}
    wild: dict[str, Any] = {"temperature": temperature, "seed": 1, "max_output_tokens": 2000}
    answer = talk.turn(input="add 3 and 4", text={"format": form}, **wild)
    assert answer.kinds[-1] == "message"
    jsonschema.validate(json.loads(answer.final.output_text), PERSON)
    assert answer.shown["text"]["format"]["schema"] == PERSON


def test_an_answer_is_one_json_object(talk: Talk) -> None:
    """The object itself is the model's, so it may be long: then it is a beginning of one."""
    answer = talk.turn(input="add 3 and 4", text={"format": {"type": "json_object"}}, max_output_tokens=200)
    text = answer.final.output_text
    assert text.startswith("{")
    if answer.final.status == "completed":
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("choice", [named("calculate", "custom"), "required"])
@pytest.mark.parametrize("temperature", [0, 2])
def test_input_of_a_custom_tool_keeps_to_a_lark_grammar(talk: Talk, temperature: float, choice: Any) -> None:
    wild: dict[str, Any] = {"temperature": temperature, "seed": 1}
    answer = talk.turn(input="add 3 and 4", tools=[custom("lark", SUM)], tool_choice=choice, **wild)
    (call,) = answer.items("custom_tool_call")
    assert lark.Lark(SUM).parse(call.input)
    assert answer.kinds == ["reasoning", "custom_tool_call"]


@pytest.mark.parametrize("tools", [[custom("regex", SUM_BY_REGEX)], [WEATHER, custom("regex", SUM_BY_REGEX)]])
@pytest.mark.parametrize("temperature", [0, 2])
def test_input_of_a_custom_tool_keeps_to_a_regex(talk: Talk, temperature: float, tools: list[Any]) -> None:
    wild: dict[str, Any] = {"temperature": temperature, "seed": 1}
    answer = talk.turn(input="add 3 and 4", tools=tools, tool_choice=named("calculate", "custom"), **wild)
    (call,) = answer.items("custom_tool_call")
    assert re.fullmatch(SUM_BY_REGEX, call.input)


@pytest.mark.parametrize("definition", [SUM, QUOTED], ids=["sum", "quoted"])
@pytest.mark.parametrize("choice", ["required", "auto"])
def test_a_grammar_holds_where_the_model_chooses_among_tools(talk: Talk, choice: str, definition: str) -> None:
    """Its text is written inside of JSON then. At this temperature nothing but the grammar could keep it in shape."""
    register = {"type": "function", "name": "register", "parameters": PERSON}  # a tool without a grammar beside them
    tools = [register, custom("lark", definition), {**custom("lark", definition), "name": "compute"}]
    wild: dict[str, Any] = {"temperature": 1.5, "max_output_tokens": 1000, "tools": tools, "tool_choice": choice}
    asked = "Call the tool calculate with the input 3+4;"
    answers = [talk.turn(input=asked, seed=seed, **wild) for seed in range(6)]
    calls = [call for answer in answers for call in answer.items("custom_tool_call") if call.status == "completed"]
    assert calls
    for call in calls:
        assert lark.Lark(definition).parse(call.input)


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_regex_that_json_escapes_holds_where_the_model_chooses(talk: Talk, temperature: float) -> None:
    tools = [WEATHER, custom("regex", r'"[^a-z]{1,5}"\n')]
    wild: dict[str, Any] = {"temperature": temperature, "seed": 1, "max_output_tokens": 1000}
    answer = talk.turn(input="Call the tool calculate", tools=tools, tool_choice="required", **wild)
    for call in answer.items("custom_tool_call"):
        assert call.status == "incomplete" or re.fullmatch(r'"[^a-z]{1,5}"\n', call.input)


def test_a_custom_tool_without_a_grammar_takes_any_text_and_its_output_comes_back(talk: Talk) -> None:
    tool = custom()
    first = talk.turn(
        input="add 3 and 4", tools=[tool], tool_choice=named("calculate", "custom"), max_output_tokens=500
    )
    (call,) = first.items("custom_tool_call")
    assert first.deltas("custom_tool_call_input") == call.input
    second = talk.turn(previous_response_id=first.id, input=[output_of(call, "7")], tools=[tool], max_output_tokens=200)
    assert second.final.status in ("completed", "incomplete")


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [custom("lark", "start: NOWHERE")], "tool_choice": named("calculate", "custom")},
        {"tools": [WEATHER, custom("lark", "start: NOWHERE")]},
        {"tools": [custom("regex", "[0-9")], "tool_choice": named("calculate", "custom")},
        {"text": {"format": {"type": "json_schema", "name": "odd", "schema": {"type": "nothing"}}}},
    ],
    ids=["lark", "lark in JSON", "regex", "schema"],
)
def test_a_constraint_that_cannot_be_served_fails_its_turn_alone(talk: Talk, members: dict[str, Any]) -> None:
    failed = talk.turn(input="add 3 and 4", **members)
    assert failed.final.error is not None
    assert (failed.final.status, failed.final.error.code) == ("failed", "invalid_prompt")
    assert "7" in talk.turn(input="add 3 and 4").final.output_text


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


def input_tokens(answer: Answer) -> int:
    assert answer.final.usage is not None
    return answer.final.usage.input_tokens
