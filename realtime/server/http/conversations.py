"""Conversations over HTTP: `/v1/conversations` and their items. Decode, ask the service, wait until what is told is
stored, encode.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.responses import Response

from realtime.service.conversations import Conversations, ItemPage
from realtime.service.list_pages import PageQuery
from realtime.wire import codec
from realtime.wire.bodies import (
    MAX_ITEMS_AT_ONCE,
    ConversationCreate,
    ConversationFork,
    ConversationUpdate,
    ItemOrigin,
    ItemsCreate,
)
from realtime.wire.items import AnyItem, InputItem
from realtime.wire.requests import Metadata, OpaqueId

from .call import Call, Query
from .replies import reply
from .responses import Includes, ItemsQuery, Limit, Order
from .schemas import ConversationItems

T = TypeVar("T")


class IncludeQuery(Query):
    """The query of optional members that items are to show."""

    include: Includes = msgspec.field(default_factory=list)


class ConversationsQuery(Query):
    """The query of a page of conversations. Metadata as in a list of responses."""

    metadata: Metadata | None = None
    limit: Limit = 20
    after: OpaqueId | None = None
    order: Order = "desc"


async def create(call: Call) -> Response:
    """Answer `POST /v1/conversations`: a new one, with up to 20 items; the body may be left out."""
    body = await _body(call, ConversationCreate) if _has_body(call) else ConversationCreate()
    return await _reply(call, _conversations(call).create(call.principal, _items(body.items), body.metadata or {}))


async def list_conversations(call: Call) -> Response:
    """Answer `GET /v1/conversations`, newest first by default."""
    call.gateway.admission.check_listing(call.request)
    query = call.query(ConversationsQuery)
    metadata = tuple((query.metadata or {}).items())
    wanted = PageQuery(metadata=metadata, after=query.after, limit=query.limit, order=query.order)
    return await _reply(call, await call.gateway.service.lists.conversations(call.principal, wanted))


async def fork(call: Call) -> Response:
    """Answer `POST /v1/conversations/{conversation_id}/fork`: a new one with the same items, or the first of them."""
    body = await _body(call, ConversationFork) if _has_body(call) else ConversationFork()
    return await _reply(call, await _conversations(call).fork(call.principal, _id(call), body.item_id))


async def retrieve(call: Call) -> Response:
    """Answer `GET /v1/conversations/{conversation_id}`."""
    return await _reply(call, await _conversations(call).retrieve(call.principal, _id(call)))


async def update(call: Call) -> Response:
    """Answer `POST /v1/conversations/{conversation_id}`: replace its metadata."""
    body = await _body(call, ConversationUpdate)
    return await _reply(call, await _conversations(call).update(call.principal, _id(call), body.metadata or {}))


async def delete(call: Call) -> Response:
    """Answer `DELETE /v1/conversations/{conversation_id}`. Its responses stay as they are."""
    return await _reply(call, await _conversations(call).delete(call.principal, _id(call)))


async def create_items(call: Call) -> Response:
    """Answer `POST /v1/conversations/{conversation_id}/items`: append up to 20 together, and list them."""
    include = call.query(IncludeQuery).include
    body = await _body(call, ItemsCreate)
    added = await _conversations(call).add_items(call.principal, _id(call), _items(body.items), include)
    return await _page(call, added)


async def list_items(call: Call) -> Response:
    """Answer `GET /v1/conversations/{conversation_id}/items`, newest first by default."""
    query = call.query(ItemsQuery)
    listed = await _conversations(call).list_items(
        call.principal,
        _id(call),
        after=query.after,
        limit=query.limit,
        order=query.order,
        include=query.include,
    )
    return await _page(call, listed)


async def retrieve_item(call: Call) -> Response:
    """Answer `GET /v1/conversations/{conversation_id}/items/{item_id}`."""
    include = call.query(IncludeQuery).include
    shown = await _conversations(call).retrieve_item(call.principal, _id(call), call.path("item_id"), include)
    return await _reply(call, _encode(shown.item, shown.origin))


async def delete_item(call: Call) -> Response:
    """Answer `DELETE /v1/conversations/{conversation_id}/items/{item_id}` with the conversation."""
    return await _reply(call, await _conversations(call).delete_item(call.principal, _id(call), call.path("item_id")))


async def _reply(call: Call, told: object) -> Response:
    """Answer when everything that this tells of is stored."""
    await call.gateway.service.stored()
    return reply(told)


async def _page(call: Call, page: ItemPage) -> Response:
    data = [_encode(item, origin) for item, origin in zip(page.data, page.origins, strict=True)]
    members = ConversationItems(
        object="list", data=data, first_id=page.first_id, last_id=page.last_id, has_more=page.has_more
    )
    return await _reply(call, members)


def _encode(item: AnyItem, origin: ItemOrigin) -> msgspec.Raw:
    """Encode an item, with the members of its origin after its own."""
    return msgspec.Raw(codec.encode(item)[:-1] + b"," + codec.encode(origin)[1:])


def _conversations(call: Call) -> Conversations:
    return call.gateway.service.conversations


def _id(call: Call) -> str:
    return call.path("conversation_id")


def _has_body(call: Call) -> bool:
    headers = call.request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def _body(call: Call, kind: type[T]) -> T:
    return codec.decode_body(await call.body(), kind, call.gateway.message_limits)


def _items(raw: msgspec.Raw) -> list[InputItem]:
    data = bytes(raw)
    return [] if data in (b"", b"null") else codec.decode_items(data, "items", MAX_ITEMS_AT_ONCE)
