"""Idempotent creates: which response the first try of a request started. Pure.

A retry with the same `request_id` attaches to that response, so a client that does not know whether its request arrived
sends it again and it runs once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

import msgspec

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate

_MAX_LOOKED_AT = 4  # at a time, when one more response is over


class Attempts:
    """The tries that can still be attached to, by tenant and `request_id`."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str], tuple[bytes, str]] = OrderedDict()  # -> digest, response id

    def __len__(self) -> int:
        return len(self._attempts)

    def keep(self, tenant: str, request_id: str, digest: bytes, response_id: str) -> None:
        """This request has started this response."""
        self._attempts[tenant, request_id] = (digest, response_id)

    def find(self, tenant: str, request_id: str) -> str | None:
        """The response of the newest try."""
        found = self._attempts.get((tenant, request_id))
        return found[1] if found is not None else None

    def check_same(self, tenant: str, request: ResponseCreate) -> None:
        """Refuse a `request_id` that was used for another request. Raises WireError."""
        if request.request_id is None:
            return
        kept, _ = self._attempts.get((tenant, request.request_id), (None, ""))
        if kept is not None and kept != digest_of(request):
            text = f"`request_id` '{request.request_id}' was used for a different request."
            raise WireError(ErrorCode.IDEMPOTENCY_CONFLICT, text, param="request_id")

    def forget(self, exists: Callable[[str], bool]) -> None:
        """Drop some whose responses are gone: they can no longer be attached to. All are looked at in turn."""
        for key, (_, response_id) in list(islice(self._attempts.items(), _MAX_LOOKED_AT)):
            if exists(response_id):
                self._attempts.move_to_end(key)
            else:
                del self._attempts[key]


def digest_of(request: ResponseCreate) -> bytes:
    """What makes two requests the same: everything but the client's name for the event."""
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(request, event_id=None))).digest()
