"""Which tools sampling is held to: what must be is held or refused, what may be never costs a client its tool."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.holding import MAX_COST
from realtime.context.request_tools import tool_set
from realtime.context.tools import Held, McpOrigin, Mode, Tool, ToolSet
from realtime.engine.parsing import ALWAYS, Holds
from realtime.wire.errors import WireError
from realtime.wire.limits import DEFAULT

Json = dict[str, Any]

PLAIN: Json = {"type": "object", "properties": {"n": {"type": "integer"}}}
LACKING: Json = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 2}}}
TOO_MANY: Json = {"type": "object", "properties": {f"p{i}": {} for i in range(DEFAULT.max_optional_properties + 1)}}
SLOW: Json = {"type": "object", "properties": {"s": {"type": "string", "maxLength": 255}}}
GROUPS: Json = {"type": "object", "properties": {"s": {"type": "string", "pattern": "(" * 99 + "a" + ")" * 99}}}


def tool(name: str, parameters: Json, strict: bool | None = None) -> Json:
    return {"type": "function", "name": name, "parameters": parameters, "strict": strict}


def held(*tools: Json, choice: Any = None, holds: Holds = ALWAYS, mcp: Any = ()) -> list[bool]:
    found = tool_set(list(tools), choice, None, mcp=mcp, holds=holds)
    return [found.holds(one) for one in found.tools]


def refused(*tools: Json, choice: Any = None, holds: Holds = ALWAYS, mcp: Any = ()) -> tuple[str | None, str]:
    with pytest.raises(WireError) as caught:
        tool_set(list(tools), choice, None, mcp=mcp, holds=holds)
    return caught.value.param, caught.value.message


@pytest.mark.parametrize("parameters", [LACKING, TOO_MANY, SLOW, GROUPS], ids=["lacking", "many", "slow", "groups"])
def test_what_nothing_is_said_of_is_held_where_it_can_be_and_never_refused(parameters: Json) -> None:
    assert held(tool("f", PLAIN), tool("g", parameters), tool("h", PLAIN, strict=False)) == [True, False, False]


@pytest.mark.parametrize(
    ("parameters", "reason"), [(LACKING, "`multipleOf`"), (TOO_MANY, "optional"), (GROUPS, "levels of groups")]
)
def test_what_is_strict_or_must_be_called_is_held_or_refused(parameters: Json, reason: str) -> None:
    named = {"type": "function", "name": "g"}
    for strict, choice in ((True, None), (True, "none"), (None, "required"), (False, "required"), (False, named)):
        param, message = refused(tool("f", PLAIN), tool("g", parameters, strict=strict), choice=choice)
        assert param == "tools[1].parameters"
        assert reason in message
        assert len(message) < 400


def test_a_slow_schema_is_held_where_it_has_to_be() -> None:
    assert held(tool("f", SLOW, strict=True), tool("g", SLOW)) == [True, False]
    assert held(tool("f", SLOW), tool("g", SLOW, strict=False), choice="required") == [True, True]


def test_a_forced_call_is_held_and_only_that() -> None:
    named = {"type": "function", "name": "g"}
    tools = tool("f", LACKING), tool("g", PLAIN, strict=False), tool("h", PLAIN)
    assert held(*tools, choice=named) == [False, True, True]
    assert held(*tools[1:], choice="required") == [True, True]


def test_when_the_call_has_been_made_nobody_is_forced_any_more() -> None:
    """As between the generations of a response with MCP tools."""
    found = tool_set([tool("f", PLAIN), tool("g", PLAIN, strict=False)], "required", None)
    free = ToolSet(tools=found.tools, mode=Mode.AUTO)
    assert [free.holds(one) for one in free.tools] == [True, False]


def test_what_is_held_by_default_can_be_freed_and_nothing_else() -> None:
    found = tool_set([tool("f", PLAIN), tool("g", PLAIN, strict=True), tool("h", PLAIN, strict=False)], None, None)
    freed = found.without_defaults()
    assert freed is not None
    assert [freed.holds(one) for one in freed.tools] == [False, True, False]
    assert freed.without_defaults() is None
    forced = tool_set([tool("f", PLAIN)], "required", None)
    assert forced.without_defaults() is None, "it must be held"


def test_mcp_tools_are_never_strict() -> None:
    mcp = [
        Tool(name=name, shown_as=name, parameters=parameters, strict=False, mcp=McpOrigin("s", needs_approval=False))
        for name, parameters in (("m", PLAIN), ("lacks", LACKING))
    ]
    assert held(tool("f", PLAIN), mcp=mcp) == [True, False, False]
    assert held(tool("f", PLAIN), mcp=mcp[:1], choice="required") == [True, True]
    named = {"type": "mcp", "server_label": "s", "name": "lacks"}
    assert "multipleOf" in refused(mcp=mcp, choice=named)[1]


def test_what_is_held_by_default_is_bounded_in_work_in_the_order_of_the_tools() -> None:
    """An adversary's or a coding agent's: a thousand tools, each of them cheap."""
    found = held(*(tool(f"f{index}", PLAIN) for index in range(1000)))
    num_held = sum(found)
    assert found == [True] * num_held + [False] * (1000 - num_held)
    assert 20 < num_held < MAX_COST


def test_strict_tools_come_first_in_what_all_share() -> None:
    counted: Json = {"type": "object", "properties": {f"p{i}": {} for i in range(40)}, "minProperties": 1}
    assert held(tool("f", counted), tool("g", counted, strict=True)) == [False, True]
    assert held(tool("f", counted), tool("g", PLAIN, strict=True)) == [True, True]
    assert refused(tool("f", counted, strict=True), tool("g", counted, strict=True))[0] == "tools[1].parameters"


def test_a_model_whose_calls_cant_be_held() -> None:
    never = Holds(auto=False, forced=False)
    assert held(tool("f", PLAIN), tool("g", PLAIN, strict=False), holds=never) == [False, False]
    assert refused(tool("f", PLAIN, strict=True), holds=never)[0] == "tools[0].strict"
    assert refused(tool("f", PLAIN), choice="required", holds=never)[0] == "tool_choice"
    forced = Holds(auto=False, forced=True)
    assert refused(tool("f", PLAIN, strict=True), holds=forced)[0] == "tools[0].strict"
    assert held(tool("f", PLAIN, strict=True), tool("g", PLAIN), choice="required", holds=forced) == [True, True]


def test_tools_that_come_with_items_are_held_likewise() -> None:
    brought = [("input[2].tools", [tool("f", PLAIN), tool("g", LACKING)])]
    found = tool_set([], None, None, brought)
    assert [one.held for one in found.tools] == [Held.ALWAYS, Held.NEVER]
    with pytest.raises(WireError) as caught:
        tool_set([], None, None, [("input[2].tools", [tool("g", LACKING, strict=True)])])
    assert caught.value.param == "input[2].tools[0].parameters"
