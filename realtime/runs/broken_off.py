"""A log that broke off with its process: finds the open item, and what was said so far. Pure.

An item's state follows from its events alone, so it can be closed as a run would have closed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from realtime.dialects.base import CallBegin, TextDelta
from realtime.wire import codec
from realtime.wire.items import (
    Compaction,
    CustomToolCall,
    FunctionCall,
    McpCall,
    McpListTools,
    Message,
    OutputItem,
    Reasoning,
)
from realtime.wire.response import Response

from .mcp.open_items import OpenMcpCall, OpenMcpListing
from .open_items import (
    OpenCompaction,
    OpenCustomCall,
    OpenFunctionCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    OpenText,
    ReasoningShown,
)

_ADDED = b"response.output_item.added"
_DONE = b"response.output_item.done"
_RAW = b"response.content_part.added"
_SUMMARY = b"response.reasoning_summary_part.added"
_ARGUMENTS_DONE = b"response.mcp_call_arguments.done"


class _Shown(msgspec.Struct):
    """An event that shows the Response."""

    response: Response


class _OfItem(msgspec.Struct):
    """An event that shows an item."""

    item: OutputItem
    output_index: int


class _Delta(msgspec.Struct):
    """An event that may be a delta."""

    delta: str | None = None
    logprobs: list[Any] = []


_decode_shown = msgspec.json.Decoder(_Shown).decode
_decode_item = msgspec.json.Decoder(_OfItem).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode


def shown_in(entry: bytes) -> Response:
    """Return the Response that an event shows, without its `rate_limits`, which only the first event has. Raises
    ValueError if the event shows none.
    """
    response = _decode_shown(entry).response
    response.rate_limits = UNSET
    return response


class BrokenOff(msgspec.Struct, frozen=True):
    """The output of a response that broke off. `open`: the item that was being written; None: there was none."""

    response: Response
    output: list[OutputItem]
    open: OpenItem | None

    @classmethod
    def of(cls, entries: Sequence[bytes]) -> BrokenOff:
        """Read the entries of a log. Raises ValueError if they are invalid."""
        response: Response | None = None
        output: list[OutputItem] = []
        opened_at: int | None = None
        for index, entry in enumerate(entries):
            match codec.type_of(entry):
                case b"response.created" | b"response.queued" | b"response.in_progress":
                    response = shown_in(entry)
                case b"response.output_item.added":
                    opened_at = index
                case b"response.output_item.done":
                    output.append(_decode_item(entry).item)
                    opened_at = None
        if response is None:
            raise ValueError("the log does not begin with its response")
        return cls(response, output, _reopen(entries[opened_at:]) if opened_at is not None else None)


def _reopen(entries: Sequence[bytes]) -> OpenItem | None:
    """Rebuild the open item from its entries; None for a kind that comes in one piece."""
    added = _decode_item(entries[0])
    types = [codec.type_of(entry) for entry in entries]
    deltas = [delta for delta in map(_decode_delta, entries[1:]) if delta.delta is not None]
    opened = _begin(added.item, added.output_index, types)
    for delta in deltas:
        text = delta.delta or ""
        match opened:
            case OpenMessage():
                opened.delta(TextDelta(text, delta.logprobs))
            case OpenText():
                opened.add_text(text)
            case _:
                pass
    if _ARGUMENTS_DONE in types and opened is not None:
        opened.written()
    return opened


def _begin(item: OutputItem, index: int, types: Sequence[bytes]) -> OpenItem | None:
    item_id = str(item.id)
    match item:
        case Message():
            return OpenMessage(item_id, index, item.phase)  # type: ignore[arg-type]
        case Reasoning():
            return OpenReasoning(item_id, index, ReasoningShown(summary=_SUMMARY in types, raw=_RAW in types))
        case FunctionCall():
            return OpenFunctionCall(item_id, index, item.call_id, _call(item))
        case CustomToolCall():
            return OpenCustomCall(item_id, index, item.call_id, _call(item))
        case Compaction():
            return OpenCompaction(item_id, index)
        case McpListTools():
            return OpenMcpListing(item_id, index, item.server_label)
        case McpCall():
            approved_by = item.approval_request_id
            return OpenMcpCall(item_id, index, item.server_label, item.name, approved_by or None)
        case _:
            return None


def _call(item: FunctionCall | CustomToolCall) -> CallBegin:
    return CallBegin(item.name, namespace=item.namespace or None, channel=item.channel or None)
