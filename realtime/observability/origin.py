"""The origin of a request: the door's name for it, and the trace context that its client sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")  # W3C Trace Context, 3.2
_MAX_STATE = 512  # characters of `tracestate`, which is passed on and not read: as much as has to be


class Origin(msgspec.Struct, frozen=True):
    """The HTTP request or socket that asked for a response. `request_id`: the `x-request-id` that the client was given;
    empty if no client asked. `traceparent`, `tracestate`: the W3C headers, empty if there were none.
    """

    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @classmethod
    def of(cls, request_id: str, headers: Mapping[str, str]) -> Origin:
        """Return the origin of a request with these headers. An invalid trace context is ignored."""
        parent = headers.get("traceparent", "").strip().lower()
        if not _TRACEPARENT.fullmatch(parent) or len(parent) > 2 * 55:
            return cls(request_id)
        return cls(request_id, parent, headers.get("tracestate", "")[:_MAX_STATE])

    def stated(self, metadata: Mapping[str, str] | None) -> Origin:
        """Return the origin of a request with this metadata: on a socket, each may belong to a trace of its own."""
        if not metadata or "traceparent" not in metadata:
            return self
        own = Origin.of(self.request_id, metadata)
        return own if own.traceparent else self


NOWHERE = Origin()
