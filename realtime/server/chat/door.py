"""`POST /v1/chat/completions`: decode, create a response, and return it as a completion or in chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from starlette.responses import Response

from realtime.server.http import created
from realtime.server.http.call import Call
from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.requests import ResponseCreate

from .chunks import Chunks
from .completions import Shown, to_completion
from .history import to_items
from .requests import CreateChatCompletion
from .translation import reword, to_create


async def create(call: Call) -> Response:
    """See the module."""
    body = codec.decode_body(await call.body(), CreateChatCompletion, call.gateway.message_limits)
    placed = to_items(body.messages, call.gateway.message_limits.max_items)
    request = created.with_headers(call, to_create(body, placed))
    places = [one.place for one in placed]
    try:
        return await _answer(call, body, request, partial(reword, places=places))
    except WireError as error:
        raise reword(error, places) from None


async def _answer(
    call: Call, body: CreateChatCompletion, request: ResponseCreate, reworded: Callable[[WireError], WireError]
) -> Response:
    shown = Shown(
        reasoning=body.include_reasoning is not False,
        logprobs=bool(body.logprobs),
        usage=body.stream_options is not None and bool(body.stream_options.include_usage),
    )
    source = await created.start(call, request)
    wording = Chunks(shown, created.failure, reworded) if body.stream else None
    return await created.answer(call, source, wording, partial(to_completion, shown=shown))
