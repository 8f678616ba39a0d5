"""Conversations over HTTP: `/v1/conversations` and their items. Thin: decode, ask the service's store, encode."""

from __future__ import annotations

import time
from typing import TypeVar, cast

import msgspec
from starlette.responses import Response

from realtime.service.service import Service
from realtime.store.conversations import Conversation
from realtime.wire import codec
from realtime.wire.bodies import (
    MAX_ITEMS_AT_ONCE,
    ConversationCreate,
    ConversationDeleted,
    ConversationUpdate,
    ItemList,
    ItemsCreate,
)
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import CompactionTrigger, InputItem, Item, ItemReference, OutputItem

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
    service = call.gateway.service
    items = _items(body.items)
    remembered = service.decrypt_items(call.principal, items, "items")
    conversation = service.conversations.create(call.principal.tenant, body.metadata or {}, int(time.time()))
    if items:
        service.conversations.post(conversation, items, remembered)
    return reply(conversation.wire())


async def retrieve(call: Call) -> Response:
    """`GET /v1/conversations/{conversation_id}`."""
    return reply(_conversation(call).wire())


async def update(call: Call) -> Response:
    """`POST /v1/conversations/{conversation_id}`: replace its metadata."""
    body = await _body(call, ConversationUpdate)
    conversation = _conversation(call)
    call.gateway.service.conversations.update(conversation, body.metadata or {})
    return reply(conversation.wire())


async def delete(call: Call) -> Response:
    """`DELETE /v1/conversations/{conversation_id}`. Responses that it is made of stay what they are."""
    conversation = _conversation(call)
    call.gateway.service.conversations.delete(conversation)
    return reply(ConversationDeleted(id=conversation.id))


async def create_items(call: Call) -> Response:
    """`POST /v1/conversations/{conversation_id}/items`: up to 20, appended together; answered as a list of them."""
    query = call.query(IncludeQuery)
    body = await _body(call, ItemsCreate)
    service = call.gateway.service
    items = _items(body.items)
    remembered = service.decrypt_items(call.principal, items, "items")
    conversation = _conversation(call)  # after the last await: it may have been deleted meanwhile
    ids = service.conversations.post(conversation, items, remembered)
    return reply(_list([_shown(call, service, conversation, item_id, query.include) for item_id in ids], more=False))


async def list_items(call: Call) -> Response:
    """`GET /v1/conversations/{conversation_id}/items`: newest first if not said otherwise."""
    query = call.query(ItemsQuery)
    service, conversation = call.gateway.service, _conversation(call)
    page = conversation.page(query.after, query.limit, newest_first=query.order == "desc")
    items = [_shown(call, service, conversation, str(item.id), query.include) for item in page.items]
    return reply(_list(items, more=page.has_more))


async def retrieve_item(call: Call) -> Response:
    """`GET /v1/conversations/{conversation_id}/items/{item_id}`."""
    include = call.query(IncludeQuery).include
    return reply(_shown(call, call.gateway.service, _conversation(call), call.path("item_id"), include))


async def delete_item(call: Call) -> Response:
    """`DELETE /v1/conversations/{conversation_id}/items/{item_id}`; answered by the conversation."""
    conversation = _conversation(call)
    call.gateway.service.conversations.remove(conversation, call.path("item_id"))
    return reply(conversation.wire())


def _has_body(call: Call) -> bool:
    headers = call.request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def _body(call: Call, kind: type[T]) -> T:
    return codec.decode_body(await call.body(), kind, call.gateway.message_limits)


def _conversation(call: Call) -> Conversation:
    return call.gateway.service.conversations.get(call.principal.tenant, call.path("conversation_id"))


def _items(raw: msgspec.Raw) -> list[InputItem]:
    data = bytes(raw)
    if data in (b"", b"null"):
        return []
    items = codec.decode_items(data, "items", MAX_ITEMS_AT_ONCE)
    for index, item in enumerate(items):
        if isinstance(item, CompactionTrigger | ItemReference):
            kind = item.__struct_config__.tag
            text = f"An item of type '{kind}' is for the `input` of a response: a conversation can't hold it."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"items[{index}].type")
    return items


def _shown(call: Call, service: Service, conversation: Conversation, item_id: str, include: list[str]) -> Item:
    entry = conversation.get(item_id)
    if "reasoning.encrypted_content" in include:
        return service.encrypt_reasoning(call.principal, entry.shown, entry.remembered)
    return entry.shown


def _list(items: list[Item], *, more: bool) -> ItemList:
    first, last = (items[0].id, items[-1].id) if items else (None, None)
    return ItemList(
        data=cast("list[InputItem | OutputItem]", items), first_id=first or None, last_id=last or None, has_more=more
    )
