"""Bodies over HTTP that are neither `response.create` nor a Response: conversations, lists, compaction, receipts.

In requests unknown members are accepted in silence, because real clients send them. Lists of items stay raw there and
are decoded one by one, so that an error names the item.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .items import AnyItem, OutputItem
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


# -- answers


class ConversationObject(msgspec.Struct, kw_only=True):
    """A conversation as clients see it."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int  # unix seconds
    metadata: dict[str, str] = {}


class ConversationDeleted(msgspec.Struct, kw_only=True):
    """The receipt of a conversation that was deleted."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: bool = True


class ItemList(msgspec.Struct, kw_only=True):
    """A page of a list of items: a response's input items, or the items of a conversation."""

    object: Literal["list"] = "list"
    data: list[AnyItem]
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


class ResponseDeleted(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputTokens(msgspec.Struct, kw_only=True):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class Model(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["model"] = "model"
    created: int  # unix seconds
    owned_by: str = "realtime"


class ModelList(msgspec.Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]


class Health(msgspec.Struct):
    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, kw_only=True):
    """Whether a response can be created now, and what the server holds. `structured_output`: false while schemas and
    grammars can't be compiled.
    """

    ready: bool
    engine: str
    since: float
    draining: bool
    num_restarts: int
    engine_running: int
    engine_waiting: int
    structured_output: bool
    responses: int
    connections: int
    requests: int
