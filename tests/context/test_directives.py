"""Items that stand for others, bring tools and change settings, docs/protocol.md 3.8."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.directives import MAX_REFERENCES, apply_settings, brought_tools, resolve_references
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.formats import JsonObjectFormat, PlainFormat
from realtime.wire.items import (
    AdditionalTools,
    ConfigurationUpdate,
    InputItem,
    ItemReference,
    Message,
    ReasoningUpdate,
    TextUpdate,
    ToolSearchOutput,
)
from realtime.wire.requests import ReasoningOptions, ResponseCreate, TextOptions

OLD = Message(id="msg_1", role="user", content="old")
STORED = Message(id="msg_2", role="user", content="stored")
NEW = Message(role="user", content="new")


def found(*items: InputItem, before: list[InputItem] | None = None) -> list[InputItem]:
    return resolve_references(items, [OLD] if before is None else before, {"msg_1": STORED, "msg_2": STORED}.get)


def test_a_reference_is_the_item_of_the_conversation_or_else_the_stored_one() -> None:
    assert found(ItemReference(id="msg_1"), NEW, ItemReference(id="msg_2")) == [OLD, NEW, STORED]
    assert found(ItemReference(id="msg_1"), before=[]) == [STORED]
    assert found(NEW) == [NEW]


@pytest.mark.parametrize(("item_id", "words"), [("msg_9", "'msg_9'"), (None, "is required"), ("x" * 9999, "'xxx")])
def test_a_reference_to_nothing_is_refused_with_its_path(item_id: Any, words: str) -> None:
    with pytest.raises(WireError) as caught:
        found(NEW, ItemReference(id=item_id))
    assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, "input[1].id")
    assert words in caught.value.message
    assert len(caught.value.message) < 300


def test_the_number_of_references_is_bounded() -> None:
    assert len(found(*[ItemReference(id="msg_1")] * MAX_REFERENCES)) == MAX_REFERENCES
    with pytest.raises(WireError, match="at most 1024"):
        found(*[ItemReference(id="msg_1")] * (MAX_REFERENCES + 1))


def test_tools_come_with_items_oldest_first() -> None:
    before: list[InputItem] = [OLD, AdditionalTools(tools=[{"a": 1}])]
    items: list[InputItem] = [NEW, ToolSearchOutput(tools=[{"b": 1}]), AdditionalTools(tools=[])]
    assert brought_tools(before, items) == [
        ("previous_response_id", [{"a": 1}]), ("input[1].tools", [{"b": 1}]), ("input[2].tools", []),
    ]  # fmt: skip


def effort(value: Any) -> ConfigurationUpdate:
    return ConfigurationUpdate(reasoning=ReasoningUpdate(effort=value))


def form(value: Any) -> ConfigurationUpdate:
    return ConfigurationUpdate(text=TextUpdate(format=value))


JSON, PLAIN = JsonObjectFormat(), PlainFormat()
REASONING, TEXT = ReasoningOptions(effort="low", summary="auto"), TextOptions(format=JSON, verbosity="low")
ASKED: dict[str, Any] = {"reasoning": REASONING, "text": TEXT}
SETTINGS: dict[str, tuple[dict[str, Any], list[InputItem], list[InputItem], Any, Any]] = {
    "nothing": ({}, [OLD], [NEW], None, None),
    "what was said before holds": ({}, [effort("high"), form(JSON)], [NEW], "high", JSON),
    "until a later one": ({}, [effort("high"), form(JSON), effort("none"), form(PLAIN)], [], "none", PLAIN),
    "each for itself": ({}, [effort("high"), form(JSON), ConfigurationUpdate()], [], "high", JSON),
    "the request's members are newer": (ASKED, [effort("high"), form(PLAIN)], [NEW], "low", JSON),
    "the request's items are newest": (ASKED, [effort("high")], [effort("max"), form(PLAIN)], "max", PLAIN),
}


@pytest.mark.parametrize(("asked", "before", "items", "want", "output_format"), SETTINGS.values(), ids=SETTINGS)
def test_settings(asked: dict[str, Any], before: Any, items: Any, want: Any, output_format: Any) -> None:
    request = ResponseCreate(**asked, items=items)
    found = apply_settings(request, before)
    assert (found.reasoning.effort if found.reasoning else None) == want
    assert (found.text.format if found.text else None) == output_format
    if asked:  # what the updates do not speak of stays
        assert found.reasoning is not None
        assert found.text is not None
        assert (found.reasoning.summary, found.text.verbosity) == ("auto", "low")
        assert (REASONING.effort, TEXT.format) == ("low", JSON), "the request itself is not changed"
