"""HTTP responses in the form that OpenAI's clients read."""

from __future__ import annotations

import math

import msgspec
from starlette.responses import Response

from realtime.wire.errors import WireError
from realtime.wire.events import ErrorBody, error_body


class ErrorReply(msgspec.Struct):
    """The body of every refusal."""

    error: ErrorBody


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def error_reply(error: WireError, headers: dict[str, str] | None = None) -> Response:
    """A refusal, with `retry-after` where the error says when; `x-should-retry` is for OpenAI's SDKs, which would
    otherwise send again whatever has status 408, 409, 429 or 5xx.
    """
    spec = error.spec
    own = {"x-should-retry": "true" if spec.retry else "false"}
    if error.retry_after is not None:
        own["retry-after"] = str(math.ceil(error.retry_after))
    return reply(ErrorReply(error_body(error)), spec.status, {**own, **(headers or {})})
