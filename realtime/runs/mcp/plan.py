"""A request's plan for MCP servers, made before its response starts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from realtime.context.mcp_calls import approved_calls, check_approvals, listing_of
from realtime.context.mcp_tools import ServerUse, servers_of
from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.engine.parsing import Holds
from realtime.settings.fields import McpSettings
from realtime.wire.items import InputItem, McpApprovalRequest, McpTool
from realtime.wire.requests import ResponseCreate

Brought = Sequence[tuple[str, list[dict[str, Any]]]]  # see tools.tool_set


class McpPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A request's use of MCP. `tool_set(mcp=...)` makes the response's tools from those that the servers offer."""

    uses: tuple[ServerUse, ...]
    approved: Sequence[McpApprovalRequest]
    tool_set: Callable[..., ToolSet]
    max_calls: int
    settings: McpSettings

    @classmethod
    def of(
        cls, request: ResponseCreate, before: Sequence[InputItem], brought: Brought, settings: McpSettings, holds: Holds
    ) -> McpPlan | None:
        """Plan a request; None without MCP tools. `before`: the history that it continues. `brought`: tools that came
        with items. `holds`: see `tool_set`. Raises WireError.
        """
        uses = servers_of(request.tools, settings)
        approved = approved_calls(before, request.items)
        check_approvals(approved, uses)
        if not uses or request.generate is False:
            return None
        return cls(
            uses=uses,
            approved=approved,
            tool_set=partial(
                tool_set, request.tools, request.tool_choice, request.parallel_tool_calls, brought, holds=holds
            ),
            max_calls=min(request.max_tool_calls or settings.max_mcp_calls, settings.max_mcp_calls),
            settings=settings,
        )

    def tools(self, listings: Iterable[Sequence[McpTool]]) -> ToolSet:
        """Return the request's tools, given a listing for each of `uses`. Raises WireError when they don't fit
        together.
        """
        listed = zip(self.uses, listings, strict=True)
        return self.tool_set(mcp=[tool for use, listing in listed for tool in use.offer(listing)])

    def known_tools(self, items: Sequence[InputItem]) -> ToolSet | None:
        """Return the tools by the listings in a history; None if it lacks one of them. Raises WireError."""
        listings = [listing_of(items, use.label) for use in self.uses]
        known = [listing.tools for listing in listings if listing is not None]
        return self.tools(known) if len(known) == len(listings) else None
