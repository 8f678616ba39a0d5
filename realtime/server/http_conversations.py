"""Conversations over HTTP: `/v1/conversations` and their items. Thin: decode, ask the service's store, encode."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from realtime.conversations import AnyItem, Conversation
from realtime.principal import Principal
from realtime.service import Service
from realtime.wire import codec
from realtime.wire.bodies import (
    MAX_ITEMS_AT_ONCE,
    ConversationCreate,
    ConversationUpdate,
    Deleted,
    ItemList,
    ItemsCreate,
    ItemsQuery,
)
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import CompactionTrigger, InputItem, ItemReference

from .gateway import Gateway
from .http_bodies import answered, read_body
from .replies import reply

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


@answered
async def create(request: Request, principal: Principal) -> Response:
    """`POST /v1/conversations`: a new one, with up to 20 items."""
    body = await _body(request, ConversationCreate)
    service = _service(request)
    items = _items(request, body.items)
    remembered = service.unsealed(principal, items, "items")
    conversation = service.conversations.create(principal.tenant, body.metadata or {}, int(time.time()))
    if items:
        service.conversations.post(conversation, items, remembered)
    return reply(conversation.wire())


@answered
async def retrieve(request: Request, principal: Principal) -> Response:
    """`GET /v1/conversations/{conversation_id}`."""
    return reply(_conversation(request, principal).wire())


@answered
async def update(request: Request, principal: Principal) -> Response:
    """`POST /v1/conversations/{conversation_id}`: replace its metadata."""
    body = await _body(request, ConversationUpdate)
    conversation = _conversation(request, principal)
    conversation.metadata = body.metadata or {}
    return reply(conversation.wire())


@answered
async def delete(request: Request, principal: Principal) -> Response:
    """`DELETE /v1/conversations/{conversation_id}`. Responses that it is made of stay what they are."""
    conversation = _conversation(request, principal)
    _service(request).conversations.delete(conversation)
    return reply(Deleted(id=conversation.id))


@answered
async def create_items(request: Request, principal: Principal) -> Response:
    """`POST /v1/conversations/{conversation_id}/items`: up to 20, appended together; answered as a list of them."""
    query = _query(request)
    body = await _body(request, ItemsCreate)
    service = _service(request)
    items = _items(request, body.items)
    remembered = service.unsealed(principal, items, "items")
    conversation = _conversation(request, principal)  # after the last await: it may have been deleted meanwhile
    ids = service.conversations.post(conversation, items, remembered)
    return reply(_list([_shown(service, principal, conversation, item_id, query) for item_id in ids], has_more=False))


@answered
async def list_items(request: Request, principal: Principal) -> Response:
    """`GET /v1/conversations/{conversation_id}/items?after=&limit=&order=&include=`: newest first if not said."""
    query = _query(request)
    service, conversation = _service(request), _conversation(request, principal)
    page = conversation.page(query.after, query.limit, newest_first=query.order == "desc")
    items = [_shown(service, principal, conversation, str(item.id), query) for item in page.items]
    return reply(_list(items, has_more=page.has_more))


@answered
async def retrieve_item(request: Request, principal: Principal) -> Response:
    """`GET /v1/conversations/{conversation_id}/items/{item_id}`."""
    query, conversation = _query(request), _conversation(request, principal)
    return reply(_shown(_service(request), principal, conversation, request.path_params["item_id"], query))


@answered
async def delete_item(request: Request, principal: Principal) -> Response:
    """`DELETE /v1/conversations/{conversation_id}/items/{item_id}`; answered by the conversation."""
    conversation = _conversation(request, principal)
    _service(request).conversations.remove(conversation, request.path_params["item_id"])
    return reply(conversation.wire())


_OPERATIONS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/conversations", create),
    ("GET", "/conversations/{conversation_id}", retrieve),
    ("POST", "/conversations/{conversation_id}", update),
    ("DELETE", "/conversations/{conversation_id}", delete),
    ("POST", "/conversations/{conversation_id}/items", create_items),
    ("GET", "/conversations/{conversation_id}/items", list_items),
    ("GET", "/conversations/{conversation_id}/items/{item_id}", retrieve_item),
    ("DELETE", "/conversations/{conversation_id}/items/{item_id}", delete_item),
)


def routes() -> list[BaseRoute]:
    """All of the above, with and without `/v1`."""
    return [
        Route(prefix + path, handler, methods=[method])
        for prefix in ("/v1", "")
        for method, path, handler in _OPERATIONS
    ]


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _service(request: Request) -> Service:
    return _gateway(request).service


def _conversation(request: Request, principal: Principal) -> Conversation:
    return _service(request).conversations.get(principal.tenant, request.path_params["conversation_id"])


async def _body(request: Request, kind: type[T]) -> T:
    gateway = _gateway(request)
    data = await read_body(request, gateway.settings.connections.max_message_bytes)
    return codec.decode_body(data or b"{}", kind, gateway.message_limits)


def _items(request: Request, raw: msgspec.Raw) -> list[InputItem]:
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


def _query(request: Request) -> ItemsQuery:
    given: dict[str, Any] = dict(request.query_params)
    given["include"] = request.query_params.getlist("include") + request.query_params.getlist("include[]")
    try:
        return msgspec.convert(given, ItemsQuery, strict=False)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`")
        raise WireError(ErrorCode.INVALID_REQUEST, f"`{name}`: {reason[:300]}.", param=name) from None


def _shown(
    service: Service, principal: Principal, conversation: Conversation, item_id: str, query: ItemsQuery
) -> AnyItem:
    entry = conversation.get(item_id)
    if "reasoning.encrypted_content" in query.include:
        return service.sealed(principal, entry.shown, entry.remembered)
    return entry.shown


def _list(items: list[AnyItem], *, has_more: bool) -> ItemList:
    first, last = (items[0].id, items[-1].id) if items else (None, None)
    return ItemList(data=items, first_id=first or None, last_id=last or None, has_more=has_more)
