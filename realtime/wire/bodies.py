"""HTTP bodies that are neither `response.create` nor a Response: conversations, lists, compaction, receipts.

In requests unknown members are accepted in silence, because real clients send them. Lists of items stay raw there and
are decoded one by one, so that an error names the item.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .items import AnyItem, OutputItem
from .requests import Metadata, Name, OpaqueId
from .response import Response, Usage

TicketRole = Literal["viewer", "full"]
TICKET_SUBPROTOCOL = "realtime-ticket."  # then the ticket: how a page, which can't set headers, shows it
MAX_ITEMS_AT_ONCE = 20  # OpenAI's limit of items in one request on a conversation


class ConversationCreate(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/conversations`."""

    items: msgspec.Raw = msgspec.Raw()
    metadata: Metadata | None = None


class ConversationUpdate(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/conversations/{id}`. Metadata is replaced as a whole; null empties it."""

    metadata: Metadata | None


class ConversationFork(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/conversations/{id}/fork`. `item_id`: the last item of the new conversation; absent: it gets all
    items.
    """

    item_id: OpaqueId | None = None


class TicketCreate(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/responses/{id}/tickets`. A viewer may only watch. `seconds`: how long the ticket is valid."""

    role: TicketRole
    seconds: Annotated[int, Meta(ge=1, le=3600)] = 600


class ItemsCreate(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/conversations/{id}/items`."""

    items: msgspec.Raw


class CompactRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/responses/compact`."""

    model: Name
    input: msgspec.Raw = msgspec.Raw()
    instructions: str | None = None
    previous_response_id: OpaqueId | None = None
    prompt_cache_key: Name | None = None
    service_tier: Name | None = None


# -- answers


class Ticket(msgspec.Struct, kw_only=True):
    """A ticket with which a page can follow one response. `sub_protocol`: to be offered next to `realtime.v1`."""

    object: Literal["response.ticket"] = "response.ticket"
    ticket: str
    role: TicketRole
    expires_at: int  # unix seconds
    sub_protocol: str


class ConversationObject(msgspec.Struct, kw_only=True):
    """A conversation as clients see it."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int  # unix seconds
    metadata: dict[str, str] = {}
    running_responses: list[str] | UnsetType = UNSET  # ours: those that wait for it or work on it; not in lists


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


class ItemOrigin(msgspec.Struct, kw_only=True):
    """The origin of a conversation's item. `response_id`: the response that it was the input or the output of; null: it
    was posted.
    """

    response_id: str | None
    created_at: int  # unix seconds


_NOT_LISTED = frozenset({
    "output", "instructions", "tools", "input_messages", "output_messages", "input_token_ids", "output_token_ids",
    "epoch", "tip",
})  # fmt: skip
_LISTED = [field for field in msgspec.structs.fields(Response) if field.name not in _NOT_LISTED]
ListedResponse = msgspec.defstruct(
    "ListedResponse",
    [(field.name, field.type, msgspec.field(default=field.default)) for field in _LISTED],
    kw_only=True,
    namespace={"__doc__": "A Response in a list: without what may be long."},
)


def listed(response: Response) -> msgspec.Struct:
    """Return a response as lists show it."""
    return ListedResponse(**{field.name: getattr(response, field.name) for field in _LISTED})


class ResponseList(msgspec.Struct, kw_only=True):
    """A page of responses."""

    object: Literal["list"] = "list"
    data: list[ListedResponse]  # type: ignore[valid-type]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConversationList(msgspec.Struct, kw_only=True):
    """A page of conversations."""

    object: Literal["list"] = "list"
    data: list[ConversationObject]
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


class Health(msgspec.Struct, kw_only=True):
    """The answer of `/health`. `lease`: whether this node has its lease; only in a cluster."""

    status: Literal["ok"] = "ok"
    lease: bool | UnsetType = UNSET


class NodeStatus(msgspec.Struct, kw_only=True):
    """A node of a cluster. `epoch`: of its newest lease. `lease`: whether that holds; without it nothing is created
    here. `others`: the number of other nodes.
    """

    name: str
    epoch: int
    lease: bool
    others: int


class UnsafeTemplate(msgspec.Struct, kw_only=True):
    """The places of a prompt where the chat template does not keep the letters of control tokens apart from the tokens:
    `instructions`, `user`, `assistant`, `reasoning`, `call`, `tool_output`, `tool`.
    """

    letters: Literal["unsafe"] = "unsafe"
    unsafe_in: tuple[str, ...]


class RemoteEngineHealth(msgspec.Struct, kw_only=True):
    """The state of a remote engine: `serving`, `out` (it is tried again) or `unfit` (it answers, but can't serve here).
    `alike`: an answer that another engine began may continue there, if it `goes_on` with such answers at all.
    """

    state: str
    since: float
    requests: int
    last_error: str | None
    alike: bool
    goes_on: bool


class Readiness(msgspec.Struct, kw_only=True):
    """The answer of `/ready`: whether a response can be created now, and what the server holds. `behind`: sockets are
    refused, because the server is late with its work. `structured_output`: false while schemas and grammars can't be
    compiled. `template`: only if it is unsafe. `node`: only in a cluster. `engines`: only if they are remote, in the
    order of the settings.
    """

    ready: bool
    engine: str
    since: float
    draining: bool
    behind: bool
    num_restarts: int
    engine_running: int
    engine_waiting: int
    structured_output: bool
    responses: int
    connections: int
    requests: int
    template: UnsafeTemplate | UnsetType = UNSET
    node: NodeStatus | UnsetType = UNSET
    engines: list[RemoteEngineHealth] | UnsetType = UNSET
