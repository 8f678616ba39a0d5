"""The body of an HTTP request: in time, of a bounded size, and as raw JSON."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from realtime.settings.fields import ConnectionSettings
from realtime.wire.errors import ErrorCode, WireError

# What is not JSON by its name, yet sent with JSON in it: by `curl -d`, by pages that avoid a preflight, by nobody in
# particular. Anything else says itself that it is something else.
_TOLERATED = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"})


async def read_body(request: Request, limits: ConnectionSettings) -> bytes:
    """Return the whole body. Raises WireError, and starlette's ClientDisconnect."""
    _check_type(request)
    longest = limits.max_message_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > longest:
        raise _too_large(longest)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.request_body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > longest:
                    raise _too_large(longest)
    except TimeoutError:
        text = f"The body did not arrive within {limits.request_body_seconds:g} seconds: send it again."
        raise WireError(ErrorCode.REQUEST_TIMEOUT, text) from None
    if not body:
        raise WireError(ErrorCode.INVALID_JSON, "The request has no body: send one JSON object.")
    return bytes(body)


def _check_type(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        text = f"Bodies are taken as they are, not with `content-encoding: {encoding[:32]}`: send plain JSON."
        raise WireError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, text)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TOLERATED and not kind.endswith("json"):
        text = f"The body is '{kind[:64]}': send JSON, with `content-type: application/json`."
        raise WireError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, text)


def _too_large(longest: int) -> WireError:
    return WireError(ErrorCode.REQUEST_TOO_LARGE, f"The body is greater than {longest} bytes, the most that is taken.")
