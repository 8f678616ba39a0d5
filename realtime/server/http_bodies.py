"""What HTTP handlers of JSON share: who asks, the body within its bound, refusals as replies."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from realtime.principal import Principal
from realtime.wire.errors import ErrorCode, WireError

from .gateway import Gateway
from .replies import error_reply


def answered(
    handler: Callable[[Request, Principal], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """A handler that is told who asks, and whose `WireError`s are the reply."""

    @functools.wraps(handler)
    async def answering(request: Request) -> Response:
        gateway: Gateway = request.app.state.gateway
        who = gateway.identify(request)
        if isinstance(who, WireError):
            return error_reply(who)
        try:
            return await handler(request, who)
        except WireError as error:
            return error_reply(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    return answering


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises WireError as soon as there is more of it than `max_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            text = f"The body has more than {max_bytes} bytes, which this server does not take."
            raise WireError(ErrorCode.REQUEST_TOO_LARGE, text)
    return bytes(body)
