"""What a request wants of MCP servers, as far as that is known before its response starts."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.tools import Mode
from realtime.engine.parsing import ALWAYS
from realtime.runs.mcp.plan import McpPlan
from realtime.settings.fields import McpServer, McpSettings
from realtime.wire.errors import WireError
from realtime.wire.items import InputItem, McpApprovalRequest, McpApprovalResponse, McpListTools, McpTool
from realtime.wire.requests import ResponseCreate

SETTINGS = McpSettings(
    mcp_servers={label: McpServer(url=f"https://{label}.test/mcp") for label in ("s", "r")}, max_mcp_calls=5
)
USE = {"type": "mcp", "server_label": "s", "allowed_tools": ["a"]}
ASKED = McpApprovalRequest(id="mcpr_1", server_label="s", name="a", arguments="{}")
YES = McpApprovalResponse(approval_request_id="mcpr_1", approve=True)


def plan(tools: list[dict[str, Any]], before: list[InputItem] | None = None, **members: Any) -> McpPlan | None:
    return McpPlan.of(ResponseCreate(tools=tools, **members), before or [], [], SETTINGS, ALWAYS)


def listing(label: str, *names: str) -> McpListTools:
    return McpListTools(server_label=label, tools=[McpTool(name=name, input_schema={}) for name in names])


def test_a_request_without_mcp_tools_and_one_that_only_warms_up_want_nothing() -> None:
    assert plan([{"type": "function", "name": "f"}]) is None
    assert plan([USE], generate=False) is None


@pytest.mark.parametrize(("asked", "most"), [(None, 5), (2, 2), (9, 5)])
def test_calls_are_limited_by_the_request_and_by_the_operator(asked: int | None, most: int) -> None:
    made = plan([USE], max_tool_calls=asked)
    assert made is not None
    assert made.max_calls == most


def test_approved_calls_are_to_be_made_if_their_server_is_there() -> None:
    made = plan([USE], [ASKED], items=[YES])
    assert made is not None
    assert made.approved == [ASKED]
    with pytest.raises(WireError, match="needs the MCP server 's'"):
        plan([{"type": "function", "name": "f"}], [ASKED], items=[YES])


def test_tools_are_made_of_listings_with_the_requests_own_and_its_choice() -> None:
    choice = {"type": "mcp", "server_label": "s", "name": "a"}
    made = plan([{"type": "function", "name": "f"}, USE], tool_choice=choice)
    assert made is not None
    tools = made.tools([listing("s", "a", "b").tools])
    assert [tool.shown_as for tool in tools.tools] == ["f", "a"]
    assert (tools.mode, tools.only) == (Mode.REQUIRED, tools.tools[1])
    with pytest.raises(WireError, match="there is no tool 'a'"):
        made.tools([[]])


def test_tools_are_known_when_the_history_lists_those_of_every_server() -> None:
    made = plan([USE, {"type": "mcp", "server_label": "r"}])
    assert made is not None
    assert made.known_tools([listing("s", "a")]) is None
    known = made.known_tools([listing("s", "a"), listing("r", "a", "b")])
    assert known is not None
    assert [tool.shown_as for tool in known.tools] == ["s__a", "r__a", "b"]
