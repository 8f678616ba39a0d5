"""The operations of Anthropic's API: the rows of the table of routes."""

from __future__ import annotations

from realtime.server.http import created
from realtime.server.http.error_groups import DECODING, FAILING, IMAGES
from realtime.server.http.operations import Operation
from realtime.server.messages import door, errors
from realtime.server.messages.answers import AnthropicMessage, MessageTokensCount
from realtime.server.messages.requests import CountMessageTokens, CreateMessage
from realtime.wire.errors import ErrorCode as E

_MESSAGE_EVENTS = (
    "Server-sent events: `event` (its type) and `data` (its JSON), as Anthropic's API has them: `message_start`, "
    "`ping`, for each block `content_block_start`, `content_block_delta` and `content_block_stop`, then "
    "`message_delta` and `message_stop`; `error` where the message comes to nothing."
)
MESSAGES = (
    Operation(
        method="POST",
        path="/v1/messages",
        handler=door.create,
        summary="Create a response as a message of Anthropic's API; with `stream` its events as they come",
        body=CreateMessage,
        headers=(created.IDEMPOTENCY_KEY, created.ON_DISCONNECT),
        answer=AnthropicMessage,
        streams=_MESSAGE_EVENTS,
        refusal=errors.refusal,
        error=errors.AnthropicError,
        errors=(*DECODING, *IMAGES, *FAILING),
    ),
    Operation(
        method="POST",
        path="/v1/messages/count_tokens",
        handler=door.count_tokens,
        summary="Count the tokens that the model would be given for a message",
        body=CountMessageTokens,
        answer=MessageTokensCount,
        refusal=errors.refusal,
        error=errors.AnthropicError,
        errors=(*DECODING, *IMAGES, E.CONTEXT_LENGTH_EXCEEDED, E.INVALID_PROMPT),
    ),
)
