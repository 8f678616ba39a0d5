"""The operations on responses: the rows of the table of routes."""

from __future__ import annotations

from realtime.wire.bodies import (
    CompactedResponse,
    InputTokens,
    ItemList,
    ResponseDeleted,
    ResponseList,
    Ticket,
    TicketCreate,
)
from realtime.wire.errors import ErrorCode as E
from realtime.wire.requests import Truncation
from realtime.wire.response import Response

from . import created, responses
from .error_groups import BODY, DECODING, IMAGES, IN_CONVERSATION
from .operations import Operation
from .schemas import STREAM_EVENT, CompactResponse, CreateResponse

_RESPONSES = "/v1/responses"
_RESPONSE = {"response_id": "the id of a response"}
_EVENTS = (
    "Server-sent events: `id` (the event's number), `event` (its type) and `data` (the JSON of a "
    f"{STREAM_EVENT}); at the end `data: [DONE]`. Lines that begin with a colon keep the connection alive."
)
RESPONSES = (
    Operation(
        method="POST",
        path=_RESPONSES,
        handler=responses.create,
        summary="Create a response; with `stream` its events as they come, with `background` answered at once",
        body=CreateResponse,
        headers=(created.IDEMPOTENCY_KEY,),
        answer=Response,
        streams=_EVENTS,
        errors=(
            *DECODING,
            *IMAGES,
            *IN_CONVERSATION,
            E.CONVERSATION_LOCKED,
            E.RATE_LIMIT_EXCEEDED,
            E.MISSING_TOOL_OUTPUT,
            E.TOOL_OUTPUT_ALREADY_ACCEPTED,
            E.IDEMPOTENCY_CONFLICT,
            E.CONTEXT_LENGTH_EXCEEDED,
            E.INVALID_PROMPT,
            E.SERVER_DRAINING,
        ),
    ),
    Operation(
        method="GET",
        path=_RESPONSES,
        handler=responses.list_responses,
        summary="With a query: list responses, also those that run. Without: the WebSocket, and a plain GET is refused",
        query=responses.ListQuery,
        answer=ResponseList,
        errors=(E.UPGRADE_REQUIRED, E.INVALID_REQUEST),
        opened_by=responses.wants_socket,
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/input_tokens",
        handler=responses.count_input_tokens,
        summary="Count the tokens that the model would be given",
        body=CreateResponse,
        answer=InputTokens,
        errors=(*DECODING, *IMAGES, *IN_CONVERSATION, E.CONTEXT_LENGTH_EXCEEDED, E.INVALID_PROMPT),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/compact",
        handler=responses.compact,
        summary="Make a history shorter; the output is the input of a new chain",
        body=CompactResponse,
        answer=CompactedResponse,
        errors=(
            E.RATE_LIMIT_EXCEEDED,
            *DECODING,
            *IMAGES,
            E.CONTEXT_LENGTH_EXCEEDED,
            E.INVALID_PROMPT,
            E.SERVER_DRAINING,
            E.REQUEST_CANCELLED,
        ),
    ),
    Operation(
        method="GET",
        path=f"{_RESPONSES}/{{response_id}}",
        path_parameters=_RESPONSE,
        handler=responses.retrieve,
        summary="Retrieve a response, or with `stream` its events after a number: those that were, then live ones",
        query=responses.RetrieveQuery,
        headers=(responses.LAST_EVENT_ID,),
        answer=Response,
        streams=_EVENTS,
        tickets=("viewer", "full"),
        errors=(E.INVALID_REQUEST, E.RESPONSE_NOT_FOUND, E.CURSOR_AHEAD, E.CURSOR_TOO_OLD),
    ),
    Operation(
        method="DELETE",
        path=f"{_RESPONSES}/{{response_id}}",
        path_parameters=_RESPONSE,
        handler=responses.delete,
        summary="Delete a response; one that runs is cancelled",
        answer=ResponseDeleted,
        errors=(E.RESPONSE_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/{{response_id}}/cancel",
        path_parameters=_RESPONSE,
        handler=responses.cancel,
        summary="Cancel a response; answered when the engine has let go of it",
        answer=Response,
        tickets=("full",),
        errors=(E.RESPONSE_NOT_FOUND, E.RESPONSE_ALREADY_COMPLETED),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/{{response_id}}/tickets",
        path_parameters=_RESPONSE,
        handler=responses.create_ticket,
        summary="Make a ticket, with which a page can follow this response without a key",
        body=TicketCreate,
        answer=Ticket,
        errors=(*BODY, E.RESPONSE_NOT_FOUND),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/{{response_id}}/truncate",
        path_parameters=_RESPONSE,
        handler=responses.truncate,
        summary="Cut the answer of a response where its user stopped listening; one that runs is cancelled first",
        body=Truncation,
        answer=Response,
        errors=(
            *BODY,
            E.RESPONSE_NOT_FOUND,
            E.ITEM_NOT_FOUND,
            E.CURSOR_AHEAD,
            E.CURSOR_TOO_OLD,
            E.CONVERSATION_MOVED_ON,
        ),
        tickets=("full",),
    ),
    Operation(
        method="GET",
        path=f"{_RESPONSES}/{{response_id}}/input_items",
        path_parameters=_RESPONSE,
        handler=responses.list_input_items,
        summary="List what the request of a response brought",
        query=responses.ItemsQuery,
        answer=ItemList,
        tickets=("viewer", "full"),
        errors=(E.INVALID_REQUEST, E.RESPONSE_NOT_FOUND),
    ),
)
