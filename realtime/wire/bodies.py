"""Bodies of the HTTP requests beside `response.create`: conversations, their items, and compaction.

Unknown members are accepted in silence, because real clients send them. Lists of items stay raw here and are decoded
one by one, so that an error names the item.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .items import InputItem, OutputItem
from .requests import Metadata, Name, OpaqueId
from .response import Usage

MAX_ITEMS_AT_ONCE = 20  # OpenAI's limit of items in one request on a conversation


class ConversationCreate(msgspec.Struct, kw_only=True):
    """`POST /v1/conversations`."""

    items: msgspec.Raw = msgspec.Raw()
    metadata: Metadata | None = None


class ConversationUpdate(msgspec.Struct, kw_only=True):
    """`POST /v1/conversations/{id}`. Metadata is replaced as a whole; null empties it."""

    metadata: Metadata | None


class ItemsCreate(msgspec.Struct, kw_only=True):
    """`POST /v1/conversations/{id}/items`."""

    items: msgspec.Raw


class CompactRequest(msgspec.Struct, kw_only=True):
    """`POST /v1/responses/compact`."""

    model: Name
    input: msgspec.Raw = msgspec.Raw()
    instructions: str | None = None
    previous_response_id: OpaqueId | None = None
    prompt_cache_key: Name | None = None
    service_tier: Name | None = None


class ConversationObject(msgspec.Struct, kw_only=True):
    """A conversation as clients see it."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int  # unix seconds
    metadata: dict[str, str] = {}


class ConversationDeleted(msgspec.Struct, kw_only=True):
    """What is left of a conversation that was deleted."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: bool = True


class ItemList(msgspec.Struct, kw_only=True):
    """A part of a list of items."""

    object: Literal["list"] = "list"
    data: list[InputItem | OutputItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class CompactedResponse(msgspec.Struct, kw_only=True):
    """The answer of `POST /v1/responses/compact`: `output` is the `input` of a new chain."""

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[OutputItem]
    usage: Usage
