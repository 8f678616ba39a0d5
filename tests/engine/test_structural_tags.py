"""What a grammar lets through: JSON and calls as models write them, and nothing else. xgrammar itself, no model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.engine import structural_tags
from tests.support.grammars import expanded

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
CALL = {"type": "tag", "begin": "<c>", "content": {"type": "json_schema", "json_schema": SCHEMA}, "end": "</c>"}


@pytest.fixture(scope="module")
def compiler() -> Any:
    import xgrammar

    vocabulary = [chr(code) for code in range(128)]
    return xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(vocabulary, stop_token_ids=[0]))


def accepts(compiler: Any, tag: str, text: str) -> bool:
    import xgrammar

    matcher = xgrammar.GrammarMatcher(compiler.compile_structural_tag(tag))
    return bool(matcher.accept_string(text)) and bool(matcher.is_completed())


def calls(**members: Any) -> str:
    """vLLM's tag for calls that must be made, as we let it stand."""
    form = {"type": "tags_with_separator", "tags": [CALL], "separator": "", "at_least_one": True, **members}
    return structural_tags.as_written(json.dumps({"type": "structural_tag", "format": form}), {})


@pytest.mark.parametrize("text", ['{"a": 1}', '\n\n{"a":1}', '{\n  "a": 1\n}'])
def test_json_as_models_write_it(compiler: Any, text: str) -> None:
    assert accepts(compiler, structural_tags.of_json(SCHEMA), text)


@pytest.mark.parametrize("text", ['{"a": "1"}', "{}", 'Sure: {"a": 1}', '{"a": 1} done', '{"a":' + " " * 40 + "1}"])
def test_no_other_json_and_no_white_space_without_end(compiler: Any, text: str) -> None:
    assert not accepts(compiler, structural_tags.of_json(SCHEMA), text)


@pytest.mark.parametrize("text", ['<c>{"a": 1}</c>', '\n\n<c>{"a": 1}</c>', '\n<c>{"a": 1}</c>\n<c>{"a": 2}</c>'])
def test_calls_with_line_ends_between_them(compiler: Any, text: str) -> None:
    assert accepts(compiler, calls(), text)


@pytest.mark.parametrize("text", ["", "\n", "<c>{}</c>", 'Well. <c>{"a": 1}</c>', '<c>{"a": 1}</c> Done.'])
def test_nothing_but_calls(compiler: Any, text: str) -> None:
    assert not accepts(compiler, calls(), text)


def test_one_call_only_where_one_is_asked_for(compiler: Any) -> None:
    one = calls(stop_after_first=True)
    assert accepts(compiler, one, '\n\n<c>{"a": 1}</c>')
    assert not accepts(compiler, one, '<c>{"a": 1}</c>\n<c>{"a": 2}</c>')


def test_a_tag_that_leaves_text_free_keeps_its_form() -> None:
    form = {"type": "triggered_tags", "triggers": ["<c>"], "tags": [CALL]}
    kept = json.loads(structural_tags.as_written(json.dumps({"type": "structural_tag", "format": form}), {}))["format"]
    assert (kept["type"], kept["triggers"]) == ("triggered_tags", ["<c>"])
    assert kept["tags"][0]["begin"] == "<c>"


INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
SAID = 'root ::= "\\"" [a-z]+ "\\n"'  # a quote, letters and a line end
HELD = {"say": structural_tags.Held("tools[1].format.definition", ("lark", SAID))}


def custom(**members: Any) -> str:
    """vLLM's tag for a call of a function, or of a custom tool with a grammar."""
    content = {"type": "json_schema", "json_schema": structural_tags.mark(INPUT, "say"), **members}
    tags = [CALL, {"type": "tag", "begin": "<say>", "content": content, "end": "</say>"}]
    form = {"type": "triggered_tags", "triggers": ["<c", "<s"], "tags": tags}
    return structural_tags.as_written(json.dumps({"type": "structural_tag", "format": form}), HELD)


@pytest.mark.parametrize(
    "text", ["Well.", '<say>{"input": "\\"hi\\n"}</say>', '<c>{"a": 1}</c> <say>{"input": "\\"a\\n"}</say>']
)
def test_input_by_a_grammar_inside_of_json(compiler: Any, text: str) -> None:
    assert accepts(compiler, expanded(custom()), text)


@pytest.mark.parametrize(
    "text", ['{"input": "hi"}', "{}", '"\\"hi\\n"', '{"input": "\\"hi\\n", "a": 1}', '{"input": "\\"HI\\n"}']
)
def test_no_other_input(compiler: Any, text: str) -> None:
    assert not accepts(compiler, expanded(custom()), f"<say>{text}</say>")


def test_input_that_is_not_json_is_left_alone() -> None:
    (part,) = structural_tags.parts(custom(style="qwen_xml"))
    assert part == {"type": "json_schema", "style": "qwen_xml", "json_schema": INPUT, "param": HELD["say"].param}
    (part,) = structural_tags.parts(custom())
    assert (part["type"], part["definition"], part["param"]) == ("input_grammar", SAID, HELD["say"].param)


def test_the_source_form_is_gone_when_it_is_expanded() -> None:
    for source in (custom(), custom(style="qwen_xml"), structural_tags.of_json(SCHEMA, "text.format.schema")):
        assert len(list(structural_tags.parts(source))) == 1
        assert not list(structural_tags.parts(expanded(source)))


def test_of_a_format_and_a_pattern_the_pattern_stays() -> None:
    """xgrammar would take the other. What only looks like both is left alone."""
    both = {"type": "string", "format": "uuid", "pattern": "^[a-f]$"}
    schema = {"type": "object", "properties": {"pattern": both, "format": {"enum": [both]}}, "items": [both]}
    (form,) = json.loads(expanded(structural_tags.of_json(schema)))["format"]["elements"][1:]
    one = {"type": "string", "pattern": "^[a-f]$"}
    assert form["json_schema"] == {
        "type": "object",
        "properties": {"pattern": one, "format": {"enum": [both]}},
        "items": [one],
    }
