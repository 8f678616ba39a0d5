"""The Responses API over HTTP: create, retrieve, delete, cancel, input items, input tokens, compact.

As thin as the socket's shell. A response that is created here and not in the background is followed by its request
(`created`).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from realtime.context import listing
from realtime.context.compaction import compacted_output
from realtime.service.list_pages import PageQuery
from realtime.store.records import AnyResponse
from realtime.wire import codec
from realtime.wire.bodies import (
    TICKET_SUBPROTOCOL,
    CompactedResponse,
    CompactRequest,
    InputTokens,
    ResponseDeleted,
    Ticket,
    TicketCreate,
)
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.ids import new_id
from realtime.wire.items import CompactionTrigger
from realtime.wire.requests import Metadata, OpaqueId, ResponseCreate, Truncation, place_of
from realtime.wire.response import ResponseStatus

from . import created
from .call import Call, Query, names_any
from .info import upgrade_required
from .operations import CLIENT_GONE, Header
from .replies import reply

Cursor = Annotated[int, Meta(ge=-1, le=2**53)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Order = Literal["asc", "desc"]
Includes = Annotated[list[str], Meta(max_length=64)]

LAST_EVENT_ID = Header(
    "Last-Event-ID", Cursor, "The same as `starting_after`, and stronger: browsers send it when they connect again."
)


class RetrieveQuery(Query):
    stream: bool = False
    starting_after: Cursor = -1
    include: Includes = msgspec.field(default_factory=list)
    include_obfuscation: bool = False


class ListQuery(Query):
    """The query of a page of responses. Metadata is written `metadata.KEY=VALUE` or `metadata[KEY]=VALUE`."""

    conversation: OpaqueId | None = None
    status: ResponseStatus | None = None
    metadata: Metadata | None = None
    limit: Limit = 20
    after: OpaqueId | None = None
    order: Order = "desc"


class ItemsQuery(Query):
    after: OpaqueId | None = None
    limit: Limit = 20
    order: Order = "desc"
    include: Includes = msgspec.field(default_factory=list)


async def create(call: Call) -> Response:
    """Answer `POST /v1/responses`."""
    request = await _request(call)
    stream = request.stream
    if stream is not None and not isinstance(stream, bool):
        raise WireError(ErrorCode.INVALID_REQUEST, "`stream` must be true or false.", param="stream")
    request.request_id = created.request_id(call, request.request_id)
    source = await created.start(call, request)
    if stream:
        answer: Response = created.stream(call, source)
    elif request.background:
        await call.gateway.service.begun(source)
        answer = _answer(source)
    elif await created.wait_for_end(call, source):
        answer = _answer(source)
    else:
        return Response(status_code=CLIENT_GONE)
    created.add_headers(call, source, answer)
    return answer


def wants_socket(request: Request) -> bool:
    """Return whether a GET of the socket's path asks for a socket, or for nothing in particular."""
    headers = request.headers
    upgrades = "upgrade" in headers or any(name.startswith("sec-websocket-") for name in headers)
    return upgrades or not names_any(ListQuery, request.query_params)


async def list_responses(call: Call) -> Response:
    """Answer `GET /v1/responses` with a query; without one it is the socket's path."""
    if wants_socket(call.request):
        return await upgrade_required(call)
    call.gateway.admission.check_listing(call.request)
    query = call.query(ListQuery)
    wanted = PageQuery(
        conversation=query.conversation,
        status=query.status,
        metadata=tuple((query.metadata or {}).items()),
        after=query.after,
        limit=query.limit,
        order=query.order,
    )
    return reply(await call.gateway.service.lists.responses(call.principal, wanted))


async def retrieve(call: Call) -> Response:
    """Answer `GET /v1/responses/{id}`: the response, or with `stream=true` its events after a number."""
    query = call.query(RetrieveQuery)
    response_id = call.path("response_id")
    last = call.header(LAST_EVENT_ID.name, LAST_EVENT_ID.kind)
    service = call.gateway.service
    if query.stream and call.request.method != "HEAD":
        after = query.starting_after if last is None else last
        source, start = await service.resume(call.principal, response_id, after, None, origin=call.origin)
        return created.stream(call, source, start)
    return reply(await service.show(call.principal, response_id))


async def delete(call: Call) -> Response:
    """Answer `DELETE /v1/responses/{id}` when the engine holds nothing of it any more."""
    service = call.gateway.service
    found = await service.delete(call.principal, call.path("response_id"))
    await created.wait_for_end(call, found)
    return reply(ResponseDeleted(id=found.response_id))


