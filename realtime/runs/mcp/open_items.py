"""The open items of MCP: listings, calls, requests for approval. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from realtime.runs.open_items import Ended, OpenCall, OpenItem
from realtime.wire import events as e
from realtime.wire.items import ItemStatus, McpApprovalRequest, McpCall, McpListTools, McpTool, OutputItem


class OpenMcpListing(OpenItem):
    """A listing that its server has not answered yet."""

    at_work = True

    def __init__(self, item_id: str, index: int, label: str) -> None:
        super().__init__(item_id, index)
        self._item = McpListTools(id=item_id, server_label=label, tools=[], error="The listing was cut off.")

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        return [e.OutputItemAdded(output_index=self.index, item=self.so_far()), e.McpListToolsInProgress(**self._at)]

    def so_far(self) -> OutputItem:
        """See OpenItem."""
        return McpListTools(id=self.item_id, server_label=self._item.server_label, tools=[])

    def answer(self, tools: Sequence[McpTool], error: str | None) -> None:
        """Note the tools that the server lists. `error` says why there are none."""
        self._item.tools = list(tools)
        self._item.error = error if error is not None else UNSET

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        failed = self._item.error is not UNSET
        over = e.McpListToolsFailed(**self._at) if failed else e.McpListToolsCompleted(**self._at)
        return [over, e.OutputItemDone(output_index=self.index, item=self._item)], self._item


class CallResult(msgspec.Struct, frozen=True):
    """The result of a call: its output, or one of OpenAI's three error objects."""

    output: str | None = None
    error: dict[str, Any] | None = None


class OpenServerCall(OpenCall):
    """Base class of calls of an MCP server's tools."""

    streams = False

    def __init__(self, item_id: str, index: int, label: str, name: str) -> None:
        super().__init__(item_id, index)
        self.label = label
        self.name = name


class OpenMcpCall(OpenServerCall):
    """A call that this server makes: the model writes the arguments, then the call waits for its `result`. Without one
    it was cut off.
    """

    streams = True

    def __init__(self, item_id: str, index: int, label: str, name: str, approved_by: str | None = None) -> None:
        super().__init__(item_id, index, label, name)
        self.result: CallResult | None = None
        self._approved_by = approved_by if approved_by is not None else UNSET

    def begin(self) -> Iterable[e.Event]:
        """See OpenItem."""
        item = self._item("in_progress", "")
        return [e.OutputItemAdded(output_index=self.index, item=item), e.McpCallInProgress(**self._at)]

    def _delta(self, text: str) -> e.Event:
        return e.McpCallArgumentsDelta(**self._at, delta=text)

    def written(self) -> Iterable[e.Event]:
        """See OpenItem."""
        self.at_work = True
        return (e.McpCallArgumentsDone(**self._at, arguments=self.text),)

    def end(self, status: ItemStatus) -> Ended:
        """Close the call; see OpenItem. A call without a result becomes incomplete, whatever ended it."""
        written = () if self.at_work else self.written()
        result = self.result
        failed = result is None or result.error is not None
        item = self._item("incomplete" if result is None else "failed" if failed else "completed", self.text)
        if result is not None and result.error is not None:
            item.error = result.error
        elif result is not None:
            item.output = result.output
        over = e.McpCallFailed(**self._at) if failed else e.McpCallCompleted(**self._at)
        return [*written, over, e.OutputItemDone(output_index=self.index, item=item)], item

    def so_far(self) -> OutputItem:
        """See OpenItem."""
        return self._item("in_progress", self.text)

    def _item(self, status: str, arguments: str) -> McpCall:
        return McpCall(
            id=self.item_id,
            status=status,
            server_label=self.label,
            name=self.name,
            arguments=arguments,
            approval_request_id=self._approved_by,
        )


class OpenMcpApproval(OpenServerCall):
    """A call that the user has to approve first. The item comes in one piece when the arguments are complete."""

    def end(self, status: ItemStatus) -> Ended:
        """Close the request; see OpenItem. One that was cut off makes no item: half a call can't be approved."""
        if status != "completed":
            return (), None
        item = McpApprovalRequest(id=self.item_id, server_label=self.label, name=self.name, arguments=self.text)
        added = e.OutputItemAdded(output_index=self.index, item=item)
        return [added, e.OutputItemDone(output_index=self.index, item=item)], item


class IgnoredMcpCall(OpenServerCall):
    """A call beyond the last one allowed. It makes no item."""

    def end(self, status: ItemStatus) -> Ended:
        """See OpenItem."""
        return (), None
