"""What is constrained holds with real vLLM, whatever the model would like to say: schemas, grammars, formats."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import jsonschema
import lark
import pytest

from tests.support.long import effort
from tests.support.patience import SECONDS
from tests.support.real import RealServer
from tests.support.sdk import Talk

from .asked import PERSON, QUOTED, SUM, SUM_BY_REGEX, WEATHER, custom, named, output_of

pytestmark = pytest.mark.vllm


SEEDS = range(1, 1 + effort(1, 3))
NO_INTEGER = {"type": "integer", "minimum": 2, "maximum": 1}


def as_format(schema: Any) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "odd", "schema": schema}}}


@pytest.mark.parametrize("seed", SEEDS)
def test_arguments_keep_to_a_strict_schema_at_any_temperature(talk: Talk, seed: int) -> None:
    tool = {"type": "function", "name": "register", "parameters": PERSON, "strict": True}
    wild: dict[str, Any] = {"temperature": 2, "seed": seed, "max_output_tokens": 2000}
    answer = talk.turn(input="count to 5", tools=[tool], tool_choice=named("register"), **wild)
    (call,) = answer.calls()
    jsonschema.validate(json.loads(call.arguments), PERSON)


CITY: dict[str, Any] = {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}, "days": {"type": "integer"}},
    "required": ["city"],
}  # fmt: skip


@pytest.mark.parametrize("strict", [None, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_call_that_must_be_made_keeps_to_its_schema_whatever_is_said_of_it(
    talk: Talk, seed: int, strict: bool | None
) -> None:
    """As it is written: what is optional may be left out, and nothing is added."""
    tool = {"type": "function", "name": "trip", "parameters": CITY, "strict": strict}
    wild: dict[str, Any] = {"temperature": 2, "seed": seed, "max_output_tokens": 2000}
    answer = talk.turn(input="count to 5", tools=[tool], tool_choice="required", **wild)
    assert answer.shown["tools"][0]["strict"] is (strict is None)
    for call in answer.calls():
        jsonschema.validate(json.loads(call.arguments), {**CITY, "additionalProperties": False})


def test_a_tool_that_cant_be_held_is_served_beside_one_that_is(talk: Talk) -> None:
    """It lacks the form, and nothing was said of it."""
    loose = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 2}}}
    tools = [
        {"type": "function", "name": "even", "parameters": loose},
        {"type": "function", "name": "trip", "parameters": CITY},
    ]
    answer = talk.turn(input="count to 5", tools=tools, temperature=2, seed=1, max_output_tokens=200)
    assert [tool["strict"] for tool in answer.shown["tools"]] == [False, True]


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
    calls: list[Any] = []
    for seed in range(6):
        answer = talk.turn(input=asked, seed=seed, **wild)
        calls += [call for call in answer.items("custom_tool_call") if call.status == "completed"]
        if len(calls) >= effort(2, 99):
            break
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
        {"tools": [custom("lark", 'start: start start | "a" | "b"')], "tool_choice": named("calculate", "custom")},
        {"tools": [WEATHER, {**WEATHER, "name": "other", "strict": True, "parameters": NO_INTEGER}]},
        as_format(NO_INTEGER),
        as_format({"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        as_format({"type": "array", "items": {"type": "string", "pattern": r"^a[^\s\S]$"}, "minItems": 1}),
        as_format({"type": "array", "items": [{"type": "string"}]}),
    ],
    ids=["lark", "lark in JSON", "ambiguous", "tool", "schema", "overlap", "dead end", "items"],
)
def test_a_constraint_that_cannot_be_served_fails_its_turn_alone(talk: Talk, members: dict[str, Any]) -> None:
    failed = talk.turn(input="add 3 and 4", **members)
    assert failed.final.error is not None
    assert (failed.final.status, failed.final.error.code) == ("failed", "invalid_prompt")
    param = failed.shown["error"]["param"]
    assert param in (
        "text.format.schema",
        "tools[0].format.definition",
        "tools[1].format.definition",
        "tools[1].parameters",
    )
    assert failed.final.error.message.startswith(f"`{param}`: ")
    assert "7" in talk.turn(input="add 3 and 4").final.output_text


def test_over_http_it_is_a_request_that_must_not_be_sent_again(real: RealServer) -> None:
    answer = httpx2.post(f"{real.base_url}/responses", json={"input": "hi", **as_format(NO_INTEGER)}, timeout=SECONDS)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_prompt", "text.format.schema")
    assert error["retry"] is False
    assert "minimum greater than maximum" in error["message"]


def test_what_the_grammars_lack_poisons_nothing_for_others(talk: Talk) -> None:
    """With two backends the first constraint after the start would decide by which one all others are read."""
    lacking = {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 5}}, "required": ["a"]}
    tool = {"type": "function", "name": "register", "parameters": PERSON, "strict": True}
    for members in (as_format(lacking), {"tools": [{**tool, "parameters": lacking}]}):
        error = talk.refused(input="add 3 and 4", **members)
        assert error["code"] == "invalid_request"
        assert "`multipleOf` can't be held to" in error["message"]
    assert talk.turn(input="hi", text={"format": {"type": "json_object"}}, max_output_tokens=50).final.error is None
    for choice in ("auto", "required", named("register")):
        assert talk.turn(input="add 3 and 4", tools=[tool], tool_choice=choice).final.error is None


@pytest.mark.parametrize(
    ("members", "param", "reason"),
    [
        (
            {"tools": [custom("regex", "[0-9")], "tool_choice": named("calculate", "custom")},
            "tools[0].format.definition",
            "'[' at 0 is not closed",
        ),
        (as_format({"type": "nothing"}), "text.format.schema", "not 'nothing'"),
        (as_format({"$ref": "#"}), "text.format.schema", "leads only to itself"),
        (
            as_format({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
            "text.format.schema",
            "leads only to itself",
        ),
        (as_format({"type": "integer", "minimum": -(10**400)}), "text.format.schema", "64 bits"),
        (as_format({"type": "string", "pattern": r"^(a|b)\1$"}), "text.format.schema", "a back reference"),
        (as_format({"allOf": [{"oneOf": [{}]}] * 50}), "text.format.schema", "an `allOf` of several"),
        (as_format({"const": "x" * 100_000}), "text.format.schema", "60000 characters"),
        (
            {"tools": [custom("regex", "(?=[0-9])")], "tool_choice": named("calculate", "custom")},
            "tools[0].format.definition",
            "a look-ahead",
        ),
        (as_format({"type": "string", "pattern": "^a{20000}$"}), "text.format.schema", "128 repeats"),
        (as_format({"type": "string", "pattern": "(" * 60_000 + ")" * 60_000}), "text.format.schema", "`pattern`"),
    ],
    ids=[
        "regex",
        "type",
        "reference",
        "to itself",
        "number",
        "back reference",
        "allOf",
        "const",
        "look-ahead",
        "repeats",
        "groups",
    ],
)
def test_what_no_compiler_should_see_is_refused_before_there_is_a_response(
    talk: Talk, members: dict[str, Any], param: str, reason: str
) -> None:
    error = talk.refused(input="add 3 and 4", **members)
    assert (error["code"], error["param"]) == ("invalid_request", param)
    assert reason in error["message"]
    assert "7" in talk.turn(input="add 3 and 4").final.output_text


@pytest.mark.parametrize(
    "members",
    [
        as_format({"type": "string", "pattern": "^[a-f]{3}$"}),
        {"tools": [{"type": "function", "name": "register", "parameters": PERSON, "strict": True}],
         "tool_choice": "required"},
        {"tools": [custom("regex", SUM_BY_REGEX)], "tool_choice": named("calculate", "custom")},
        {"tools": [custom("lark", SUM), WEATHER], "tool_choice": named("calculate", "custom")},
    ],
    ids=["format", "required", "regex", "lark"],
)  # fmt: skip
def test_an_answer_that_is_not_thought_about_is_held_as_well(talk: Talk, members: dict[str, Any]) -> None:
    """A model that may think first need not, above all where the sampling was set in an odd way."""
    thinks = talk.turn(input="add 3 and 4", max_output_tokens=5, include=["token_ids"]).shown["output_token_ids"][0]
    asked: dict[str, Any] = {"input": "add 3 and 4", "temperature": 1, "seed": 1, "max_output_tokens": 500, **members}
    answer = talk.turn(**asked, logit_bias={str(thinks): -100})
    assert [kind for kind in answer.kinds if kind != "reasoning"] == answer.kinds
    if "text" in members:
        assert re.fullmatch('"[a-f]{3}"', answer.final.output_text)
        return
    (call,) = answer.calls()
    if call.type == "function_call":
        jsonschema.validate(json.loads(call.arguments), PERSON)
    elif call.name == "calculate" and len(members["tools"]) == 1:
        assert re.fullmatch(SUM_BY_REGEX, call.input)
    else:
        assert lark.Lark(SUM).parse(call.input)
    again = talk.turn(**asked)
    assert again.kinds[0] == "reasoning", "who thinks may still do so"


@pytest.mark.parametrize("pattern", ["^x[a-f]{128}y$", "([a-f]{127}b){0,128}"])
def test_a_pattern_at_the_limits_of_its_repeats_is_served(talk: Talk, pattern: str) -> None:
    answer = talk.turn(input="hi", **as_format({"type": "string", "pattern": pattern}), max_output_tokens=300)
    assert answer.final.status in ("completed", "incomplete")
    assert answer.final.output_text.startswith('"')
