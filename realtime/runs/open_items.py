"""The items of MCP and their events, from one end to the other: listings, calls, requests for approval. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from realtime.wire import events as e
from realtime.wire.items import ItemStatus, McpApprovalRequest, McpCall, McpListTools, McpTool


class CallResult(msgspec.Struct, frozen=True):
    """What a call came to: the output, or one of OpenAI's three error objects."""

    output: str | None = None
    error: dict[str, Any] | None = None


class OpenListing:
    """A listing that its server has not answered yet."""

    def __init__(self, item_id: str, index: int, label: str) -> None:
        self._at: dict[str, Any] = {"item_id": item_id, "output_index": index}
        self._label = label

    def begin(self) -> list[e.Event]:
        """It is asked for."""
        item = McpListTools(id=self._at["item_id"], server_label=self._label, tools=[])
        return [
            e.OutputItemAdded(output_index=self._at["output_index"], item=item),
            e.McpListToolsInProgress(**self._at),
        ]

    def end(self, tools: Sequence[McpTool], error: str | None) -> tuple[list[e.Event], McpListTools]:
        """It is there, or `error` says why not."""
        item = McpListTools(id=self._at["item_id"], server_label=self._label, tools=list(tools))
        if error is not None:
            item.error = error
        over = e.McpListToolsCompleted(**self._at) if error is None else e.McpListToolsFailed(**self._at)
        return [over, e.OutputItemDone(output_index=self._at["output_index"], item=item)], item


class OpenMcpCall:
    """A call: the model writes its arguments, then its server works."""

    def __init__(self, item_id: str, index: int, label: str, name: str, approved_by: str | None = None) -> None:
        self.item_id = item_id
        self.label = label
        self.name = name
        self.texts: list[str] = []
        self.at_work = False  # the arguments are complete
        self._approved_by = approved_by
        self._at: dict[str, Any] = {"item_id": item_id, "output_index": index}

    @property
    def arguments(self) -> str:
        """As far as they have been written."""
        return "".join(self.texts)

    def begin(self) -> list[e.Event]:
        """The model begins to call."""
        item = self._item("in_progress", "")
        return [
            e.OutputItemAdded(output_index=self._at["output_index"], item=item),
            e.McpCallInProgress(**self._at),
        ]

    def delta(self, text: str) -> e.Event:
        """More arguments."""
        self.texts.append(text)
        return e.McpCallArgumentsDelta(**self._at, delta=text)

    def written(self) -> e.Event:
        """The arguments are complete, or it is cut off."""
        self.at_work = True
        return e.McpCallArgumentsDone(**self._at, arguments=self.arguments)

    def end(self, result: CallResult | None) -> tuple[list[e.Event], McpCall]:
        """`result` None: it was cut off."""
        events = [] if self.at_work else [self.written()]
        failed = result is None or result.error is not None
        item = self._item("incomplete" if result is None else "failed" if failed else "completed", self.arguments)
        if result is not None and result.error is not None:
            item.error = result.error
        elif result is not None:
            item.output = result.output
        over = e.McpCallFailed(**self._at) if failed else e.McpCallCompleted(**self._at)
        return [*events, over, e.OutputItemDone(output_index=self._at["output_index"], item=item)], item

    def _item(self, status: str, arguments: str) -> McpCall:
        return McpCall(
            id=self.item_id,
            status=status,
            server_label=self.label,
            name=self.name,
            arguments=arguments,
            approval_request_id=self._approved_by if self._approved_by is not None else UNSET,
        )


class OpenApproval:
    """A call that the user has to allow first. Its item comes in one piece when the arguments are complete."""

    def __init__(self, item_id: str, index: int, label: str, name: str) -> None:
        self.texts: list[str] = []
        self._index = index
        self._what: dict[str, Any] = {"id": item_id, "server_label": label, "name": name}

    def end(self, status: ItemStatus) -> tuple[list[e.Event], McpApprovalRequest | None]:
        """Nothing if it was cut off: half a call can't be allowed."""
        if status != "completed":
            return [], None
        item = McpApprovalRequest(**self._what, arguments="".join(self.texts))
        return [
            e.OutputItemAdded(output_index=self._index, item=item),
            e.OutputItemDone(output_index=self._index, item=item),
        ], item
