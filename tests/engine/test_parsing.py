"""The parsers of a model without markup, which tests and the scripted engine use."""

from __future__ import annotations

from realtime.engine.parsing import Parsed, ParseSpec, PlainParsers


def test_everything_is_text() -> None:
    parser = PlainParsers().open(ParseSpec(tool_choice="required"), [1, 2])
    assert parser.feed("<think>a</think>", [3, 4]) == [Parsed(text="<think>a</think>")]
    assert parser.num_reasoning_tokens([3, 4]) == 0
    assert (parser.constraint, parser.reasoning_ended) == (None, None)
