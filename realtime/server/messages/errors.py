"""Errors in the form of Anthropic's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from realtime.server.http.replies import error_headers, reply
from realtime.wire.errors import WireError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class AnthropicErrorBody(msgspec.Struct, kw_only=True):
    """An error. `code`, `param` and `retry` are ours, the same as at the other doors."""

    type: str
    message: str
    code: str
    param: str | None = None
    retry: bool = False


class AnthropicError(msgspec.Struct, kw_only=True):
    """The body of every refusal, and the event of a stream that fails."""

    type: Literal["error"] = "error"
    error: AnthropicErrorBody
    request_id: str | UnsetType = UNSET


def error_of(error: WireError, request_name: str | None = None) -> AnthropicError:
    """Return a refusal in Anthropic's form."""
    spec = error.spec
    kind = _TYPES.get(spec.status, "invalid_request_error" if spec.status < 500 else "api_error")
    body = AnthropicErrorBody(type=kind, message=error.message, code=spec.code, param=error.param, retry=spec.retry)
    return AnthropicError(error=body, request_id=UNSET if request_name is None else request_name)


def refusal(error: WireError, headers: Mapping[str, str], request_name: str) -> Response:
    """Return a refusal as the answer to a request."""
    headers = {**error_headers(error), "request-id": request_name, **headers}
    return reply(error_of(error, request_name), error.spec.status, headers)