async def cancel(call: Call) -> Response:
    """Answer `POST /v1/responses/{id}/cancel`: the final response, when the engine has aborted it."""
    service = call.gateway.service
    found = await service.cancel(call.principal, call.path("response_id"))
    await created.wait_for_end(call, found)
    return reply(found.response)


async def create_ticket(call: Call) -> Response:
    """Answer `POST /v1/responses/{id}/tickets`: a ticket with which a page can follow this response, in
    place of a key.
    """
    body = codec.decode_body(await call.body(), TicketCreate, call.gateway.message_limits)
    response_id = call.path("response_id")
    await call.gateway.service.check_exists(call.principal, response_id)
    tickets = call.gateway.admission.tickets
    ticket, expires_at = tickets.issue(call.principal, response_id, body.role, body.seconds)
    sub_protocol = TICKET_SUBPROTOCOL + ticket
    answer = Ticket(ticket=ticket, role=body.role, expires_at=expires_at, sub_protocol=sub_protocol)
    return reply(answer, headers={"cache-control": "no-store"})


async def truncate(call: Call) -> Response:
    """Answer `POST /v1/responses/{id}/truncate`: the response as it is from now on. A running one is
    cancelled first.
    """
    body = codec.decode_body(await call.body(), Truncation, call.gateway.message_limits)
    cut = await call.gateway.service.truncate(call.principal, call.path("response_id"), place_of(body))
    return reply(cut.response)


async def list_input_items(call: Call) -> Response:
    """Answer `GET /v1/responses/{id}/input_items`: the request's own items, not the history before them."""
    query = call.query(ItemsQuery)
    found = await call.gateway.service.retrieve(call.principal, call.path("response_id"))
    items = listing.list_input(found.response_id, found.input)
    newest_first = query.order == "desc"
    return reply(listing.page(items, after=query.after, limit=query.limit, newest_first=newest_first))


async def count_input_tokens(call: Call) -> Response:
    """Answer `POST /v1/responses/input_tokens`: the size of the prompt that a create with this body would have."""
    num_tokens = await count(call, await _request(call))
    if num_tokens is None:
        return Response(status_code=CLIENT_GONE)
    return reply(InputTokens(input_tokens=num_tokens))


async def count(call: Call, request: ResponseCreate) -> int | None:
    """Count the tokens of a prompt. Return None if the client is gone before. Raises WireError."""
    counting = asyncio.create_task(call.gateway.service.counting.count(call.principal, request))
    call.peer.on_gone = partial(_give_up, counting)
    try:
        if call.peer.gone:
            counting.cancel()
        return await counting
    except asyncio.CancelledError:
        if not call.peer.gone:
            raise
        return None
    finally:
        call.peer.on_gone = None


def _give_up(task: asyncio.Task[int]) -> None:
    task.cancel()


async def compact(call: Call) -> Response:
    """Answer `POST /v1/responses/compact`: a shortened history, to begin a new chain with.

    This is a response of its own that only compacts; when the client leaves, it is cancelled.
    """
    limits = call.gateway.message_limits
    body = codec.decode_body(await call.body(), CompactRequest, limits)
    request = ResponseCreate(
        model=body.model,
        items=[*codec.decode_input(bytes(body.input), limits), CompactionTrigger()],
        instructions=body.instructions,
        previous_response_id=body.previous_response_id,
        prompt_cache_key=body.prompt_cache_key,
        store=False,
    )
    source = await created.start(call, request, traced=False)
    if not await created.wait_for_end(call, source):
        return Response(status_code=CLIENT_GONE)
    response = source.response
    if response.error is not None or response.usage is None:
        raise created.failure(source.response.error, source.response_id)
    return reply(
        CompactedResponse(
            id=response.id,
            created_at=response.created_at,
            output=compacted_output(source.turn, source.output, new_id),
            usage=response.usage,
        )
    )


async def _request(call: Call) -> ResponseCreate:
    request = codec.decode_create(await call.body(), call.gateway.message_limits)
    request.stream_id = None  # lanes are a socket's
    return request


def _answer(found: AnyResponse) -> Response:
    """Return the response as JSON. One that failed before it had any output is an HTTP error: clients, and the retries
    of their libraries, look at the status.
    """
    response = found.response
    if response.error is None or response.output:
        return reply(response)
    raise created.failure(response.error, found.response_id)
