"""What is expensive to render is known before it is rendered, whatever makes it so, and knowing it is cheap."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.runs.renderer import HEAVY, LONG
from realtime.runs.rendering_cost import cost
from realtime.wire import item_texts
from realtime.wire.items import (
    FunctionCallOutput,
    InputFile,
    InputItem,
    InputText,
    Message,
    OutputText,
    Reasoning,
    SummaryText,
)
from realtime.wire.requests import ResponseCreate
from tests.support.jobs import user

MUCH = "x" * LONG
FILE = "data:text/plain;base64," + base64.b64encode(MUCH.encode()).decode()
NO_TOOLS = tool_set(None, None, None)


def function(**members: Any) -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": {}, **members}


@pytest.mark.parametrize(
    ("members", "tools", "items"),
    [
        ({"instructions": MUCH}, NO_TOOLS, []),
        ({}, NO_TOOLS, [user(MUCH)]),
        ({}, NO_TOOLS, [user("x")] * 41),
        ({}, NO_TOOLS, [Message(role="user", content=[InputText(text="")] * 170)]),
        ({}, NO_TOOLS, [Message(role="user", content=[InputText(text=MUCH)])]),
        ({}, NO_TOOLS, [Message(role="assistant", content=[OutputText(text=MUCH)])]),
        ({}, NO_TOOLS, [Message(role="user", content=[InputFile(file_data=FILE)])]),
        ({}, NO_TOOLS, [FunctionCallOutput(call_id="c", output=MUCH)]),
        ({}, NO_TOOLS, [FunctionCallOutput(call_id="c", output=[InputText(text=MUCH)])]),
        ({}, NO_TOOLS, [Reasoning(summary=[SummaryText(text=MUCH)])]),
        ({}, tool_set([function(name=f"f{number}") for number in range(20)], None, None), []),
        ({}, tool_set([function(description=MUCH)], None, None), []),
        ({}, tool_set([function(parameters={"description": MUCH})], None, None), []),
        ({"chat_template_kwargs": {"a": MUCH}}, NO_TOOLS, []),
    ],
    ids=["instructions", "text", "items", "parts", "long part", "answer", "file", "output", "parts of an output",
         "reasoning", "tools", "description", "schema", "template variable"],
)  # fmt: skip
def test_what_is_expensive_is_long(members: dict[str, Any], tools: ToolSet, items: list[InputItem]) -> None:
    assert cost(ResponseCreate(**members), tools, items, LONG) >= LONG


def test_what_is_short_is_not() -> None:
    tools = tool_set([function(description="what it does")], None, None)
    assert cost(ResponseCreate(instructions="Be brief."), tools, [user("x" * 100)] * 10, LONG) < LONG


def test_no_more_is_looked_at_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[InputItem] = []

    def texts_of(item: InputItem) -> Iterator[str]:
        looked.append(item)
        return item_texts.texts_of(item)

    monkeypatch.setattr("realtime.runs.rendering_cost.texts_of", texts_of)
    assert cost(ResponseCreate(), NO_TOOLS, [user("x")] * 10_000, HEAVY) >= HEAVY
    assert len(looked) < 1500
