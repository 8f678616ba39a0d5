"""The table of operations over HTTP: the routes and the OpenAPI document are both made from it."""

from __future__ import annotations

from realtime.server.chat import door as chat
from realtime.server.chat.chunks import ChatCompletionChunk
from realtime.server.chat.completions import ChatCompletion
from realtime.server.chat.requests import CreateChatCompletion
from realtime.server.messages import door as messages
from realtime.server.messages import errors as anthropic
from realtime.server.messages.answers import AnthropicMessage, MessageTokensCount
from realtime.server.messages.requests import CountMessageTokens, CreateMessage
from realtime.wire.bodies import (
    CompactedResponse,
    ConversationDeleted,
    ConversationFork,
    ConversationList,
    ConversationObject,
    ConversationUpdate,
    Health,
    InputTokens,
    ItemList,
    Model,
    ModelList,
    Readiness,
    ResponseDeleted,
    ResponseList,
    Ticket,
    TicketCreate,
)
from realtime.wire.errors import ErrorCode as E
from realtime.wire.requests import Truncation
from realtime.wire.response import Response

from . import conversations as conversations_http
from . import created
from . import info as http
from . import responses as responses_http
from .operations import Operation
from .schemas import (
    STREAM_EVENT,
    CompactResponse,
    ConversationItem,
    ConversationItems,
    CreateConversation,
    CreateItems,
    CreateResponse,
)

_RESPONSES = "/v1/responses"
_RESPONSE = {"response_id": "the id of a response"}
_CONVERSATIONS = "/v1/conversations"
_CONVERSATION = {"conversation_id": "the id of a conversation"}
_ITEM = {**_CONVERSATION, "item_id": "the id of one of its items"}
_BODY = (
    E.INVALID_JSON, E.INVALID_REQUEST, E.MESSAGE_TOO_COMPLEX, E.REQUEST_TOO_LARGE, E.REQUEST_TIMEOUT,
    E.UNSUPPORTED_MEDIA_TYPE,
)  # fmt: skip
_DECODING = (
    E.INVALID_JSON, E.INVALID_REQUEST, E.MESSAGE_TOO_COMPLEX, E.REQUEST_TOO_LARGE, E.REQUEST_TIMEOUT,
    E.UNSUPPORTED_MEDIA_TYPE, E.UNSUPPORTED_PARAMETER, E.MODEL_NOT_FOUND, E.PREVIOUS_RESPONSE_NOT_FOUND,
    E.PREVIOUS_RESPONSE_IN_PROGRESS, E.ENGINE_UNAVAILABLE, E.INVALID_ENCRYPTED_CONTENT,
)  # fmt: skip
_IMAGES = (
    E.INVALID_IMAGE_URL, E.INVALID_BASE64_IMAGE, E.UNSUPPORTED_IMAGE_MEDIA_TYPE, E.EMPTY_IMAGE_FILE,
    E.IMAGE_FILE_TOO_LARGE, E.IMAGE_FILE_NOT_FOUND, E.IMAGE_TOO_LARGE, E.IMAGE_PARSE_ERROR, E.FAILED_TO_DOWNLOAD_IMAGE,
)  # fmt: skip
_FAILING = (
    E.RATE_LIMIT_EXCEEDED, E.IDEMPOTENCY_CONFLICT, E.CONTEXT_LENGTH_EXCEEDED, E.INVALID_PROMPT, E.SERVER_DRAINING,
    E.REQUEST_CANCELLED,
)  # fmt: skip
_EVENTS = (
    "Server-sent events: `id` (the event's number), `event` (its type) and `data` (the JSON of a "
    f"{STREAM_EVENT}); at the end `data: [DONE]`. Lines that begin with a colon keep the connection alive."
)
_CHUNKS = (
    "Server-sent events without a name: `data` (the JSON of a ChatCompletionChunk); at the end `data: [DONE]`. Lines "
    "that begin with a colon keep the connection alive."
)
_MESSAGE_EVENTS = (
    "Server-sent events: `event` (its type) and `data` (its JSON), as Anthropic's API has them: `message_start`, "
    "`ping`, for each block `content_block_start`, `content_block_delta` and `content_block_stop`, then "
    "`message_delta` and `message_stop`; `error` where the message comes to nothing."
)
_IN_CONVERSATION = (E.CONVERSATION_NOT_FOUND, E.CONVERSATION_FULL)

