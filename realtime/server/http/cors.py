"""CORS: what a page of another origin may do over HTTP (Fetch standard, section 3.2). `origins` decides which origins
may.

No cookies and no other ambient credentials exist here, so none are allowed; the key travels in a header.
"""

from __future__ import annotations

from starlette.requests import Request

_LIMITS = [f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")]
_EXPOSED = ", ".join(["x-request-id", "retry-after", "x-should-retry", *_LIMITS])
_PREFLIGHT_SECONDS = 600  # that a browser may remember the answer


def may_read(request: Request, allowed: bool) -> bool:
    """Return whether the page that asks may read the answer."""
    return allowed and "origin" in request.headers


def headers(request: Request) -> dict[str, str]:
    """Return the headers for every answer to such a page, including refusals."""
    origin = request.headers["origin"]
    return {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED, "vary": "origin"}


def preflight(request: Request, methods: str) -> dict[str, str]:
    """Return the answer to a browser that asks before it sends the request; nothing for any other request."""
    if "access-control-request-method" not in request.headers:
        return {}
    wanted = request.headers.get("access-control-request-headers", "authorization, content-type")
    return {
        "access-control-allow-methods": methods,
        "access-control-allow-headers": wanted,  # none of them does anything that the origin may not do
        "access-control-max-age": str(_PREFLIGHT_SECONDS),
    }
