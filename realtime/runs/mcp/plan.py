"""What a request wants of MCP servers, decided before its response starts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from realtime.context.mcp_tools import ServerUse, approved_calls, check_approvals, servers_used
from realtime.context.tools import ToolSet, tool_set
from realtime.settings.fields import McpSettings
from realtime.wire.items import InputItem, McpApprovalRequest
from realtime.wire.requests import ResponseCreate

Brought = Sequence[tuple[str, list[dict[str, Any]]]]  # see tools.tool_set


class McpPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A request's use of MCP. `tool_set(mcp=...)` makes the response's tools of what the servers listed."""

    uses: tuple[ServerUse, ...]
    approved: Sequence[McpApprovalRequest]
    tool_set: Callable[..., ToolSet]
    max_calls: int
    settings: McpSettings

    @classmethod
    def of(
        cls, request: ResponseCreate, before: Sequence[InputItem], brought: Brought, settings: McpSettings
    ) -> McpPlan | None:
        """Plan a request, None without MCP tools. `before`: what it continues; `brought`: tools that came with items.
        Raises WireError.
        """
        uses = servers_used(request.tools, settings)
        approved = approved_calls(before, request.items)
        check_approvals(approved, uses)
        if not uses or request.generate is False:
            return None
        return cls(
            uses=uses,
            approved=approved,
            tool_set=partial(tool_set, request.tools, request.tool_choice, request.parallel_tool_calls, brought),
            max_calls=min(request.max_tool_calls or settings.max_mcp_calls, settings.max_mcp_calls),
            settings=settings,
        )
