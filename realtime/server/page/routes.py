"""The routes of the chat page: the document at `/`, and its files below a folder that changes with them."""

from __future__ import annotations

from functools import cache

from starlette.responses import Response

from realtime.server.http.call import Call
from realtime.server.http.operations import Operation
from realtime.wire.errors import ErrorCode, WireError

from .files import File, Page, read_page

# Nothing foreign, nothing inline, no string that becomes markup or script: even a hole in the page has no way out.
POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
    "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
    "trusted-types 'none'",
])  # fmt: skip
_SAFETY = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_ALWAYS_ASK = "no-cache"
_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def the_page() -> Page:
    """Return the page, which is read at the first call."""
    return read_page()


async def document(call: Call) -> Response:
    """Answer `GET /`."""
    return _answer(call, the_page().document, _ALWAYS_ASK)


async def file(call: Call) -> Response:
    """Answer `GET /page/{version}/{name}`."""
    page, name = the_page(), call.path("name")
    found = page.files.get(name) if call.path("version") == page.version else None
    if found is None:
        raise WireError(ErrorCode.NOT_FOUND, "The page has no such file; it may be from before the server's update.")
    return _answer(call, found, _FOR_EVER)


ROUTES = (
    Operation(method="GET", path="/", handler=document, summary="The chat page", open=True),
    Operation(method="GET", path="/page/{version}/{name:path}", handler=file, summary="One of its files", open=True),
)


def _answer(call: Call, file: File, caching: str) -> Response:
    headers = {**_SAFETY, "cache-control": caching, "etag": file.etag, "vary": "accept-encoding"}
    asked = call.request.headers
    if file.etag in [tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    if "gzip" in asked.get("accept-encoding", ""):
        return Response(file.zipped, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.data, headers=headers, media_type=file.media_type)
