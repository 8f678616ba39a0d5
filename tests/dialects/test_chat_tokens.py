"""A continuation begins with exactly the tokens that the engine has in its cache: the real tokenizer and template."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn, history
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.options import STARTER_MODEL
from realtime.wire.items import FunctionCall, FunctionCallOutput, InputItem, Message, OutputItem, Reasoning
from realtime.wire.items import ReasoningText as Thought
from realtime.wire.requests import ResponseCreate

THOUGHT = "The user wants the weather in Paris. I will call get_weather."
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
REQUEST = ResponseCreate()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(STARTER_MODEL)


@pytest.fixture(scope="module")
def dialect(tokenizer: Any) -> ChatDialect:
    return ChatDialect(tokenizer, MarkupReader(NOTHING, tokenizer))


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    return tool_set([{"type": "function", "name": "get_weather", "parameters": city}], None, None)


def as_a_model_might(tokenizer: Any, text: str) -> array[int]:
    """Tokens of this text that the tokenizer itself would not choose: models don't always say the longest ones."""
    tokens = tokenizer.encode(text, add_special_tokens=False)
    odd: list[int] = []
    for token in tokens:
        word = tokenizer.decode([token])
        odd += (
            [one for char in word for one in tokenizer.encode(char, add_special_tokens=False)]
            if len(word) == 4
            else [token]
        )
    assert tokenizer.decode(odd) == text
    assert odd != tokens
    return array("I", odd)


def turn_after(
    dialect: ChatDialect, tools: ToolSet, parent: Turn | None, new: list[InputItem], output: list[OutputItem], text: str
) -> Turn:
    """What the service keeps of a turn in which the model generated this text."""
    prompt = dialect.render(REQUEST, tools, history(parent, new), parent)
    tokens = as_a_model_might(dialect._tokenizer, text)
    return Turn("resp", parent, tuple(new), tuple(output), prompt, tokens)


def next_prompt(dialect: ChatDialect, tools: ToolSet, parent: Turn, new: list[InputItem]) -> Prompt:
    prompt = dialect.render(REQUEST, tools, history(parent, new), parent)
    assert dialect._tokenizer.decode(list(prompt.token_ids)) == prompt.text
    return prompt


def begins_with(prompt: Prompt, *parts: array[int]) -> bool:
    expected = [token for part in parts for token in part]
    return list(prompt.token_ids[: len(expected)]) == expected


def called(dialect: ChatDialect, tools: ToolSet, parent: Turn | None, new: list[InputItem], number: int) -> Turn:
    """A turn that ends with a call."""
    call = FunctionCall(call_id=f"call_{number}", name="get_weather", arguments='{"city": "Paris"}')
    output: list[OutputItem] = [Reasoning(content=[Thought(text=THOUGHT)]), call]
    return turn_after(dialect, tools, parent, new, output, f"<think>\n{THOUGHT}\n</think>\n\n{CALL}<|im_end|>")


def result(number: int) -> InputItem:
    return FunctionCallOutput(call_id=f"call_{number}", output="sunny")


def user(text: str) -> InputItem:
    return Message(role="user", content=text)


def test_in_a_tool_loop_every_token_so_far_is_used_again(dialect: ChatDialect, tools: ToolSet) -> None:
    turn = called(dialect, tools, None, [user("What is the weather in Paris?")], 0)
    for number in range(1, 6):
        prompt = next_prompt(dialect, tools, turn, [result(number - 1)])
        assert turn.prompt is not None
        assert begins_with(prompt, turn.prompt.token_ids, turn.token_ids)
        turn = called(dialect, tools, turn, [result(number - 1)], number)


def test_a_new_question_uses_again_what_precedes_the_reasoning_that_the_template_drops(
    dialect: ChatDialect, tools: ToolSet
) -> None:
    """This template shows the reasoning of the newest turn only: the end of a tool loop reads differently then."""
    greeted = hello(dialect, tools)
    asked = called(dialect, tools, greeted, [user("What is the weather in Paris?")], 0)
    said: list[OutputItem] = [
        Reasoning(content=[Thought(text="The tool says sunny.")]),
        Message(role="assistant", content="It is sunny."),
    ]
    answer = "<think>\nThe tool says sunny.\n</think>\n\nIt is sunny.<|im_end|>"
    answered = turn_after(dialect, tools, asked, [result(0)], said, answer)
    prompt = next_prompt(dialect, tools, answered, [user("And in London?")])
    assert THOUGHT not in prompt.text
    assert asked.prompt is not None
    assert begins_with(prompt, asked.prompt.token_ids)
    assert greeted.prompt is not None
    assert begins_with(asked.prompt, greeted.prompt.token_ids, greeted.token_ids)


def hello(dialect: ChatDialect, tools: ToolSet) -> Turn:
    """A turn without reasoning."""
    answer: list[OutputItem] = [Message(role="assistant", content="Hello, what shall I do for you?")]
    return turn_after(dialect, tools, None, [user("hello")], answer, "Hello, what shall I do for you?<|im_end|>")


def test_an_answer_without_reasoning_is_used_again_whole(dialect: ChatDialect, tools: ToolSet) -> None:
    first = hello(dialect, tools)
    prompt = next_prompt(dialect, tools, first, [user("count to 5")])
    assert first.prompt is not None
    assert begins_with(prompt, first.prompt.token_ids, first.token_ids)


def test_other_tools_or_instructions_begin_anew(dialect: ChatDialect, tools: ToolSet) -> None:
    first = called(dialect, tools, None, [user("What is the weather in Paris?")], 0)
    prompt = next_prompt(dialect, ToolSet(), first, [result(0)])
    assert first.prompt is not None
    assert not begins_with(prompt, first.prompt.token_ids)
