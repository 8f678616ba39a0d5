"""What a grammar lets through: JSON and calls as models write them, and nothing else. xgrammar itself, no model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.engine import structural_tags
from tests.support.grammars import expanded

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(scope="module")
def compiler() -> Any:
    import xgrammar

    vocabulary = [chr(code) for code in range(128)]
    return xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(vocabulary, stop_token_ids=[0]))


def accepts(compiler: Any, tag: str, text: str) -> bool:
    import xgrammar

    matcher = xgrammar.GrammarMatcher(compiler.compile_structural_tag(tag))
    return bool(matcher.accept_string(text)) and bool(matcher.is_completed())


@pytest.mark.parametrize("text", ['{"a": 1}', '\n\n{"a":1}', '{\n  "a": 1\n}'])
def test_json_as_models_write_it(compiler: Any, text: str) -> None:
    assert accepts(compiler, structural_tags.of_json(SCHEMA), text)


@pytest.mark.parametrize("text", ['{"a": "1"}', "{}", 'Sure: {"a": 1}', '{"a": 1} done', '{"a":' + " " * 40 + "1}"])
def test_no_other_json_and_no_white_space_without_end(compiler: Any, text: str) -> None:
    assert not accepts(compiler, structural_tags.of_json(SCHEMA), text)


SAID = 'root ::= "\\"" [a-z]+ "\\n"'  # a quote, letters and a line end
PARAM = "tools[1].format.definition"


def custom(*, in_json: bool) -> str:
    """The tag of a text by a grammar, as it stands or in the arguments of a call."""
    form = structural_tags.input_by_grammar("lark", SAID, PARAM)
    return structural_tags.tag(form if in_json else structural_tags.by_grammar("lark", SAID, PARAM))


def test_input_by_a_grammar(compiler: Any) -> None:
    assert accepts(compiler, expanded(custom(in_json=True)), '{"input": "\\"hi\\n"}')
    assert accepts(compiler, expanded(custom(in_json=False)), '"hi\n')
    assert not accepts(compiler, expanded(custom(in_json=False)), "hi")


@pytest.mark.parametrize(
    "text", ['{"input": "hi"}', "{}", '"\\"hi\\n"', '{"input": "\\"hi\\n", "a": 1}', '{"input": "\\"HI\\n"}']
)
def test_no_other_input(compiler: Any, text: str) -> None:
    assert not accepts(compiler, expanded(custom(in_json=True)), text)


def test_what_a_client_has_written_says_where_it_comes_from() -> None:
    forms = [{"type": "dispatch", "rules": [["<c>", structural_tags.by_json(SCHEMA, "a")]]},
             {"type": "star", "content": structural_tags.by_regex("a+", "b")},
             structural_tags.input_by_grammar("lark", SAID, "c"), structural_tags.by_json(SCHEMA, None)]  # fmt: skip
    source = structural_tags.tag({"type": "or", "elements": forms})
    assert sorted(part["param"] for part in structural_tags.parts(source)) == ["a", "b", "c"]


def test_the_source_form_is_gone_when_it_is_expanded() -> None:
    for source in (custom(in_json=True), custom(in_json=False), structural_tags.of_json(SCHEMA, "text.format.schema")):
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
