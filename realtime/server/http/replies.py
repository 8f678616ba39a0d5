"""HTTP responses in the form that OpenAI's clients read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from starlette.responses import Response

from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.events import ErrorBody, error_body
from realtime.wire.ids import new_id
from realtime.wire.response import RateLimit


class ErrorReply(msgspec.Struct):
    """The body of every refusal."""

    error: ErrorBody


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(codec.encode_line(body), status, headers, "application/json")


def error_reply(error: WireError, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal in OpenAI's form."""
    return reply(ErrorReply(error_body(error)), error.spec.status, {**error_headers(error), **(headers or {})})


def refusal(error: WireError, headers: Mapping[str, str], request_name: str) -> Response:
    """Return the refusal of an operation, whose request has an id."""
    return error_reply(error, headers)


def error_headers(error: WireError) -> dict[str, str]:
    """Return the headers of a refusal: `retry-after` if the error says when, and how to authenticate if a key is
    missing or wrong. `x-should-retry` is for OpenAI's and Anthropic's SDKs, which would otherwise retry every status
    408, 409, 429 or 5xx.
    """
    spec = error.spec
    own = {"x-should-retry": "true" if spec.retry else "false"}
    if error.retry_after is not None:
        own["retry-after"] = str(math.ceil(error.retry_after))
    if spec.status == 401:
        own["www-authenticate"] = "Bearer"  # RFC 9110, 15.5.2: a 401 names a scheme
    return {**own, **limit_headers(error.rate_limits)}


def limit_headers(rate_limits: Sequence[RateLimit]) -> dict[str, str]:
    """Return the rate limits in the headers that OpenAI's clients read."""
    headers = {}
    for one in rate_limits:
        headers[f"x-ratelimit-limit-{one.name}"] = str(one.limit)
        headers[f"x-ratelimit-remaining-{one.name}"] = str(one.remaining)
        headers[f"x-ratelimit-reset-{one.name}"] = f"{one.reset_seconds:g}s"
    return headers


def handshake_refusal(error: WireError) -> Response:
    """Return the answer to a handshake that does not open a socket."""
    return error_reply(error, {"x-request-id": new_id("req")})
