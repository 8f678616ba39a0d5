"""Conversations over HTTP: `/v1/conversations` and their items. Decode, ask the service, encode."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.responses import Response

from realtime.service.conversations import Conversations
from realtime.wire import codec
from realtime.wire.bodies import MAX_ITEMS_AT_ONCE, ConversationCreate, ConversationUpdate, ItemsCreate
from realtime.wire.items import InputItem

from .operations import Call, Query
from .replies import reply
from .responses import Includes, ItemsQuery

T = TypeVar("T")


class IncludeQuery(Query):
    """What items are to show beside what they always show."""

    include: Includes = msgspec.field(default_factory=list)


async def create(call: Call) -> Response:
    """`POST /v1/conversations`: a new one, with up to 20 items; the body may be left out."""
    body = await _body(call, ConversationCreate) if _has_body(call) else ConversationCreate()
    return reply(_conversations(call).create(call.principal, _items(body.items), body.metadata or {}))


async def retrieve(call: Call) -> Response:
    """`GET /v1/conversations/{conversation_id}`."""
    return reply(await _conversations(call).retrieve(call.principal, _id(call)))


async def update(call: Call) -> Response:
    """`POST /v1/conversations/{conversation_id}`: replace its metadata."""
    body = await _body(call, ConversationUpdate)
    return reply(await _conversations(call).update(call.principal, _id(call), body.metadata or {}))


async def delete(call: Call) -> Response:
    """`DELETE /v1/conversations/{conversation_id}`. Responses that it is made of stay what they are."""
    return reply(await _conversations(call).delete(call.principal, _id(call)))


async def create_items(call: Call) -> Response:
    """`POST /v1/conversations/{conversation_id}/items`: up to 20, appended together; answered as a list of them."""
    include = call.query(IncludeQuery).include
    body = await _body(call, ItemsCreate)
    return reply(await _conversations(call).add_items(call.principal, _id(call), _items(body.items), include))


async def list_items(call: Call) -> Response:
    """`GET /v1/conversations/{conversation_id}/items`: newest first if not said otherwise."""
    query = call.query(ItemsQuery)
    return reply(
        await _conversations(call).list_items(
            call.principal,
            _id(call),
            after=query.after,
            limit=query.limit,
            order=query.order,
            include=query.include,
        )
    )


async def retrieve_item(call: Call) -> Response:
    """`GET /v1/conversations/{conversation_id}/items/{item_id}`."""
    include = call.query(IncludeQuery).include
    return reply(await _conversations(call).retrieve_item(call.principal, _id(call), call.path("item_id"), include))


async def delete_item(call: Call) -> Response:
    """`DELETE /v1/conversations/{conversation_id}/items/{item_id}`; answered by the conversation."""
    return reply(await _conversations(call).delete_item(call.principal, _id(call), call.path("item_id")))


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
