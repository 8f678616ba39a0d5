"""What a request brought, as it is listed: with ids, in the one form that readers expect, page by page. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from realtime.wire.answers import InputItemList
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import ContentPart, InputItem, InputText, Item, Message, OutputText, PlainText, Reasoning

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "mcp_list_tools": "mcpl",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcpr",
    "compaction": "cmp",
}  # the others have their type's name
_STATELESS = frozenset({
    "additional_tools", "compaction", "compaction_trigger", "configuration_update", "mcp_approval_request",
    "mcp_approval_response", "mcp_list_tools",
})  # fmt: skip


def listed(response_id: str, items: Sequence[InputItem]) -> list[Item]:
    """The items with an id each; messages in a model's own format are none. An id that the client gave is kept, unless
    an earlier item has it; the others follow from the response and the position, so they are the same whenever they
    are asked for.
    """
    ids: set[str] = set()
    out = []
    for index, item in enumerate(items):
        if not isinstance(item, Item):
            continue
        name = item.id
        if not isinstance(name, str) or not name or name in ids:
            kind = _kind(item)
            digest = hashlib.sha256(f"{response_id} {index}".encode()).hexdigest()[:32]
            name = f"{_PREFIXES.get(kind, kind)}_{digest}"
        ids.add(name)
        out.append(_shown(item, name))
    return out


def page(items: list[Item], *, after: str | None, limit: int, newest_first: bool) -> InputItemList:
    """At most `limit` of the items, those that follow the one with the id `after` in this order. Raises WireError."""
    if newest_first:
        items = items[::-1]
    start = 0
    if after is not None:
        found = next((index for index, item in enumerate(items) if item.id == after), None)
        if found is None:
            text = f"`after` is '{after[:64]}', which is the id of no item of this list."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param="after")
        start = found + 1
    data = items[start : start + limit]
    return InputItemList(
        data=data,
        first_id=_id(data[0]) if data else None,
        last_id=_id(data[-1]) if data else None,
        has_more=start + limit < len(items),
    )


def _shown(item: Item, name: str) -> Item:
    item = msgspec.structs.replace(item, id=name)
    if not isinstance(item.status, str) and _kind(item) not in _STATELESS:
        item.status = "completed"  # it came whole
    match item:
        case Message():
            parts = [PlainText(text=item.content)] if isinstance(item.content, str) else item.content
            item.content = [_part(part, item.role) for part in parts]
        case Reasoning() if isinstance(item.encrypted_content, str):
            item.content = msgspec.UNSET  # opened for the model only: the client was given it sealed
        case _:
            pass
    return item


def _part(part: ContentPart, role: str) -> ContentPart:
    """Text without a direction, by its role."""
    if not isinstance(part, PlainText):
        return part
    return OutputText(text=part.text) if role == "assistant" else InputText(text=part.text)


def _kind(item: Item) -> str:
    return str(item.__struct_config__.tag)


def _id(item: Item) -> str:
    assert isinstance(item.id, str)
    return item.id
