"""`POST /v1/messages` and its `count_tokens`: decode, ask the service, and return its answer in the form of Anthropic's
API.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from starlette.responses import Response

from realtime.runs.run import Run
from realtime.server.http import created
from realtime.server.http.call import Call
from realtime.server.http.operations import CLIENT_GONE
from realtime.server.http.replies import reply
from realtime.server.http.responses import count
from realtime.store.records import Source
from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Usage

from .answers import MessageTokensCount, Thinking, to_message
from .errors import error_of
from .history import to_items
from .requests import CountMessageTokens, CreateMessage
from .streams import MessageEvents
from .translation import places_of, reword, shows_text_of_thinking, shows_thinking, to_create

Reword = Callable[[WireError], WireError]


async def create(call: Call) -> Response:
    """Answer `POST /v1/messages`."""
    body = codec.decode_body(await call.body(), CreateMessage, call.gateway.message_limits)
    request, reworded = _translated(call, body)
    request = created.with_headers(call, request)
    try:
        answer = await _answer(call, body, request, reworded)
    except WireError as error:
        raise reworded(error) from None
    answer.headers["request-id"] = call.name
    return answer


async def count_tokens(call: Call) -> Response:
    """Answer `POST /v1/messages/count_tokens`."""
    body = codec.decode_body(await call.body(), CountMessageTokens, call.gateway.message_limits)
    request, reworded = _translated(call, body)
    try:
        num_tokens = await count(call, request)
    except WireError as error:
        raise reworded(error) from None
    if num_tokens is None:
        return Response(status_code=CLIENT_GONE)
    return reply(MessageTokensCount(input_tokens=num_tokens), headers={"request-id": call.name})


def _translated(call: Call, body: CountMessageTokens) -> tuple[ResponseCreate, Reword]:
    """Return the request as a create, and a function that translates its errors to the terms of the body."""
    placed = to_items(body.messages, call.gateway.message_limits.max_items)
    return to_create(body, placed), partial(reword, places=places_of(placed))


async def _answer(call: Call, body: CreateMessage, request: ResponseCreate, reworded: Reword) -> Response:
    thinking = Thinking(shown=shows_thinking(body.thinking), text=shows_text_of_thinking(body.thinking))
    source = await created.start(call, request)

    def say(error: WireError) -> bytes:
        return codec.encode_line(error_of(reworded(error), call.name))

    wording = MessageEvents(thinking, partial(_used, source), created.failure, say) if body.stream else None
    return await created.answer(call, source, wording, partial(to_message, thinking=thinking))


def _used(source: Source) -> Usage | None:
    """Return the tokens that a response has used so far."""
    if isinstance(source, Run) and not source.over:
        return source.stages.used
    return source.response.usage
