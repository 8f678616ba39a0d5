"""MCP in the life of a response: tools are listed before its first generation, and called between two of them.

The run owns the response and makes the calls. When the response is to end, they are cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from realtime.context.mcp_calls import listing_of
from realtime.context.tools import Mode, ToolSet
from realtime.observability.instruments import Distribution
from realtime.runs.assembler import Assembler
from realtime.wire import events
from realtime.wire.items import InputItem, McpCall, McpListTools, McpTool, OutputItem

from .open_items import CallResult
from .plan import McpPlan
from .session import McpFailure, McpSession

T = TypeVar("T", McpListTools, McpCall)


class Unsure(Exception):
    """An error: a process that ended may have made a call without recording it. The call must not be made twice."""


class McpStage:
    """One response's MCP. `close` must be called at its end.

    unsure: calls without a recorded answer may have been made before this process began.
    """

    def __init__(
        self,
        response_id: str,
        plan: McpPlan,
        assembler: Assembler,
        append: Callable[[Iterable[events.Event]], None],
        seconds: Distribution | None = None,
        headers: Mapping[str, str] = {},
        answered: Iterable[OutputItem] = (),
    ) -> None:
        """seconds: is given the duration of each call. headers: sent to the servers in addition to their own. answered:
        the answers from before this process began.
        """
        self.unsure = False
        self._answered = deque(answered)
        self._plan = plan
        self._assembler = assembler
        self._append = append
        self._seconds = seconds
        limits = plan.settings
        self._sessions = {
            use.label: McpSession(
                use,
                response_id,
                timeout_seconds=limits.mcp_timeout_seconds,
                max_bytes=limits.max_mcp_result_bytes,
                headers=headers,
            )
            for use in plan.uses
        }

    async def prepare(self, items: Sequence[InputItem], whole: Sequence[InputItem]) -> ToolSet:
        """List tools, make the calls that the user has approved, and return the response's tools. `items`: what the
        model will see. `whole`: the whole history, which may have calls that were made since the plan (a conversation
        continues while this response waits). Raises WireError when the tools do not fit together, and Unsure, as
        `go_on` does.
        """
        made = {item.approval_request_id for item in whole if isinstance(item, McpCall)}
        listings: list[Sequence[McpTool]] = []
        for use in self._plan.uses:
            before = listing_of(items, use.label)
            listings.append(before.tools if before is not None else await self._list(use.label))
        tools_now = self._plan.tools(listings)
        for asked in self._plan.approved:
            if self._assembler.spent:
                break
            if asked.id in made:
                continue
            self._append(self._assembler.begin_approved(asked))
            await self._make_calls()
        return tools_now

    async def go_on(self, tools: ToolSet) -> ToolSet | None:
        """Make the calls of the latest generation. Return the tools of the next one; None if there is to be none."""
        await self._make_calls()
        if not self._assembler.wants_more:
            return None
        self._append(self._assembler.next_generation())
        # What had to be called has been called: from now on the model is free to answer.
        left = tuple(tool for tool in tools.tools if tool.mcp is None) if self._assembler.spent else tools.tools
        mode = Mode.AUTO if tools.mode is Mode.REQUIRED else tools.mode
        return msgspec.structs.replace(tools, tools=left, mode=mode, only=None)

    async def close(self) -> None:
        """End the sessions with all servers."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _list(self, label: str) -> list[McpTool]:
        self._append(self._assembler.begin_listing(label))
        tools: list[McpTool] = []
        error: str | None = None
        before = self._answer(McpListTools)
        try:
            tools = before.tools if before is not None else await self._sessions[label].list_tools()
        except McpFailure as failure:
            error = str(failure)
        if before is not None:
            error = before.error or None
        self._append(self._assembler.end_listing(tools, error))
        return tools

    async def _make_calls(self) -> None:
        """Make the waiting calls, in the order in which the model made them."""
        while (call := self._assembler.calling) is not None:
            began_at = time.monotonic()
            result = await self._call(call.label, call.name, call.text)
            if self._seconds is not None:
                self._seconds.observe(time.monotonic() - began_at, "failed" if result.error is not None else "done")
            self._append(self._assembler.finish_call(result))

    async def _call(self, label: str, name: str, arguments: str) -> CallResult:
        before = self._answer(McpCall)
        if before is not None:
            return CallResult(error=before.error) if before.error else CallResult(before.output or None)
        if self.unsure:
            raise Unsure
        return await self._sessions[label].call(name, arguments)

    def _answer(self, kind: type[T]) -> T | None:
        """Return the answer to a call that was recorded before this process began, if there is one."""
        if self._answered and isinstance(found := self._answered[0], kind):
            self._answered.popleft()
            return found
        return None
