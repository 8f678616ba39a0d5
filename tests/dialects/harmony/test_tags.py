"""What a Harmony model is held to: xgrammar itself says which transcripts pass."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.harmony.tags import constraint
from realtime.engine.structural_tags import parts
from realtime.wire.formats import JsonObjectFormat, JsonSchemaFormat, PlainFormat, TextFormat
from tests.support.grammars import expanded
from tests.support.harmony import encoding, library, tokens

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
STRICT = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}
LOOSE = {"type": "function", "name": "g", "parameters": SCHEMA, "strict": False}
DEFAULT = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
NEXT = "<|end|><|start|>assistant"
THOUGHT = f"<|channel|>analysis<|message|>Hm <b>.{NEXT}"
PREAMBLE = f"<|channel|>commentary<|message|>I look.{NEXT}"
STOPS = [200002, 200012, 199999]


def call(arguments: str, name: str = "f") -> str:
    return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"


def final(text: str) -> str:
    return f"<|channel|>final<|message|>{text}<|return|>"


@functools.cache
def compiler() -> Any:
    """For the real vocabulary; the stop tokens are those of gpt-oss's generation config."""
    import xgrammar

    vocabulary: list[Any] = [encoding().vocabulary.decode([rank]) for rank in range(201088 - 1090)]
    vocabulary += [
        library().decode([rank]) if rank < 200019 else f"<|reserved_{rank}|>" for rank in range(199998, 201088)
    ]
    info = xgrammar.TokenizerInfo(vocabulary, xgrammar.VocabType.RAW, stop_token_ids=STOPS)
    return xgrammar.GrammarCompiler(info)


def matcher(tag: str) -> Any:
    """What a model that is held to the tag may write."""
    import xgrammar

    return xgrammar.GrammarMatcher(compiler().compile_structural_tag(tag))


def passes(transcript: str, tools: list[dict[str, Any]], choice: Any = None, form: TextFormat | None = None) -> bool:
    """Whether a model that is held to the constraint can write this, to its stop token."""
    held_to = constraint(tool_set(tools, choice, None), form, encoding().vocabulary)
    assert held_to is not None
    held = matcher(expanded(held_to.value))
    return all(held.accept_token(token) for token in tokens(transcript)) and held.is_terminated()


AUTO: dict[str, bool] = {
    final("Any text."): True,
    THOUGHT + final("Any text."): True,
    THOUGHT + PREAMBLE + THOUGHT + call('{"n": 1}'): True,
    call('{"n": 1}'): True,
    call('{"n": "one"}'): False,
    call("{}"): False,
    call('{"other": 1}', "g"): True,
    call("no json", "g"): False,
    call("{}", "unknown"): False,
    THOUGHT + "<|return|>": False,
    "<|channel|>musing<|message|>La.<|return|>": False,
    "Hello.<|return|>": False,
}


@pytest.mark.parametrize(("transcript", "expected"), AUTO.items())
def test_a_strict_tool_holds_its_arguments_and_nothing_else(transcript: str, expected: bool) -> None:
    assert passes(transcript, [STRICT, LOOSE]) == expected


@pytest.mark.parametrize(
    ("transcript", "expected"),
    {final("No."): False, THOUGHT + call('{"n": 1}'): True, PREAMBLE + call("{}", "g"): False}.items(),
)
def test_required_is_a_call(transcript: str, expected: bool) -> None:
    assert passes(transcript, [STRICT, LOOSE], "required") == expected


def test_a_named_tool_is_the_only_one() -> None:
    named = {"type": "function", "name": "g"}
    assert passes(call('{"n": 1}', "g"), [STRICT, LOOSE], named)
    assert not passes(call("{}", "g"), [STRICT, LOOSE], named)  # it is held, because it must be called
    assert not passes(call('{"n": 1}'), [STRICT, LOOSE], named)


@pytest.mark.parametrize(
    ("arguments", "expected"), {"{}": True, '{"n": 1}': True, '{"n": "1"}': False, '{"m": 1}': False}.items()
)
def test_a_tool_of_which_nothing_is_said_is_held_to_its_schema_as_written(arguments: str, expected: bool) -> None:
    """What is optional stays so; nothing is added."""
    assert passes(call(arguments), [DEFAULT, LOOSE]) == expected
    assert passes(call('{"other": 1}', "g"), [DEFAULT, LOOSE])


def test_an_output_format_holds_the_answer_and_leaves_calls() -> None:
    form = JsonSchemaFormat(name="x", schema=SCHEMA)
    assert passes(THOUGHT + final('{"n": 2}'), [LOOSE], None, form)
    assert not passes(THOUGHT + final("two"), [LOOSE], None, form)
    assert passes(THOUGHT + call("{}", "g"), [LOOSE], None, form)
    assert not passes(final("[]"), [], None, JsonObjectFormat())
    assert passes(final('{"a": [1]}'), [], None, JsonObjectFormat())


def test_text_that_looks_like_markup_does_not_end_anything() -> None:
    """Markup is named by token."""
    looks = "".join(f" {char}" for char in "<|end|>")
    assert passes(f"<|channel|>analysis<|message|>{looks}{NEXT}" + final("x"), [STRICT])


def test_nothing_is_held_without_need() -> None:
    vocabulary = encoding().vocabulary
    assert constraint(tool_set([LOOSE], None, None), PlainFormat(), vocabulary) is None
    assert constraint(tool_set([STRICT], "none", None), None, vocabulary) is None


def test_a_grammar_goes_into_the_input_of_its_tool() -> None:
    custom = {
        "type": "custom",
        "name": "c",
        "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "go" /[0-9]/'},
    }
    assert passes(call('{"input": "go7"}', "c"), [custom], "required")
    assert not passes(call('{"input": "go"}', "c"), [custom], "required")


def test_what_the_client_has_written_says_where() -> None:
    form = JsonSchemaFormat(name="x", schema=SCHEMA)
    held_to = constraint(tool_set([LOOSE, STRICT], None, None), form, encoding().vocabulary)
    assert held_to is not None
    assert [part["param"] for part in parts(held_to.value)] == ["tools[1].parameters", "text.format.schema"]


def test_the_tag_is_json() -> None:
    held_to = constraint(tool_set([STRICT], None, None), None, encoding().vocabulary)
    assert held_to is not None
    assert json.loads(held_to.value)["type"] == held_to.kind == "structural_tag"