OPERATIONS = (
    Operation(
        method="POST",
        path=_RESPONSES,
        handler=responses_http.create,
        summary="Create a response; with `stream` its events as they come, with `background` answered at once",
        body=CreateResponse,
        headers=(created.IDEMPOTENCY_KEY,),
        answer=Response,
        streams=_EVENTS,
        errors=(
            *_DECODING,
            *_IMAGES,
            *_IN_CONVERSATION,
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
        handler=responses_http.list_responses,
        summary="With a query: list responses, also those that run. Without: the WebSocket, and a plain GET is refused",
        query=responses_http.ListQuery,
        answer=ResponseList,
        errors=(E.UPGRADE_REQUIRED, E.INVALID_REQUEST),
        opened_by=responses_http.wants_socket,
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/input_tokens",
        handler=responses_http.count_input_tokens,
        summary="Count the tokens that the model would be given",
        body=CreateResponse,
        answer=InputTokens,
        errors=(*_DECODING, *_IMAGES, *_IN_CONVERSATION, E.CONTEXT_LENGTH_EXCEEDED, E.INVALID_PROMPT),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/compact",
        handler=responses_http.compact,
        summary="Make a history shorter; the output is the input of a new chain",
        body=CompactResponse,
        answer=CompactedResponse,
        errors=(
            E.RATE_LIMIT_EXCEEDED,
            *_DECODING,
            *_IMAGES,
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
        handler=responses_http.retrieve,
        summary="Retrieve a response, or with `stream` its events after a number: those that were, then live ones",
        query=responses_http.RetrieveQuery,
        headers=(responses_http.LAST_EVENT_ID,),
        answer=Response,
        streams=_EVENTS,
        tickets=("viewer", "full"),
        errors=(E.INVALID_REQUEST, E.RESPONSE_NOT_FOUND, E.CURSOR_AHEAD, E.CURSOR_TOO_OLD),
    ),
    Operation(
        method="DELETE",
        path=f"{_RESPONSES}/{{response_id}}",
        path_parameters=_RESPONSE,
        handler=responses_http.delete,
        summary="Delete a response; one that runs is cancelled",
        answer=ResponseDeleted,
        errors=(E.RESPONSE_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/{{response_id}}/cancel",
        path_parameters=_RESPONSE,
        handler=responses_http.cancel,
        summary="Cancel a response; answered when the engine has let go of it",
        answer=Response,
        tickets=("full",),
        errors=(E.RESPONSE_NOT_FOUND, E.RESPONSE_ALREADY_COMPLETED),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/{{response_id}}/tickets",
        path_parameters=_RESPONSE,
        handler=responses_http.create_ticket,
        summary="Make a ticket, with which a page can follow this response without a key",
        body=TicketCreate,
        answer=Ticket,
        errors=(*_BODY, E.RESPONSE_NOT_FOUND),
    ),
    Operation(
        method="POST",
        path=f"{_RESPONSES}/{{response_id}}/truncate",
        path_parameters=_RESPONSE,
        handler=responses_http.truncate,
        summary="Cut the answer of a response where its user stopped listening; one that runs is cancelled first",
        body=Truncation,
        answer=Response,
        errors=(
            *_BODY,
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
        handler=responses_http.list_input_items,
        summary="List what the request of a response brought",
        query=responses_http.ItemsQuery,
        answer=ItemList,
        tickets=("viewer", "full"),
        errors=(E.INVALID_REQUEST, E.RESPONSE_NOT_FOUND),
    ),
    Operation(
        method="POST",
        path="/v1/chat/completions",
        handler=chat.create,
        summary="Create a response as a chat completion; with `stream` its chunks as they come",
        body=CreateChatCompletion,
        headers=(created.IDEMPOTENCY_KEY, created.ON_DISCONNECT),
        answer=ChatCompletion,
        streams=_CHUNKS,
        event=ChatCompletionChunk,
        errors=(*_DECODING, *_IMAGES, *_FAILING),
    ),
    Operation(
        method="POST",
        path="/v1/messages",
        handler=messages.create,
        summary="Create a response as a message of Anthropic's API; with `stream` its events as they come",
        body=CreateMessage,
        headers=(created.IDEMPOTENCY_KEY, created.ON_DISCONNECT),
        answer=AnthropicMessage,
        streams=_MESSAGE_EVENTS,
        refusal=anthropic.refusal,
        error=anthropic.AnthropicError,
        errors=(*_DECODING, *_IMAGES, *_FAILING),
    ),
    Operation(
        method="POST",
        path="/v1/messages/count_tokens",
        handler=messages.count_tokens,
        summary="Count the tokens that the model would be given for a message",
        body=CountMessageTokens,
        answer=MessageTokensCount,
        refusal=anthropic.refusal,
        error=anthropic.AnthropicError,
        errors=(*_DECODING, *_IMAGES, E.CONTEXT_LENGTH_EXCEEDED, E.INVALID_PROMPT),
    ),
    Operation(
        method="POST",
        path=_CONVERSATIONS,
        handler=conversations_http.create,
        summary="Create a conversation",
        body=CreateConversation,
        body_optional=True,
        answer=ConversationObject,
        errors=(*_BODY, E.INVALID_ENCRYPTED_CONTENT),
    ),
    Operation(
        method="GET",
        path=_CONVERSATIONS,
        handler=conversations_http.list_conversations,
        summary="List conversations",
        query=conversations_http.ConversationsQuery,
        answer=ConversationList,
        errors=(E.INVALID_REQUEST,),
    ),
    Operation(
        method="POST",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/fork",
        path_parameters=_CONVERSATION,
        handler=conversations_http.fork,
        summary="Begin a conversation with the items of this one, up to and with one of them",
        body=ConversationFork,
        body_optional=True,
        answer=ConversationObject,
        errors=(*_BODY, E.CONVERSATION_NOT_FOUND, E.ITEM_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path=f"{_CONVERSATIONS}/{{conversation_id}}",
        path_parameters=_CONVERSATION,
        handler=conversations_http.retrieve,
        summary="Retrieve a conversation",
        answer=ConversationObject,
        errors=(E.CONVERSATION_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{_CONVERSATIONS}/{{conversation_id}}",
        path_parameters=_CONVERSATION,
        handler=conversations_http.update,
        summary="Give a conversation other metadata",
        body=ConversationUpdate,
        answer=ConversationObject,
        errors=(*_BODY, E.CONVERSATION_NOT_FOUND),
    ),
    Operation(
        method="DELETE",
        path=f"{_CONVERSATIONS}/{{conversation_id}}",
        path_parameters=_CONVERSATION,
        handler=conversations_http.delete,
        summary="Delete a conversation; its responses stay",
        answer=ConversationDeleted,
        errors=(E.CONVERSATION_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items",
        path_parameters=_CONVERSATION,
        handler=conversations_http.create_items,
        summary="Append items to a conversation",
        query=conversations_http.IncludeQuery,
        body=CreateItems,
        answer=ConversationItems,
        errors=(
            *_BODY,
            E.CONVERSATION_NOT_FOUND,
            E.CONVERSATION_FULL,
            E.INVALID_ENCRYPTED_CONTENT,
            E.TOOL_OUTPUT_ALREADY_ACCEPTED,
        ),
    ),
    Operation(
        method="GET",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items",
        path_parameters=_CONVERSATION,
        handler=conversations_http.list_items,
        summary="List the items of a conversation",
        query=responses_http.ItemsQuery,
        answer=ConversationItems,
        errors=(E.INVALID_REQUEST, E.CONVERSATION_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items/{{item_id}}",
        path_parameters=_ITEM,
        handler=conversations_http.retrieve_item,
        summary="Retrieve an item of a conversation",
        query=conversations_http.IncludeQuery,
        answer=ConversationItem,
        errors=(E.INVALID_REQUEST, E.CONVERSATION_NOT_FOUND, E.ITEM_NOT_FOUND),
    ),
    Operation(
        method="DELETE",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items/{{item_id}}",
        path_parameters=_ITEM,
        handler=conversations_http.delete_item,
        summary="Take an item out of a conversation",
        answer=ConversationObject,
        errors=(E.CONVERSATION_NOT_FOUND, E.ITEM_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path="/v1/models",
        handler=http.models,
        summary="List the models: the one that is served",
        answer=ModelList,
    ),
    Operation(
        method="GET",
        path="/v1/models/{model}",
        path_parameters={"model": "the name of a model; it may have slashes"},
        handler=http.model,
        summary="Retrieve a model",
        answer=Model,
        errors=(E.MODEL_NOT_FOUND,),
    ),
    Operation(
        method="GET",
        path="/health",
        handler=http.health,
        summary="Whether the process serves requests",
        answer=Health,
        open=True,
    ),
    Operation(
        method="GET",
        path="/ready",
        handler=http.ready,
        summary="Whether a response can be created now; 503 with the same body when not",
        answer=Readiness,
        open=True,
    ),
)
