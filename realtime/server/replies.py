"""HTTP responses in the form that OpenAI's clients read."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from realtime.wire.errors import WireError


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def error_reply(error: WireError, headers: dict[str, str] | None = None) -> Response:
    """A refusal, with `retry-after` where the error says when."""
    spec = error.spec
    body = {"type": spec.fault.value, "code": spec.code, "message": error.message, "param": error.param}
    wait = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:.0f}"}
    return reply({"error": body}, spec.status, {**wait, **(headers or {})})
