"""The operations of Chat Completions: the rows of the table of routes."""

from __future__ import annotations

from realtime.server.chat import door
from realtime.server.chat.chunks import ChatCompletionChunk
from realtime.server.chat.completions import ChatCompletion
from realtime.server.chat.requests import CreateChatCompletion
from realtime.server.http import created
from realtime.server.http.error_groups import DECODING, FAILING, IMAGES
from realtime.server.http.operations import Operation

_CHUNKS = (
    "Server-sent events without a name: `data` (the JSON of a ChatCompletionChunk); at the end `data: [DONE]`. Lines "
    "that begin with a colon keep the connection alive."
)
CHAT = (
    Operation(
        method="POST",
        path="/v1/chat/completions",
        handler=door.create,
        summary="Create a response as a chat completion; with `stream` its chunks as they come",
        body=CreateChatCompletion,
        headers=(created.IDEMPOTENCY_KEY, created.ON_DISCONNECT),
        answer=ChatCompletion,
        streams=_CHUNKS,
        event=ChatCompletionChunk,
        errors=(*DECODING, *IMAGES, *FAILING),
    ),
)
