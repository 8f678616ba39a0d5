"""List items: each with an id, in the one form that readers expect, in pages. Pure.

A response's input items and the items of a conversation are listed alike. Their ids differ: an item of a conversation
gets a fresh one; the id of an input item follows from its position, so it is the same at every call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from realtime.wire.bodies import ItemList
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    AnyItem,
    ContentPart,
    InputItem,
    InputText,
    Item,
    Message,
    OutputText,
    PlainText,
    Reasoning,
    Role,
    id_of,
    kind_of,
)

from .turns import ExpandedCompaction

_PREFIXES = {
    "message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc", "mcp_list_tools": "mcpl",
    "mcp_call": "mcp", "mcp_approval_request": "mcpr", "compaction": "cmp",
}  # fmt: skip
_FRESH_PREFIXES = {
    **_PREFIXES, "function_call_output": "fco", "custom_tool_call_output": "ctco", "mcp_approval_response": "mcprr",
}  # fmt: skip
_WITHOUT_STATUS = frozenset({
    "additional_tools", "compaction", "compaction_trigger", "configuration_update", "mcp_approval_request",
    "mcp_approval_response", "mcp_list_tools",
})  # fmt: skip


def fresh_prefix(item: AnyItem) -> str:
    """Return the prefix of a fresh id for an item of a conversation."""
    return _FRESH_PREFIXES.get(kind_of(item), "item")


def list_input(response_id: str, items: Iterable[InputItem]) -> list[AnyItem]:
    """Return the input items of a response in full form; messages in a model's own format are left out.

    An id that the client gave is kept, unless an earlier item has it. Other ids follow from the response and the
    position.
    """
    taken: set[str] = set()
    listed: list[AnyItem] = []
    for index, item in enumerate(items):
        if not isinstance(item, Item):
            continue
        item_id = id_of(item)
        if not item_id or item_id in taken:
            item_id = _derive_id(response_id, index, item)
        taken.add(item_id)
        listed.append(complete(hide_decrypted(item), item_id))
    return listed


def complete(item: AnyItem, item_id: str) -> AnyItem:
    """Return an item in its full form: with this id, a status where its type has one, and content as parts."""
    members: dict[str, Any] = {"id": item_id}
    if not isinstance(item.status, str) and kind_of(item) not in _WITHOUT_STATUS:
        members["status"] = "completed"  # it came whole
    if isinstance(item, Message):
        parts = [PlainText(text=item.content)] if isinstance(item.content, str) else item.content
        members["content"] = [_directed(part, item.role) for part in parts]
    return msgspec.structs.replace(item, **members)


def hide_decrypted(item: AnyItem) -> AnyItem:
    """Return an item of an input as its client knows it: its decrypted content is for the model alone."""
    match item:
        case ExpandedCompaction():
            return item.encrypted()
        case Reasoning(encrypted_content=str()) if item.content is not UNSET:
            return msgspec.structs.replace(item, content=UNSET)
        case _:
            return item


def page(
    items: Sequence[AnyItem],
    *,
    after: str | None,
    limit: int,
    newest_first: bool,
    unknown: str = "`after` is '{after}', which is the id of no item of this list.",
) -> ItemList:
    """Return at most `limit` items: those that follow the one with the id `after`, in this order.

    `items` are in full form, oldest first. Raises WireError with the text `unknown` when none has that id.
    """
    if newest_first:
        items = items[::-1]
    start = 0
    if after is not None:
        found = next((index for index, item in enumerate(items) if item.id == after), None)
        if found is None:
            raise WireError(ErrorCode.INVALID_REQUEST, unknown.format(after=after[:128]), param="after")
        start = found + 1
    return list_of(items[start : start + limit], has_more=start + limit < len(items))


def list_of(items: Sequence[AnyItem], *, has_more: bool = False) -> ItemList:
    """Return the list object of these items, which are in full form. `has_more`: others follow them."""
    first_id, last_id = (id_of(items[0]), id_of(items[-1])) if items else (None, None)
    return ItemList(data=list(items), first_id=first_id, last_id=last_id, has_more=has_more)


def _derive_id(response_id: str, index: int, item: AnyItem) -> str:
    kind = kind_of(item)
    digest = hashlib.sha256(f"{response_id} {index}".encode()).hexdigest()[:32]
    return f"{_PREFIXES.get(kind, kind)}_{digest}"


def _directed(part: ContentPart, role: Role) -> ContentPart:
    """Return text that has no direction with the direction of its role."""
    if not isinstance(part, PlainText):
        return part
    return OutputText(text=part.text) if role == "assistant" else InputText(text=part.text)
