"""A response that was created over HTTP, until its request is answered: the common part of all doors that create one.

Such a response is followed by its request, as a JSON answer or as a stream. When the client is gone, the response's
disconnect policy applies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from starlette.responses import Response

from realtime.observability.origin import NOWHERE
from realtime.runs.run import Run
from realtime.service.remote import Remote
from realtime.store.records import AnyResponse, Source
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import OnDisconnect, OpaqueId, ResponseCreate
from realtime.wire.response import Response as ResponseObject
from realtime.wire.response import ResponseError, is_stopped

from .call import Call
from .operations import CLIENT_GONE, Header
from .replies import limit_headers, reply
from .sse import RESPONSE_EVENTS, SseResponse, Wording

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key", OpaqueId, "The same as `request_id` in the body: sent again, the request attaches and runs once."
)
ON_DISCONNECT = Header(
    "x-realtime-on-disconnect",
    Literal["cancel", "linger", "continue"],
    "What becomes of the response when the client is gone: `cancel` (the default), `linger`, `continue`.",
)

_BEFORE_OUTPUT = (b"response.created", b"response.queued", b"response.in_progress")
_FAILURES = {code.value.code: code for code in ErrorCode}


async def start(call: Call, request: ResponseCreate, *, traced: bool = True) -> Source:
    """Create a response, or attach to the one that an earlier attempt created. Raises WireError."""
    origin = call.origin if traced else NOWHERE
    return await call.gateway.service.create(call.principal, request, None, native=False, origin=origin)


def request_id(call: Call, in_body: str | None = None) -> str | None:
    """Return the id by which the request is recognized when it is sent again. Raises WireError."""
    in_header: str | None = call.header(IDEMPOTENCY_KEY.name, IDEMPOTENCY_KEY.kind)
    if in_body is not None and in_header is not None and in_body != in_header:
        text = "`request_id` and the header Idempotency-Key differ; send one of them."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="request_id")
    return in_header if in_body is None else in_body


def with_headers(call: Call, request: ResponseCreate) -> ResponseCreate:
    """Return the request with what its headers ask for, for a door whose body has no place for that.
    Raises WireError.
    """
    request.request_id = request_id(call)
    policy = call.header(ON_DISCONNECT.name, ON_DISCONNECT.kind)
    if policy is not None:
        request.on_disconnect = OnDisconnect(policy=policy)
    return request


def stream(call: Call, source: Source, start: int = 0, wording: Wording = RESPONSE_EVENTS) -> SseResponse:
    """Return a stream of the events from the number `start` on."""
    interval = call.gateway.settings.connections.sse_keepalive_seconds
    gateway = call.gateway
    return SseResponse(gateway.service, source, start, call.peer, call.principal, interval, gateway.pace, wording)


async def stream_from_output(call: Call, source: Source, wording: Wording) -> SseResponse:
    """Return a stream that begins when the response has some output, or is over, or a keep-alive would be due. An
    earlier failure is an HTTP error, by which clients decide whether to retry. Raises WireError.
    """
    answer = stream(call, source, 0, wording)
    patience = call.gateway.settings.connections.sse_keepalive_seconds
    await _wait(call, source, lambda: _has_said(source), seconds=patience, hand_over=answer.follow)
    if (error := failure_of(source)) is not None:
        raise error
    response = source.response
    if is_told(source) and response.status in ("failed", "cancelled") and not response.output:
        raise failure(response.error, source.response_id)
    return answer


async def answer(
    call: Call, source: Source, wording: Wording | None, whole: Callable[[ResponseObject], object]
) -> Response:
    """Answer in the form of another API: with a stream in its `wording`, or with the whole response in its form. Raises
    WireError for a response that failed or was stopped.
    """
    if wording is not None:
        answer: Response = await stream_from_output(call, source, wording)
    elif await wait_for_end(call, source):
        response = source.response
        if response.error is not None or is_stopped(response.incomplete_details):
            raise failure(response.error, response.id)
        answer = reply(whole(response))
    else:
        return Response(status_code=CLIENT_GONE)
    add_headers(call, source, answer)
    return answer


def add_headers(call: Call, source: Source, answer: Response) -> None:
    """Add headers with the client's rate limits, and the trace."""
    answer.headers.update(limit_headers(call.gateway.service.queue.rate_limits(call.principal.tenant)))
    if isinstance(source, Run) and (trace := source.watch.headers.get("traceparent")) is not None:
        answer.headers["traceresponse"] = trace  # W3C Trace Context, Level 2: by which a client finds it


def failure(error: ResponseError | None, response_id: str) -> WireError:
    """Return the error of a response that failed; None: it was stopped."""
    if error is None:
        return WireError(ErrorCode.REQUEST_CANCELLED, "The response was cancelled.", response_id=response_id)
    code = _FAILURES.get(error.code, ErrorCode.SERVER_ERROR)
    return WireError(code, error.message, param=error.param or None, response_id=response_id)


async def wait_for_end(call: Call, found: AnyResponse) -> bool:
    """Wait until a response is over. Return False if the client is gone before. Raises WireError if it is left to the
    next process.
    """
    if not is_told(found):
        await _wait(call, found, lambda: is_told(found))
        error = failure_of(found)
        if error is not None:
            raise error
    return is_told(found)


def is_told(found: AnyResponse) -> bool:
    """Return whether it is over as its readers see it."""
    return found.log.sealed if isinstance(found, Run | Remote) else found.over


def failure_of(found: AnyResponse) -> WireError | None:
    """Return why no more of it comes here, though its readers have not seen its end."""
    return found.failure if isinstance(found, Run | Remote) else None


async def _wait(
    call: Call, found: AnyResponse, is_met: Callable[[], bool], *,
    seconds: float | None = None, hand_over: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Follow a response until a condition is met, the client is gone, the response is left to the next process, or the
    time is over. `hand_over`: called before the following ends.
    """
    service, peer = call.gateway.service, call.peer
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not over.done():
            over.set_result(None)

    def wake() -> None:
        if is_met() or failure_of(found) is not None:
            end()

    service.follow(call.principal, found, wake)
    peer.on_gone = end
    timer = loop.call_later(seconds, end) if seconds is not None else None
    try:
        wake()
        if not peer.gone:
            await over
        hand_over()
    finally:
        if timer is not None:
            timer.cancel()
        peer.on_gone = None
        service.leave(found.response_id, wake, detached=False)


def _has_said(source: Source) -> bool:
    log = source.log
    if log.sealed or log.floor or log.tip == 0:
        return log.tip > 0
    return codec.type_of(log.read(log.tip - 1, 1)[0]) not in _BEFORE_OUTPUT
